//! A plugin that was loaded: compiled, checked against the contract, ready to be instantiated.

use std::fmt;
use std::sync::Arc;

use wasmtime::component::InstancePre;

use super::bindings::exports::torsade::plugin::{
    datagram_protocols, half_close, handshake, job, plugin, protocols, stopping,
};
use super::compiling::within;
use super::engine::{Compiler, Engines, EnginesConfig};
use super::job::JobCode;
use super::limits::Limits;
use super::manifest::Manifest;
use super::outbox::{Guest, LogLevel};
use super::outline::NAME_BYTES;
use super::words::plain;
use crate::grants::{Clear, Grant, Grants, Import};

/// Compiled code that fits the contract, ready to be instantiated any number of times.
#[derive(Clone)]
pub struct Plugin {
    pub(super) compiler: Compiler,
    pub(super) pre: InstancePre<Guest>,
    pub(super) exports: Exports,
    /// `None` where it exports no `job`, or its service grants it none.
    pub(super) jobs: Option<JobCode>,
    /// What its instances are told that the host serves.
    pub(super) services: Arc<[ServiceFacts]>,
    /// Where passwords may be said to its instances, if they may know who somebody is.
    pub(super) credentials: Option<Clear>,
    /// The least important of their lines that is written, where the service says so.
    pub(super) log_level: Option<LogLevel>,
    pooled: bool,
}

/// Where a component's exports are: looked up once.
#[derive(Clone)]
pub(super) struct Exports {
    pub(super) plugin: plugin::GuestIndices,
    /// `None` where it serves no streams.
    pub(super) protocols: Option<protocols::GuestIndices>,
    /// `None` where it serves no datagrams.
    pub(super) datagrams: Option<datagram_protocols::GuestIndices>,
    pub(super) half_close: Option<half_close::GuestIndices>,
    pub(super) handshake: Option<handshake::GuestIndices>,
    pub(super) stopping: Option<stopping::GuestIndices>,
}

/// A service of the host, as plugins that are granted `services` know it.
#[derive(Clone, Debug)]
pub struct ServiceFacts {
    /// Its name in the configuration.
    pub name: String,
    /// Its endpoints, as they are bound.
    pub endpoints: Vec<String>,
}

/// Why a file can't be served as a plugin, and what would be right.
#[derive(Debug)]
pub struct LoadError(String);

impl LoadError {
    pub(super) fn new(problem: String) -> Self {
        Self(problem)
    }
}

impl std::error::Error for LoadError {}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Plugin {
    /// Compiles `bytes`, on a thread of its own, for no longer than `limits.compile_time`; adds what
    /// they import to `imports`, and checks that the service's grants allow it. `often` says that its
    /// sandboxes come and go with connections.
    pub fn load(
        engines: &Engines,
        bytes: &[u8],
        grants: &Grants,
        limits: &Limits,
        often: bool,
        imports: &mut Vec<Import>,
    ) -> Result<Self, LoadError> {
        is_component(bytes)?;
        let pooled = often && EnginesConfig::is_for_slots(limits.memory);
        let (engines, bytes, grants) = (engines.clone(), bytes.to_vec(), grants.clone());
        let (found, loaded) = within(limits.compile_time, "compiling it", move || {
            let mut imports = Vec::new();
            let loaded = Self::compile(&engines, &bytes, &grants, pooled, &mut imports);
            Ok((imports, loaded))
        })?;
        imports.extend(found);
        loaded
    }

    fn compile(
        engines: &Engines,
        bytes: &[u8],
        grants: &Grants,
        pooled: bool,
        imports: &mut Vec<Import>,
    ) -> Result<Self, LoadError> {
        let compiler = if pooled { &engines.pooled } else { &engines.on_demand };
        let component = engines.compile(compiler, bytes).map_err(|e| not_compiled(&e))?;
        let optional = Manifest::read(bytes)?.map_or(Vec::new(), |manifest| manifest.optional);
        let kind = component.component_type();
        let names = kind.imports(&compiler.engine);
        let import = |name: &str| Import::new(plain(name.to_owned(), NAME_BYTES), &optional);
        imports.extend(names.map(|(name, _)| import(name)));
        grants.check(imports).map_err(LoadError)?;
        let pre = compiler.linker.instantiate_pre(&component).map_err(|e| {
            let why = chain(&e);
            LoadError(format!("it does not fit torsade:plugin@0.1.0: {why}"))
        })?;
        let exports = Exports::find(&pre)?;
        let jobs = match grants.allows(Grant::Jobs) {
            true => JobCode::find(engines, bytes, &pre)?,
            false => None,
        };
        let compiler = compiler.clone();
        let credentials = grants.credentials.as_ref().map(|users| users.plain);
        Ok(Self {
            compiler,
            pre,
            exports,
            jobs,
            services: Arc::default(),
            credentials,
            log_level: None,
            pooled,
        })
    }

    /// Says what the instances that are made from now on are told that the host serves.
    pub fn set_services(&mut self, services: Arc<[ServiceFacts]>) {
        self.services = services;
    }

    /// Says which lines of the instances that are made from now on are written, whatever the outbox
    /// says that is lent to them.
    pub fn set_log_level(&mut self, level: LogLevel) {
        self.log_level = Some(level);
    }

    /// Whether its instances lie in pooled slots.
    pub fn is_pooled(&self) -> bool {
        self.pooled
    }

    /// Whether it has protocols for streams.
    pub fn serves_streams(&self) -> bool {
        self.exports.protocols.is_some()
    }

    /// Whether it has protocols for datagrams.
    pub fn serves_datagrams(&self) -> bool {
        self.exports.datagrams.is_some()
    }

    /// Whether it wants to be told when the host stops.
    pub fn hears_of_stopping(&self) -> bool {
        self.exports.stopping.is_some()
    }

    /// Whether it wants to be told when a handshake is over.
    pub fn hears_of_handshakes(&self) -> bool {
        self.exports.handshake.is_some()
    }

    /// Whether it tells the end of the peer's data from the end of the connection.
    pub fn half_closes(&self) -> bool {
        self.exports.half_close.is_some()
    }
}

impl Exports {
    fn find(pre: &InstancePre<Guest>) -> Result<Self, LoadError> {
        let needed = |interface: &str, error: wasmtime::Error| {
            optional(pre, interface, Err::<(), _>(error)).err().unwrap_or_else(|| {
                let message = "which every plugin exports; there is nothing to serve";
                LoadError(format!("it exports no {}, {message}", full_name(interface)))
            })
        };
        let plugin = plugin::GuestIndices::new(pre).map_err(|e| needed("plugin", e))?;
        let protocols = optional(pre, "protocols", protocols::GuestIndices::new(pre))?;
        let datagrams =
            optional(pre, "datagram-protocols", datagram_protocols::GuestIndices::new(pre))?;
        if protocols.is_none() && datagrams.is_none() {
            let (streams, datagrams) = (full_name("protocols"), full_name("datagram-protocols"));
            return Err(LoadError(format!(
                "it exports neither {streams} nor {datagrams}; there is nothing to serve"
            )));
        }
        Ok(Self {
            plugin,
            protocols,
            datagrams,
            half_close: optional(pre, "half-close", half_close::GuestIndices::new(pre))?,
            handshake: optional(pre, "handshake", handshake::GuestIndices::new(pre))?,
            stopping: optional(pre, "stopping", stopping::GuestIndices::new(pre))?,
        })
    }
}

impl JobCode {
    /// The code of the plugin's jobs, compiled for the engine that they run in.
    fn find(
        engines: &Engines,
        bytes: &[u8],
        pre: &InstancePre<Guest>,
    ) -> Result<Option<Self>, LoadError> {
        if optional(pre, "job", job::GuestIndices::new(pre))?.is_none() {
            return Ok(None);
        }
        let compiler = engines.on_demand.clone();
        let invalid = |e| not_compiled(&e);
        let component = engines.compile(&compiler, bytes).map_err(invalid)?;
        let pre = compiler.linker.instantiate_pre(&component).map_err(invalid)?;
        let export = job::GuestIndices::new(&pre).map_err(invalid)?;
        Ok(Some(Self { compiler, pre, export }))
    }
}

/// What was found of an export that may be missing, but not be of another shape.
fn optional<T>(
    pre: &InstancePre<Guest>,
    interface: &str,
    found: wasmtime::Result<T>,
) -> Result<Option<T>, LoadError> {
    let name = full_name(interface);
    match found {
        Ok(found) => Ok(Some(found)),
        Err(_) if pre.component().get_export_index(None, &*name).is_none() => Ok(None),
        Err(e) => {
            Err(LoadError(format!("its {name} is not what this host calls so: {}", chain(&e))))
        }
    }
}

fn full_name(interface: &str) -> String {
    format!("torsade:plugin/{interface}@0.1.0")
}

/// The first eight bytes tell a component from a core module: version and layer.
pub(super) fn is_component(bytes: &[u8]) -> Result<(), LoadError> {
    let what = match bytes.get(..8) {
        Some(b"\0asm\x0d\0\x01\0") => return Ok(()),
        Some(b"\0asm\x01\0\0\0") => {
            "it is a core wasm module, not a component: `torsade build` makes components, \
             `wasm-tools component new` turns a module into one"
        }
        Some([b'\0', b'a', b's', b'm', ..]) => "it is wasm of a version that this host can't read",
        _ => "it is not wasm: a plugin is a WebAssembly component",
    };
    Err(LoadError(what.to_owned()))
}

/// Why a component can't be compiled. One that begins with more than a slot has is none for the
/// engine, whose words don't tell the operator what to raise.
fn not_compiled(error: &wasmtime::Error) -> LoadError {
    let why = chain(error);
    let named = SLOTS_WORDS.iter().find(|(words, _)| why.contains(words));
    LoadError(match named {
        Some((_, key)) => format!("it begins with more than limits.{key} lets it have: {why}"),
        None => format!("it is not a valid component: {why}"),
    })
}

/// An error with its causes, on one line.
fn chain(error: &wasmtime::Error) -> String {
    let causes: Vec<_> = error.chain().map(ToString::to_string).collect();
    plain(causes.join(": ").replace('\n', " "), CHAIN_BYTES)
}

/// What the engine says of what doesn't fit into a slot, and the limit's key.
const SLOTS_WORDS: [(&str, &str); 2] =
    [("minimum byte size", "memory"), ("minimum element size", "table-elements")];

/// How much a message has of why the component is wrong, which may tell of the component's types.
const CHAIN_BYTES: usize = 1024;
