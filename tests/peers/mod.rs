//! The corpus of hostile peers: what a stranger who can reach an endpoint may do to a service, each
//! kind in a small file.
//!
//! A peer goes to one address only, from 127.0.0.0/8 where that is on this machine, with a bounded
//! number of connections and a bounded pace, and stops by itself after [`LONGEST`].

mod attack;
mod datagrams;
mod encrypted;
mod floods;
mod oversized;
mod proxied;
mod resets;
mod service;
mod slow;
mod unread;
mod vanished;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::Result;

use attack::Attack;
use service::Service;

use crate::dial;

/// A peer that means harm.
pub struct Peer {
    /// What picks it.
    pub name: &'static str,
    /// What it does.
    pub what: &'static str,
    /// What the log has to name, once it has done that.
    pub named: &'static [&'static str],
    against: Service,
    /// What holds it besides the limits that all attacked services have.
    limits: &'static str,
    run: fn(&Attack<'_>) -> Result<u64>,
}

/// The longest attack: then it stops, whoever forgets to tell it.
pub const LONGEST: Duration = Duration::from_secs(120);

/// The name of the service that is attacked.
pub const ATTACKED: &str = "attacked";

/// All of them.
pub fn all() -> &'static [Peer] {
    ALL
}

impl Peer {
    /// Goes on until `stop`, and says how often it has done its harm.
    ///
    /// # Errors
    /// Where this machine doesn't let it; not where the service resists.
    pub fn attack(&self, address: SocketAddr, stop: &AtomicBool) -> Result<u64> {
        dial::allow_many()?;
        (self.run)(&Attack::new(address, stop))
    }

    /// Whether this user can do it at all.
    ///
    /// # Errors
    /// Says what is missing.
    pub fn is_possible(&self) -> Result<()> {
        if self.name == vanished::NAME { vanished::is_possible() } else { Ok(()) }
    }

    /// The table of the service that it attacks, called [`ATTACKED`], on a port of 127.0.0.1. What
    /// it serves is put into `folder`; `plugins` says where a plugin is by its folder in the
    /// repository; `limits` are more of them.
    pub fn service(
        &self,
        folder: &Path,
        port: u16,
        plugins: impl Fn(&str) -> Result<String>,
        limits: &str,
    ) -> Result<String> {
        let limits = [self.limits, limits].into_iter().filter(|text| !text.is_empty());
        let limits: Vec<_> = limits.collect();
        self.against.table(folder, port, plugins, &limits.join(", "))
    }

    /// Asks the service what anybody may, and looks at the answer. `folder` is that of
    /// [`Peer::service`].
    ///
    /// # Errors
    /// Where it isn't answered, or otherwise than it should be.
    pub fn ask(&self, folder: &Path, address: SocketAddr) -> Result<()> {
        self.against.ask(folder, address)
    }
}

/// In the order of what a connection goes through.
static ALL: &[Peer] = &[
    Peer {
        name: "connect-close",
        what: "connects and is gone at once, 2,000 times a second",
        named: &[],
        against: Service::Echo,
        limits: "connect-rate = 500",
        run: floods::connect_close,
    },
    Peer {
        name: "connect-hold",
        what: "holds as many connections as it gets, and asks for more",
        named: &["limits.connections"],
        against: Service::Echo,
        limits: "connections = 300",
        run: floods::connect_hold,
    },
    Peer {
        name: "silent",
        what: "2,000 connections that say nothing",
        named: &[],
        against: Service::Echo,
        limits: "connect-rate = 1000",
        run: floods::silent,
    },
    Peer {
        name: vanished::NAME,
        what: "vanishes without a word, 500 times a second",
        named: &[],
        against: Service::Echo,
        limits: "connect-rate = 1000",
        run: vanished::vanish,
    },
    Peer {
        name: "proxy-stall",
        what: "200 headers of the PROXY protocol that never end",
        named: &[],
        against: Service::Proxied,
        limits: "",
        run: proxied::stall,
    },
    Peer {
        name: "proxy-garbage",
        what: "headers of the PROXY protocol that are none",
        named: &[],
        against: Service::Proxied,
        limits: "",
        run: proxied::garbage,
    },
    Peer {
        name: "tls-stall",
        what: "200 handshakes that come byte by byte",
        named: &[],
        against: Service::Encrypted,
        limits: "",
        run: encrypted::stall,
    },
    Peer {
        name: "tls-garbage",
        what: "begins TLS with what is no TLS",
        named: &[],
        against: Service::Encrypted,
        limits: "",
        run: encrypted::garbage,
    },
    Peer {
        name: "tls-flood",
        what: "has the server begin handshakes, and goes",
        named: &[],
        against: Service::Encrypted,
        limits: "connect-rate = 50",
        run: encrypted::flood,
    },
    Peer {
        name: "slow-head",
        what: "slowloris: 200 heads of requests, a byte at a time",
        named: &[],
        against: Service::Site,
        limits: "",
        run: slow::head,
    },
    Peer {
        name: "slow-body",
        what: "slowloris: 200 bodies of requests, a byte at a time",
        named: &[],
        against: Service::Site,
        limits: "",
        run: slow::body,
    },
    Peer {
        name: "unread-file",
        what: "100 connections ask for a large file and read nothing",
        named: &[],
        against: Service::Site,
        limits: "",
        run: unread::file,
    },
    Peer {
        name: "unread-echo",
        what: "100 connections send without end and read nothing of the echo",
        named: &[],
        against: Service::Echo,
        limits: "",
        run: unread::echo,
    },
    Peer {
        name: "resets",
        what: "resets after each byte of a request and of its answer",
        named: &[],
        against: Service::Site,
        limits: "connect-rate = 500",
        run: resets::at_every_byte,
    },
    Peer {
        name: "long-target",
        what: "a request whose target is 1 MiB long",
        named: &[],
        against: Service::Site,
        limits: "",
        run: oversized::target,
    },
    Peer {
        name: "long-field",
        what: "a request with a header field of 1 MiB",
        named: &[],
        against: Service::Site,
        limits: "",
        run: oversized::field,
    },
    Peer {
        name: "many-fields",
        what: "a request with 100,000 header fields",
        named: &[],
        against: Service::Site,
        limits: "",
        run: oversized::fields,
    },
    Peer {
        name: "long-body",
        what: "a request with a body of 1 TiB",
        named: &[],
        against: Service::Site,
        limits: "",
        run: oversized::body,
    },
    Peer {
        name: "odd-chunks",
        what: "bodies in chunks of impossible sizes, and of one byte with long extensions",
        named: &[],
        against: Service::Site,
        limits: "",
        run: oversized::chunks,
    },
    Peer {
        name: "pipeline",
        what: "requests by the thousand before any answer is read",
        named: &[],
        against: Service::Site,
        limits: "",
        run: oversized::pipeline,
    },
    Peer {
        name: "datagrams",
        what: "20,000 datagrams a second, of every size",
        named: &[],
        against: Service::Datagrams,
        limits: "",
        run: datagrams::flood,
    },
];
