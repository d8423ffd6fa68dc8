//! What the tests share: guests as components, the built command, the programs of others, simple
//! clients, a reader that takes its time, and plugins and peers that mean harm.

pub mod certificates;
pub mod dial;
pub mod guests;
pub mod holdings;
pub mod host;
pub mod hostile;
pub mod http;
#[path = "../peers/mod.rs"]
pub mod peers;
pub mod programs;
pub mod scram;
pub mod slow;
pub mod tenth;
pub mod tls;

/// README's Rust, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
mod readme {}
