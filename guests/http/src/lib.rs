//! Static files over HTTP/1.0 and HTTP/1.1 (RFC 9110, RFC 9112), as a plugin for Torsade.
//!
//! The protocol is a value: bytes and the host's answers in, bytes and questions out. It does no
//! I/O, reads no clock, and knows nothing of wasm; the component alone joins it to the host.
//!
//! [`connection`], [`request`] and [`body`] are HTTP without files, for any server of it. On them
//! stand [`channel`], for applications that answer whole requests, and [`session`], the server of
//! files. Without the feature `component`, which is there by default, the crate is a library and
//! exports no plugin: what an application depends on. The feature `plugin` has the types that join
//! both to the host, without the export: `application` for what answers requests, `component` for a
//! server of files that knows who the users are.

#![forbid(unsafe_code)]

pub mod access_log;
mod answer;
#[cfg(feature = "plugin")]
pub mod application;
pub mod body;
pub mod channel;
#[cfg(feature = "plugin")]
pub mod component;
pub mod conditions;
pub mod config;
pub mod connection;
pub mod conversation;
pub mod date;
mod domains;
pub mod encoding;
mod exchange;
mod fields;
pub mod file;
pub mod form;
pub mod listing;
pub mod mime;
pub mod multipart;
pub mod pattern;
pub mod places;
pub mod protection;
pub mod range;
mod redirect;
mod refusal;
pub mod request;
pub mod response;
pub mod session;
pub mod site;
pub mod status;
pub mod target;
pub mod user;
