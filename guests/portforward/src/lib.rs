//! Port forwarding: what comes in on an accepted connection goes out on one that is dialled for
//! it, and back, as Twisted's `portforward` does it.
//!
//! This crate is the protocol, which knows no host; `component.rs` joins it to one.
#![forbid(unsafe_code)]

mod component;
pub mod config;
pub mod pair;
