//! What the tests share: guests as components, the built command, the programs of others,
//! plugins that are hostile, and a reader that takes its time.

pub mod certificates;
pub mod guests;
pub mod host;
pub mod hostile;
pub mod programs;
pub mod slow;

/// README's Rust, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
mod readme {}
