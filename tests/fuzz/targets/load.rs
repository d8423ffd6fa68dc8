//! Files that may be plugins: text of WebAssembly, bytes that begin as it does, or a valid component
//! with some of its bytes changed. What loads is served.
//!
//! A change is four bytes: its place, three bytes, and what stands there then.

#![no_main]

mod contract;
#[path = "../../simulation/mod.rs"]
#[expect(dead_code, reason = "the tests of the simulation are there, too")]
mod simulation;
mod stranger;

use std::sync::LazyLock;

use libfuzzer_sys::{Corpus, fuzz_target};
use simulation::choices::Choices;

fuzz_target!(|input: &[u8]| -> Corpus {
    let component = match input {
        [b'(' | b';', ..] => match std::str::from_utf8(input).ok().map(wat::parse_str) {
            Some(Ok(component)) => component,
            _ => return Corpus::Reject,
        },
        [0, b'a', b's', b'm', ..] => input.to_vec(),
        changes => changed(changes),
    };
    if let Some(plugin) = stranger::load(&component) {
        stranger::serve(plugin, Choices::written(input));
    }
    Corpus::Keep
});

fn changed(changes: &[u8]) -> Vec<u8> {
    let mut component = VALID.clone();
    for change in changes.chunks_exact(4) {
        let place = u32::from_be_bytes([0, change[0], change[1], change[2]]) as usize;
        let place = place % component.len();
        component[place] = change[3];
    }
    component
}

static VALID: LazyLock<Vec<u8>> = LazyLock::new(|| {
    contract::component(contract::WORLD.shape.clone())
        .expect("a module of the world is a component")
});
