//! Plugins and their sandboxes: the only part that names wasmtime.
//!
//! It knows no socket and no endpoint: it speaks of connections by number. A plugin is reached by
//! the events of [`Instance`] alone, and acts by the [`Effect`]s that these leave in an
//! [`Outbox`].

mod bindings;
mod compiling;
mod component;
mod engine;
mod hot;
mod imports;
mod instance;
mod job;
mod limits;
mod manifest;
mod outbox;
mod outline;
mod schema;
mod slots;
mod words;

pub use bindings::torsade::plugin::datagrams::{Ipv6Peer, Part, Peer};
pub(crate) use imports::offered;

pub use component::{LoadError, Plugin, ServiceFacts};
pub use engine::{Engines, EnginesConfig, Footprint, Metering, Ticker};
pub use instance::{ConnFacts, DatagramProtocol, Fault, Instance, Origin, Protocol, SocketFacts};
pub use job::Job;
pub use limits::Limits;
pub use manifest::Manifest;
pub use outbox::{Effect, LogLevel, LogLine, Outbox, Side};
pub use outline::{Memory, Outline};
pub use schema::{Key, Schema, Wrong};
