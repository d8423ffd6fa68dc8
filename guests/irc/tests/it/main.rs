//! The server as a value: what its clients send, what they see.

#![allow(clippy::unwrap_used)]

mod channels;
mod flow;
mod history;
mod input;
mod labels;
mod login;
mod messages;
mod modes;
mod operators;
mod queries;
mod registration;
mod world;
