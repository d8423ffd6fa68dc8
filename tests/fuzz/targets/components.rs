//! Random components that export all that the host looks for, and import what it has: loaded, and
//! served to peers.
//!
//! An input begins with what peers do, then comes what wasm-smith makes a module of. Random code
//! hardly ever returns a protocol, so a bit for each of a few functions says that it is one that
//! works.

#![no_main]

mod contract;
#[path = "../../simulation/mod.rs"]
#[expect(dead_code, reason = "the tests of the simulation are there, too")]
mod simulation;
mod stranger;

use std::collections::HashMap;
use std::convert::Infallible;

use anyhow::{Context, Result};
use arbitrary::Unstructured;
use libfuzzer_sys::{Corpus, fuzz_target};
use simulation::choices::Choices;
use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{CodeSection, Function, InstructionSink, MemoryType, Module};
use wasm_smith::Config;
use wasmparser::{ExternalKind, FunctionBody, Parser, Payload, TypeRef};

fuzz_target!(|input: &[u8]| -> Corpus {
    let (peers, code) = input.split_at(PEERS_BYTES.min(input.len()));
    let Some((wish, code)) = code.split_first() else { return Corpus::Reject };
    let Ok(module) = wasm_smith::Module::new(config(), &mut Unstructured::new(code)) else {
        return Corpus::Reject;
    };
    let module = settled(&module.to_bytes(), *wish).expect("wasm-smith's modules are valid");
    let component = contract::component(module).expect("it has what the world wants");
    let plugin = stranger::load(&component).expect("it fits the contract");
    stranger::serve(plugin, Choices::written(peers));
    Corpus::Keep
});

fn config() -> Config {
    Config {
        module_shape: Some(contract::WORLD.shape.clone()),
        allow_start_export: false,
        exceptions_enabled: false,
        // What needs a garbage collector, which the host is built without.
        gc_enabled: false,
        reference_types_enabled: false,
        max_data_segments: 2,
        max_element_segments: 2,
        max_elements: 10,
        max_funcs: 8,
        max_instructions: 60,
        max_memory32_bytes: 2 << 16,
        max_table_elements: 100,
        max_tables: 1,
        memory64_enabled: false,
        relaxed_simd_enabled: false,
        threads_enabled: false,
        ..Config::default()
    }
}

/// The module with a page of memory, and with what is wished for of functions that work.
fn settled(module: &[u8], wish: u8) -> Result<Vec<u8>> {
    let mut settled = Settled { bodies: HashMap::new(), next: 0 };
    let mut resource_new = 0;
    for payload in Parser::new(0).parse_all(module) {
        match payload? {
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    let import = import?;
                    if import.module == "[export]torsade:plugin/protocols@0.1.0"
                        && import.name == "[resource-new]protocol"
                    {
                        resource_new = settled.next;
                    }
                    settled.next += u32::from(matches!(import.ty, TypeRef::Func(_)));
                }
            }
            Payload::ExportSection(exports) => {
                for export in exports {
                    let export = export?;
                    if export.kind == ExternalKind::Func
                        && let Some(body) = body(export.name, wish, resource_new)
                    {
                        settled.bodies.insert(export.index, body);
                    }
                }
            }
            _ => {}
        }
    }
    let mut out = Module::new();
    let parsed = settled.parse_core_module(&mut out, Parser::new(0), module);
    parsed.ok().context("it can't be copied")?;
    Ok(out.finish())
}

/// The body of an exported function that works, if it is wished for by its bit being 0.
fn body(export: &str, wish: u8, resource_new: u32) -> Option<Function> {
    let mut body = Function::new([]);
    let mut code = body.instructions();
    let bit = match export {
        "torsade:plugin/plugin@0.1.0#start" => {
            // `ok(none)`: four words of nothing.
            zero(&mut code, 16).i32_const(16);
            0
        }
        "torsade:plugin/protocols@0.1.0#build-protocol" => {
            // `some` of a new resource.
            zero(&mut code, 32);
            code.i32_const(32).i32_const(1).i32_store8(AT);
            code.i32_const(36).i32_const(7).call(resource_new).i32_store(WORD);
            code.i32_const(32);
            1
        }
        "cabi_realloc" => {
            code.i32_const(1024);
            2
        }
        "_initialize" => 3,
        _ if export.starts_with("cabi_post_") => 4,
        _ if export.contains("[dtor]") => 5,
        _ => return None,
    };
    code.end();
    (wish >> bit & 1 == 0).then_some(body)
}

fn zero<'a, 'b>(code: &'a mut InstructionSink<'b>, at: i32) -> &'a mut InstructionSink<'b> {
    code.i32_const(at).i64_const(0).i64_store(AT).i32_const(at + 8).i64_const(0).i64_store(AT)
}

/// Copies a module.
struct Settled {
    bodies: HashMap<u32, Function>,
    /// The index of the function that comes next.
    next: u32,
}

impl Reencode for Settled {
    type Error = Infallible;

    fn memory_type(&mut self, of: wasmparser::MemoryType) -> Result<MemoryType, Error<Infallible>> {
        let of = utils::memory_type(self, of);
        Ok(MemoryType { minimum: of.minimum.max(1), maximum: None, ..of })
    }

    fn parse_function_body(
        &mut self,
        code: &mut CodeSection,
        body: FunctionBody<'_>,
    ) -> Result<(), Error<Infallible>> {
        let index = self.next;
        self.next += 1;
        match self.bodies.remove(&index) {
            None => utils::parse_function_body(self, code, body),
            Some(body) => {
                code.function(&body);
                Ok(())
            }
        }
    }
}

const AT: wasm_encoder::MemArg = wasm_encoder::MemArg { offset: 0, align: 0, memory_index: 0 };
const WORD: wasm_encoder::MemArg = wasm_encoder::MemArg { offset: 0, align: 2, memory_index: 0 };

/// How much of an input says what peers do.
const PEERS_BYTES: usize = 48;
