//! Connections that a proxy hands over: its header comes before TLS and the protocol, and says
//! whose they are.

use ipnet::IpNet;

use super::conn::{Conn, ConnId};
use super::service::{ServiceSettings, peer_ip};
use super::{Answer, Due, Reactor};
use crate::net::{Address, Net};
use crate::plugin::Origin;
use crate::pool::Pool;
use crate::transport::proxy::{self, Header};
use crate::transport::stream::{End, Read};

impl ServiceSettings {
    /// Whether connections that come so begin with a header of the PROXY protocol.
    pub(super) fn is_proxied(&self, origin: Origin) -> bool {
        let Origin::Accepted(endpoint) = origin else { return false };
        self.endpoints.get(endpoint as usize).is_some_and(|endpoint| endpoint.proxied)
    }

    /// Whether such a header is believed. Who may open a Unix socket is the file system's to say.
    pub(super) fn trusts(&self, proxy: &Address) -> bool {
        let among = |ip| self.trusted_proxies.iter().any(|net: &IpNet| net.contains(&ip));
        peer_ip(proxy).is_none_or(among)
    }

    fn endpoint_name(&self, origin: Origin) -> String {
        let Origin::Accepted(endpoint) = origin else { return String::new() };
        self.endpoints.get(endpoint as usize).map(ToString::to_string).unwrap_or_default()
    }
}

impl<N: Net, P: Pool<Answer>> Reactor<N, P> {
    /// The connection's protocol waits for the proxy's header.
    pub(super) fn await_header(&mut self, id: ConnId<N::Stream>) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        conn.header = Some(Vec::new());
        let service = &mut self.services[conn.service];
        let leads_to_tls = service.settings.tls_of(conn.origin).is_some();
        service.handshakes += usize::from(leads_to_tls);
        let at = self.net.now() + service.settings.handshake;
        self.add_timer(at, Due::Header(id.to_u64()));
    }

    /// The header is not waited for any more: what came of it, if it was.
    pub(super) fn end_header(&mut self, id: ConnId<N::Stream>) -> Option<Vec<u8>> {
        let conn = self.conns.get_mut(id)?;
        let bytes = conn.header.take()?;
        let service = &mut self.services[conn.service];
        let leads_to_tls = service.settings.tls_of(conn.origin).is_some();
        service.handshakes -= usize::from(leads_to_tls);
        Some(bytes)
    }

    /// Reads what there is of the header.
    pub(super) fn read_header(&mut self, id: ConnId<N::Stream>) {
        // It ends: a header that is still cut short has fewer bytes than there may be.
        loop {
            let Some(conn) = self.conns.get_mut(id) else { return };
            let Some(bytes) = conn.header.as_mut().filter(|_| conn.stream.is_open()) else {
                return;
            };
            match conn.stream.read(&mut self.net, &mut self.buffers, usize::MAX) {
                Read::Data(n) => {
                    bytes.extend_from_slice(&self.buffers.plain[..n]);
                    match proxy::parse(bytes) {
                        Ok(None) => {}
                        Ok(Some(header)) => return self.on_header(id, header),
                        Err(problem) => return self.refuse_header(id, &problem),
                    }
                }
                // How proxies look whether somebody listens.
                Read::End if bytes.is_empty() => {
                    conn.stream.end(End::Done);
                    return self.touch(id);
                }
                Read::End => {
                    let problem = format!("it ended after {} bytes of a PROXY header", bytes.len());
                    return self.refuse_header(id, &problem);
                }
                Read::Records => {}
                Read::Nothing | Read::Secured => {
                    if conn.stream.ended().is_some() {
                        self.touch(id);
                    }
                    return;
                }
            }
        }
    }

    /// The header is complete: the connection is the client's.
    fn on_header(&mut self, id: ConnId<N::Stream>, header: Header) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        let service = conn.service;
        let client = header.route.as_ref().map_or(&conn.peer, |route| &route.source).clone();
        let Some(admitted) = self.admit(service, &client) else {
            return self.give_up_conn(id, "its peer may not come");
        };
        self.enforce(id, admitted);
        let bytes = self.end_header(id).unwrap_or_default();
        let Some(conn) = self.conns.get_mut(id) else { return };
        let settings = &self.services[service].settings;
        conn.stream.unread(&bytes[header.length..]);
        if let Some(route) = header.route {
            let (name, proxy) = (&*settings.name, &conn.peer);
            tracing::debug!(service = name, %proxy, peer = %route.source, "a proxied connection");
            (conn.peer, conn.local) = (route.source, Some(Box::new(route.destination)));
        }
        self.begin(id);
    }

    /// The time for the header is over.
    pub(super) fn on_header_due(&mut self, id: ConnId<N::Stream>) {
        let waits = self.conns.get(id).filter(|conn| conn.header.is_some());
        if let Some(service) = waits.map(Conn::service) {
            self.reached(service, "handshake");
            self.refuse_header(id, "its PROXY header did not come within limits.handshake");
        }
    }

    fn refuse_header(&mut self, id: ConnId<N::Stream>, problem: &str) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        let service = &mut self.services[conn.service];
        let told = service.refused_headers.happened(self.told);
        let (settings, peer) = (&service.settings, &conn.peer);
        let (service, endpoint) = (&*settings.name, settings.endpoint_name(conn.origin));
        match told {
            None => tracing::debug!(service, endpoint, %peer, "a connection is refused: {problem}"),
            Some(1) => {
                tracing::warn!(service, endpoint, %peer, "a connection is refused: {problem}");
            }
            Some(count) => {
                let what = format!("{count} connections are refused, this one: {problem}");
                tracing::warn!(service, endpoint, %peer, "{what}");
            }
        }
        conn.stream.end(End::Aborted("its PROXY header is not right"));
        self.touch(id);
    }
}
