//! The contract as wasmtime's bindgen writes it, and nothing else.
#![allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, unused_qualifications)]

pub use super::outbox::{
    CertificateHandle, FileHandle, ListenerHandle, OutcomeHandle, PendingHandle, SessionHandle,
    SocketHandle, TransportHandle,
};

wasmtime::component::bindgen!({
    path: "../wit",
    world: "everything",
    imports: { default: trappable },
    with: {
        "torsade:plugin/datagrams.socket": SocketHandle,
        "torsade:plugin/deferreds.deferred": PendingHandle,
        "torsade:plugin/deferreds.outcome": OutcomeHandle,
        "torsade:plugin/files.file": FileHandle,
        "torsade:plugin/server-endpoints.listener": ListenerHandle,
        "torsade:plugin/tls.certificate": CertificateHandle,
        "torsade:plugin/tls.tls-session": SessionHandle,
        "torsade:plugin/transports.transport": TransportHandle,
    },
});
