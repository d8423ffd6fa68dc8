//! What the tests share: guests as components, the built command, and the programs of others.

pub mod guests;
pub mod host;
pub mod programs;

/// README's Rust, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
mod readme {}
