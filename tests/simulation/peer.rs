//! The far ends: what each sent, and what it got.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use torsade::net::Address;
use torsade::net::sim::{Far, SimNet};

use super::http::{self, Request};
use super::site::Kind;

/// A peer of a service.
pub(crate) struct Peer {
    pub(crate) far: Far,
    pub(crate) kind: Kind,
    /// By which the host knows it.
    pub(crate) address: Address,
    /// The host connected to it.
    pub(crate) is_dialled: bool,
    /// The reactor's number for its connection, once that was built.
    pub(crate) conn: Option<u64>,
    /// All that it sent, as far as it could.
    pub(crate) sent: Vec<u8>,
    /// What it asked for, of an HTTP server.
    pub(crate) requests: Vec<Request>,
    pub(crate) got: Vec<u8>,
    /// It ended its half in order.
    pub(crate) has_ended: bool,
    /// It reset the connection, or went away.
    pub(crate) is_rude: bool,
    /// It saw a reset.
    pub(crate) has_reset: bool,
    /// It stopped reading for good.
    pub(crate) is_stuck: bool,
    /// The service may refuse it: why it was not served, else, is a mistake of the host.
    pub(crate) may_refuse: bool,
    /// The service may be short of means.
    pub(crate) may_fail: bool,
    /// The host is stopping: not all requests are answered.
    pub(crate) may_be_cut_short: bool,
}

impl Peer {
    pub(crate) fn new(far: Far, kind: Kind) -> Self {
        Self {
            far,
            kind,
            address: SimNet::far_address(far),
            is_dialled: false,
            conn: None,
            sent: Vec::new(),
            requests: Vec::new(),
            got: Vec::new(),
            has_ended: false,
            is_rude: false,
            has_reset: false,
            is_stuck: false,
            may_refuse: false,
            may_fail: false,
            may_be_cut_short: false,
        }
    }

    /// One that the host connects to. The attempt may be given up before it is a connection.
    pub(crate) fn dialled(far: Far, address: Address, is_rude: bool) -> Self {
        let peer = Self::new(far, Kind::Asker);
        Self { address, is_dialled: true, is_rude, may_refuse: true, ..peer }
    }

    /// One whom a proxy hands over, and the header that says so.
    pub(crate) fn proxied(far: Far, kind: Kind) -> (Self, Vec<u8>) {
        let Address::Tcp(proxy) = SimNet::far_address(far) else { unreachable!("it is TCP") };
        let client = SocketAddr::from(([203, 0, 113, 1], proxy.port()));
        let header = format!("PROXY TCP4 {} 198.51.100.1 {} 7\r\n", client.ip(), client.port());
        (Self { address: Address::Tcp(client), ..Self::new(far, kind) }, header.into_bytes())
    }

    /// Whether it may do more.
    pub(crate) fn is_active(&self) -> bool {
        !self.has_ended && !self.is_rude
    }

    pub(crate) fn may_be_refused(&self) -> Result<()> {
        ensure!(self.may_refuse || self.is_rude, "it was refused, and nothing refuses it");
        Ok(())
    }

    /// Holds what it got against what its service does with what it sent. `all` says that nothing
    /// is missing; the connection may have been closed by the service.
    pub(crate) fn check_answers(&self, all: bool) -> Result<()> {
        match self.kind {
            Kind::Echo => {
                ensure!(self.sent.starts_with(&self.got), "the echo is not what was sent");
                let (sent, got) = (self.sent.len(), self.got.len());
                ensure!(!all || sent == got, "{got} of {sent} bytes came back");
            }
            Kind::Http => {
                let answered = http::check(&self.requests, &self.got, self.may_fail)?;
                let complete = answered.closed || answered.count == self.requests.len();
                let (count, wanted) = (answered.count, self.requests.len());
                ensure!(
                    !all || complete || self.may_be_cut_short,
                    "{count} of {wanted} requests were answered"
                );
            }
            Kind::Asker
            | Kind::Datagrams
            | Kind::Irc
            | Kind::Login
            | Kind::Stranger
            | Kind::Unruly => {}
        }
        Ok(())
    }

    /// Takes what arrived, which must be what comes next of `promised`.
    pub(crate) fn take(&mut self, arrived: &[u8], promised: Option<&[u8]>) -> Result<()> {
        if arrived.is_empty() {
            return Ok(());
        }
        let promised = promised.context("bytes arrived on no connection")?;
        let at = self.got.len();
        let expected = promised.get(at..at + arrived.len());
        ensure!(expected == Some(arrived), "bytes arrived at {at} that nobody wrote there");
        self.got.extend(arrived);
        Ok(())
    }
}
