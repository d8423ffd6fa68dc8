//! A reactor whose protocols are sandboxed WebAssembly components.
//!
//! ```text
//!        Net::poll            Instance::enter            Outbox
//! kernel ─────────▶ Reactor ──────────────────▶ guest ──────────▶ Reactor ──▶ Stream ──▶ Net
//! ```
//!
//! One value, [`reactor::Reactor`], owns everything that a thread serves. Its parts name each
//! other by number, never by reference. A plugin never runs while a transport is borrowed, and a
//! transport never changes while a plugin runs: what the plugin asks for is recorded as
//! [`plugin::Effect`]s and applied when the event is over.
//!
//! To serve what a `torsade.toml` says, [`config::load`] it and [`server::Server::start`] it. To
//! drive a reactor from a loop of your own, see [`reactor::Reactor::next_deadline`] and its
//! `AsRawFd`.

mod arena;
pub mod capability;
pub mod census;
pub mod cli;
pub mod config;
mod deferred;
pub mod figures;
pub mod grants;
pub mod net;
pub mod observe;
pub mod plugin;
pub mod pool;
pub mod reactor;
pub mod rehearsal;
pub mod server;
mod suggest;
pub mod tally;
pub mod throttle;
mod timers;
pub mod transport;
pub mod walls;
mod worker;
