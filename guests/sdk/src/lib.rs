//! What a Torsade plugin in Rust is written with.
//!
//! A plugin owns a protocol: the host owns the sockets, hands the plugin events, and does what it
//! asks for. The words are Twisted's. This is a whole plugin, which sends back what it gets:
//!
//! ```no_run
//! use torsade_guest::{NoConfig, Origin, Plugin, Protocol, Transport, Waiting};
//!
//! struct Server;
//!
//! impl Plugin for Server {
//!     type Config = NoConfig;
//!     type Protocol = Echo;
//!
//!     fn start(_config: NoConfig) -> Result<Self, String> {
//!         Ok(Server)
//!     }
//!
//!     fn build_protocol(&mut self, transport: Transport<Echo>, _: Origin) -> Option<Echo> {
//!         Some(Echo { transport })
//!     }
//! }
//!
//! struct Echo {
//!     transport: Transport<Echo>,
//! }
//!
//! impl Protocol for Echo {
//!     fn data_received(&mut self, data: &[u8]) -> Option<Waiting> {
//!         self.transport.write(data);
//!         None
//!     }
//! }
//!
//! torsade_guest::export!(Server);
//! ```
//!
//! What isn't there yet is a [`Deferred`]: chain callbacks on it, `.await` it, or gather several.
//! The table in [`twisted`] maps Twisted's behaviours to it. An event
//! handler that waits for something returns it, and may be an `async fn`
//! ([`Transport::run`]). [`Lock`], [`Semaphore`] and [`Queue`] are for taking turns,
//! [`LoopingCall`] and [`cooperate`] for work that comes again, or takes long. What the host
//! answers is asked for by [`timers`], [`files`], [`resolver`], [`endpoints`], [`jobs`] (work on
//! another thread), [`sql`], [`key_value`], [`credentials`] (who somebody is) and [`services`] (what
//! this host serves); but for timers each needs a grant of the service. A
//! plugin that is a client dials by [`endpoints`], keeps a connection up by a
//! [`ReconnectingClient`], and shares several by a [`ConnectionPool`]. In tests [`testing::Clock`]
//! stands in for the host's clock and timers.
//!
//! A protocol runs encrypted, behind a proxy or on standard input unchanged. What TLS came to it
//! asks by [`Transport::tls`]; [`Transport::start_tls`] begins TLS in mid-stream (STARTTLS), and a
//! [`LineReceiver`], which cuts a stream into lines, then forgets what came in clear. [`datagrams`]
//! has what a plugin for UDP, multicast and Unix datagrams is written with, and [`services`] tells
//! what the host serves.
//!
//! What a plugin says of itself, its manifest, [`export!`] writes: what it serves, whether its
//! connections share state, what it can do without, and the schema of its configuration, by which
//! the host tells mistakes in there with their line. `torsade inspect` shows it.
//!
//! Its `Cargo.toml` says `crate-type = ["cdylib"]`, and `torsade build` makes a component of it.
//!
//! [`guide`] tells how a plugin is begun, written and tested, from nothing: `torsade new` makes a
//! folder that has it all, and [`testing`] is what tests are written with.
//!
//! A plugin runs on `wasm32-unknown-unknown`, where the standard library has no clock, no
//! randomness and no files: use [`clock`], [`random`] and [`files`], and [`random::Seeded`] for a
//! `HashMap` whose keys a peer chooses. A panic is logged and traps, and then nothing that the
//! running event asked for is done. On every other target the crate compiles, so that a plugin's
//! own code can be tested there: by a [`testing::Bench`] in the host's stead. Without one a call of the
//! host aborts the process.

mod back_off;
#[doc(hidden)]
pub mod bindings;
mod callbacks;
pub mod clock;
#[doc(hidden)]
pub mod component;
mod connection;
mod cooperate;
pub mod credentials;
#[doc(hidden)]
pub mod datagram_bindings;
pub mod datagrams;
mod deferred;
pub mod endpoints;
mod factories;
pub mod files;
#[cfg(doc)]
pub mod guide;
mod handle;
#[cfg(target_family = "wasm")]
mod heap;
#[doc(hidden)]
pub mod job_bindings;
pub mod jobs;
pub mod key_value;
mod line;
pub mod log;
mod looping;
#[doc(hidden)]
pub mod manifest;
mod outgoing;
mod plugin;
mod pool;
mod protocol;
mod queue;
pub mod random;
mod reconnecting;
pub mod resolver;
mod semaphore;
pub mod services;
pub mod sql;
#[doc(hidden)]
pub mod stream_bindings;
pub mod testing;
pub mod timers;
pub mod tls;
mod transport;
mod turn;
#[cfg(doc)]
#[doc = include_str!("../DEFERREDS.md")]
pub mod twisted {}
mod types;

pub use back_off::BackOff;
pub use cooperate::{CooperativeTask, Cooperator, Slice, cooperate};
pub use deferred::{
    Answer, Answered, Canceller, Deferred, DeferredList, Firing, ListResult, Waiting,
};
pub use line::{Line, LineReceiver};
pub use looping::LoopingCall;
pub use outgoing::Outgoing;
pub use plugin::{Config, NoConfig, Plugin};
pub use pool::{ConnectionPool, PoolLimits, Pooled};
pub use protocol::Protocol;
pub use queue::Queue;
pub use reconnecting::ReconnectingClient;
pub use semaphore::{Lock, Permit, Semaphore};
pub use transport::Transport;
pub use types::{Address, Datetime, Failure, Origin, Reason, code};

/// Makes the component of a plugin: `export!(MyPlugin);`, once, where the type is.
///
/// It also writes the plugin's manifest, a custom section named `torsade:manifest`: the package's
/// name, version and licence from `Cargo.toml`, [`Plugin::SHARED_STATE`], and what is said here
/// behind the type, in this order, each where there is something to say:
///
/// - `serves = ["http/1.1"]`: what it serves, in words;
/// - `optional = ["credentials"]`: interfaces of the contract that the plugin can do without. A
///   service that doesn't grant one is served all the same, and what the plugin asks for by it fails
///   [`code::DENIED`];
/// - `schema = include_str!("../config.schema.json")`: the JSON Schema (draft 2020-12) of the
///   service's `config`, by which the host checks it, and says what is wrong, before anything is
///   served. [`testing::assert_schema`] makes that file of the type and holds it to it. The schema
///   of [`NoConfig`] need not be said.
///
/// ```
/// # use torsade_guest::{NoConfig, Origin, Plugin, Protocol, Transport, Waiting};
/// # struct Server;
/// # struct Nothing;
/// # impl Protocol for Nothing {
/// #     fn data_received(&mut self, _: &[u8]) -> Option<Waiting> { None }
/// # }
/// # impl Plugin for Server {
/// #     type Config = NoConfig;
/// #     type Protocol = Nothing;
/// #     fn start(_: NoConfig) -> Result<Self, String> { Ok(Server) }
/// #     fn build_protocol(&mut self, _: Transport<Nothing>, _: Origin) -> Option<Nothing> { None }
/// # }
/// torsade_guest::export!(Server, serves = ["discard"], optional = ["files", "sql"]);
/// ```
///
/// On targets other than wasm it only checks all that.
#[macro_export]
macro_rules! export {
    ($plugin:ty $(, $($manifest:tt)*)?) => {
        $crate::export_ground!($plugin $(, $($manifest)*)?);
        const _: () = {
            type Component = $crate::component::Component<$plugin>;
            #[cfg(target_family = "wasm")]
            $crate::stream_bindings::export_stream_component!(
                Component with_types_in $crate::stream_bindings
            );
        };
    };
}

/// Makes the component of a plugin that serves no streams: `export_ground!(MyPlugin);`, once, in
/// the stead of [`export!`], and with the same words.
///
/// Alone it serves nothing. What the plugin serves stands beside it, as [`export_datagrams!`].
#[macro_export]
macro_rules! export_ground {
    (
        $plugin:ty
        $(, serves = [$($serves:literal),+ $(,)?])?
        $(, optional = [$($optional:literal),+ $(,)?])?
        $(, schema = $schema:expr)?
        $(,)?
    ) => {
        const _: () = {
            type Component = $crate::component::Component<$plugin>;
            #[cfg(target_family = "wasm")]
            $crate::bindings::export_component!(Component with_types_in $crate::bindings);

            const GIVEN: &str = ::core::concat!("" $(, $schema)?);
            const SCHEMA: &str = if GIVEN.is_empty() {
                <<$plugin as $crate::Plugin>::Config as $crate::Config>::SCHEMA
            } else {
                GIVEN
            };
            const PARTS: &[&str] = &[
                $crate::manifest_words!([$($($serves),+)?] [$($($optional),+)?]),
                if <$plugin as $crate::Plugin>::SHARED_STATE { "true" } else { "false" },
                if SCHEMA.is_empty() { "" } else { ",\"config-schema\":" },
                SCHEMA,
                "}",
            ];
            const LENGTH: usize = $crate::manifest::length(PARTS);
            #[cfg_attr(target_family = "wasm", unsafe(link_section = "torsade:manifest"))]
            #[used]
            static SECTION: [u8; LENGTH] = $crate::manifest::joined(PARTS);
            assert!(
                LENGTH <= $crate::manifest::MANIFEST_BYTES,
                "the manifest is larger than 64 KiB, the most that a host reads"
            );
            assert!(
                $crate::manifest::is_plain(::core::concat!(
                    ::core::env!("CARGO_PKG_LICENSE") $($(, $serves)+)? $($(, $optional)+)?
                )),
                "the licence in Cargo.toml, or a word of `serves` or `optional`, has a character \
                 that JSON would escape"
            );
        };
    };
}

/// Exports the jobs of a plugin: `export_jobs!(MyJobs);`, once, beside [`export!`].
#[macro_export]
macro_rules! export_jobs {
    ($jobs:ty) => {
        const _: () = {
            type Component = $crate::jobs::Component<$jobs>;
            // Elsewhere, too, it is a type that has jobs.
            const _: $crate::jobs::Run = <$jobs as $crate::jobs::Jobs>::run;
            #[cfg(target_family = "wasm")]
            $crate::job_bindings::export_job_component!(
                Component with_types_in $crate::job_bindings
            );
        };
    };
}

/// The manifest's JSON for the package in which it is expanded, up to the value of its last key.
#[doc(hidden)]
#[macro_export]
macro_rules! manifest_words {
    (
        [$($serves:literal $(, $more_serves:literal)*)?]
        [$($optional:literal $(, $more_optional:literal)*)?]
    ) => {
        ::core::concat!(
            "{\"manifest\":1,\"name\":\"",
            ::core::env!("CARGO_PKG_NAME"),
            "\",\"version\":\"",
            ::core::env!("CARGO_PKG_VERSION"),
            "\",\"licence\":\"",
            ::core::env!("CARGO_PKG_LICENSE"),
            "\",\"serves\":[",
            $("\"", $serves, "\"", $(",\"", $more_serves, "\"",)*)?
            "],\"optional-imports\":[",
            $("\"", $optional, "\"", $(",\"", $more_optional, "\"",)*)?
            "],\"shared-state\":"
        )
    };
}
