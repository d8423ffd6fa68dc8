//! `tls`: handshakes that a plugin asks for, and what they came to.

use std::sync::Arc;

use wasmtime::Result;
use wasmtime::component::Resource;

use super::super::bindings::torsade::plugin::{tls, types};
use super::super::outbox::{
    CertificateHandle, Effect, Guest, OutcomeHandle, SessionHandle, Side, TransportHandle,
};
use super::{Asked, Done, failure};
use crate::capability::Outcome;
use crate::capability::tls_session::{Certificate, Session};

impl tls::Host for Guest {
    fn start(
        &mut self,
        of: Resource<TransportHandle>,
        side: tls::Side,
        alpn: Vec<String>,
    ) -> Result<Asked> {
        let handle = self.transports.get(&of)?;
        let (conn, open, encrypted) = (handle.conn, handle.open, handle.encrypted);
        if encrypted {
            return Ok(Err(failure("unsupported", "the transport is encrypted already")));
        }
        if !open {
            return Ok(Err(failure("closed", "the transport is closed, or closing")));
        }
        if alpn.len() > ALPN_MAX || alpn.iter().any(|name| !(1..=255).contains(&name.len())) {
            let message = format!("at most {ALPN_MAX} protocols, each of 1 to 255 bytes");
            return Ok(Err(failure("invalid", message)));
        }
        let side = match side {
            tls::Side::Server => Side::Server,
            tls::Side::Client(name) => Side::Client(name),
        };
        let name = if let Side::Client(name) = &side { name.len() } else { 0 };
        self.owns(name + alpn.iter().map(String::len).sum::<usize>())?;
        let asked = self.ask(|id| Effect::StartTls { id, conn, side, alpn })?;
        if asked.is_ok() {
            self.transports.get_mut(&of)?.encrypted = true;
        }
        Ok(asked)
    }

    fn started(&mut self, of: Resource<OutcomeHandle>) -> Result<Done> {
        Ok(match self.take_outcome(&of)? {
            Outcome::Secured => Ok(()),
            other => Err(self.not_wanted(other, "a handshake")?),
        })
    }

    fn session(
        &mut self,
        of: Resource<TransportHandle>,
    ) -> Result<std::result::Result<Resource<SessionHandle>, types::Failure>> {
        let Some(session) = self.transports.get(&of)?.session.clone() else {
            return Ok(Err(failure("unsupported", "the transport is not encrypted")));
        };
        self.may_hold_another()?;
        Ok(Ok(self.sessions.push(SessionHandle(session))))
    }
}

impl tls::HostTlsSession for Guest {
    fn version(&mut self, this: Resource<SessionHandle>) -> Result<String> {
        Ok(self.agreed(&this)?.version.to_owned())
    }

    fn cipher(&mut self, this: Resource<SessionHandle>) -> Result<String> {
        Ok(self.agreed(&this)?.cipher.to_owned())
    }

    fn alpn(&mut self, this: Resource<SessionHandle>) -> Result<Option<String>> {
        Ok(self.agreed(&this)?.alpn.clone())
    }

    fn server_name(&mut self, this: Resource<SessionHandle>) -> Result<Option<String>> {
        Ok(self.agreed(&this)?.server_name.clone())
    }

    fn resumed(&mut self, this: Resource<SessionHandle>) -> Result<bool> {
        Ok(self.agreed(&this)?.resumed)
    }

    fn peer_certificates(
        &mut self,
        this: Resource<SessionHandle>,
    ) -> Result<Vec<Resource<CertificateHandle>>> {
        let session = Arc::clone(&self.sessions.get(&this)?.0);
        let mut handles = Vec::new();
        for place in 0..session.certificates.len() {
            self.may_hold_another()?;
            handles.push(self.certificates.push(CertificateHandle(Arc::clone(&session), place)));
        }
        Ok(handles)
    }

    fn drop(&mut self, this: Resource<SessionHandle>) -> Result<()> {
        self.sessions.take(&this)?;
        Ok(())
    }
}

impl tls::HostCertificate for Guest {
    fn der(&mut self, this: Resource<CertificateHandle>) -> Result<Vec<u8>> {
        Ok(self.certificate(&this)?.der.clone())
    }

    fn fingerprint(&mut self, this: Resource<CertificateHandle>) -> Result<Vec<u8>> {
        Ok(self.certificate(&this)?.fingerprint.to_vec())
    }

    fn subject(&mut self, this: Resource<CertificateHandle>) -> Result<String> {
        Ok(self.certificate(&this)?.subject.clone())
    }

    fn issuer(&mut self, this: Resource<CertificateHandle>) -> Result<String> {
        Ok(self.certificate(&this)?.issuer.clone())
    }

    fn names(&mut self, this: Resource<CertificateHandle>) -> Result<Vec<String>> {
        Ok(self.certificate(&this)?.names.clone())
    }

    fn serial(&mut self, this: Resource<CertificateHandle>) -> Result<String> {
        Ok(self.certificate(&this)?.serial.clone())
    }

    fn not_before(&mut self, this: Resource<CertificateHandle>) -> Result<types::Datetime> {
        Ok(types::Datetime { seconds: self.certificate(&this)?.not_before, nanoseconds: 0 })
    }

    fn not_after(&mut self, this: Resource<CertificateHandle>) -> Result<types::Datetime> {
        Ok(types::Datetime { seconds: self.certificate(&this)?.not_after, nanoseconds: 0 })
    }

    fn drop(&mut self, this: Resource<CertificateHandle>) -> Result<()> {
        self.certificates.take(&this)?;
        Ok(())
    }
}

impl Guest {
    fn agreed(&self, this: &Resource<SessionHandle>) -> Result<&Session> {
        Ok(&self.sessions.get(this)?.0)
    }

    fn certificate(&self, this: &Resource<CertificateHandle>) -> Result<&Certificate> {
        let CertificateHandle(session, place) = self.certificates.get(this)?;
        Ok(&session.certificates[*place])
    }
}

/// The most protocols that one side may offer.
const ALPN_MAX: usize = 16;
