//! From a configuration to what its services encrypt with.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use rustls::RootCertStore;

use crate::config::{Config, Service, Tls};
use crate::grants::Grant;
use crate::reactor::ServiceSettings;
use crate::transport::endpoint::Identity;
use crate::transport::tls::TlsSettings;
use crate::transport::tls::certificates::{CertificateFiles, Certificates, Sources};
use crate::transport::tls::pem::{Pair, Purpose};
use crate::transport::tls::resumption::Resumption;
use crate::transport::tls::self_signed::SelfSigned;
use crate::transport::tls::settings::{self, ClientSide, ServerSide};
use crate::transport::tls::trust::{self, ClientTrustFile};
use crate::transport::tls::watch::Watch;

/// Reads all certificates, and says what each service encrypts with. What may change of each while
/// they are served is in the result. `make` allows for making the certificates that sign themselves.
pub(super) fn encrypt(
    config: &Config,
    services: &mut [ServiceSettings],
    make: bool,
) -> Result<Vec<Watch>> {
    let (mut watches, mut system_roots) = (Vec::new(), None);
    for (service, settings) in config.services.iter().zip(services) {
        let mut watch = Watch::default();
        let mut loading =
            Loading { config, service, make, watch: &mut watch, roots: &mut system_roots };
        settings.tls = loading.load().with_context(|| format!("service.{}", service.name))?;
        watches.push(watch);
    }
    Ok(watches)
}

/// What the services of a configuration are asked for, one after the other.
struct Loading<'a> {
    config: &'a Config,
    service: &'a Service,
    make: bool,
    watch: &'a mut Watch,
    /// Whom the system trusts, read for the first that needs it.
    roots: &'a mut Option<Arc<RootCertStore>>,
}

impl Loading<'_> {
    fn load(&mut self) -> Result<TlsSettings> {
        let Service { tls, listen, grants, .. } = self.service;
        let mut settings = TlsSettings::default();
        let encrypts = listen.iter().any(|endpoint| endpoint.tls.is_some());
        if encrypts || tls.has_certificate() {
            let side = self.server_side()?;
            settings.server =
                tls.has_certificate().then(|| settings::server(side.clone())).transpose()?;
            for endpoint in listen {
                let config = match &endpoint.tls {
                    None => None,
                    Some(Identity { cert: None, .. }) => settings.server.clone(),
                    Some(Identity { cert: Some(cert), key }) => {
                        let key = key.as_ref().unwrap_or(cert).clone();
                        let cert = Some(Pair { cert: cert.clone(), key });
                        let certificates =
                            self.certificates(Sources { cert, folder: None }, Purpose::Server)?;
                        Some(settings::server(ServerSide { certificates, ..side.clone() })?)
                    }
                };
                settings.endpoints.push(config);
            }
        } else {
            settings.endpoints.resize(listen.len(), None);
        }
        if grants.allows(Grant::Connect) || tls.trust.is_some() {
            settings.client = Some(settings::client(self.client_side()?)?);
        }
        Ok(settings)
    }

    fn server_side(&mut self) -> Result<ServerSide> {
        let tls = &self.service.tls;
        let sessions = Resumption::new().context("no keys for tickets")?;
        let clients = match &tls.clients {
            Some(clients) => {
                let whose = self.whose();
                let file = ClientTrustFile::load(&whose, &clients.ca, clients.required)
                    .map_err(|problem| anyhow!("tls.client-ca: {problem}"))?;
                let trust = file.trust();
                self.watch.trust.push((file, Arc::clone(&sessions)));
                Some(trust)
            }
            None => None,
        };
        let certificates = match self.sources()? {
            Some(sources) => self.certificates(sources, Purpose::Server)?,
            None => Arc::default(),
        };
        let (alpn, min_version) = (tls.alpn.clone(), tls.min_version);
        Ok(ServerSide { certificates, clients, sessions, alpn, min_version })
    }

    /// The service's own certificates, if there are any that can be read now.
    fn sources(&mut self) -> Result<Option<Sources>> {
        let Tls { cert, folder, self_signed, .. } = &self.service.tls;
        if self_signed.is_empty() {
            let sources = Sources { cert: cert.clone(), folder: folder.clone() };
            return Ok(self.service.tls.has_certificate().then_some(sources));
        }
        if !self.make {
            return Ok(None);
        }
        let path = self.self_signed_file();
        let kept = SelfSigned::keep(&self.whose(), &path, self_signed, settings::now())
            .map_err(|problem| anyhow!("tls.self-signed: {problem}"))?;
        let sources = Sources { cert: Some(kept.pair()), folder: None };
        self.watch.self_signed.push(kept);
        Ok(Some(sources))
    }

    fn client_side(&mut self) -> Result<ClientSide> {
        let tls = &self.service.tls;
        let certificates = match &tls.client_cert {
            Some(pair) => {
                let sources = Sources { cert: Some(pair.clone()), folder: None };
                Some(self.certificates(sources, Purpose::Client)?)
            }
            None => None,
        };
        let roots = match &tls.trust {
            Some(path) => trust::roots(path).map_err(|problem| anyhow!("tls.trust: {problem}"))?,
            None => Arc::clone(self.roots.get_or_insert_with(trust::system_roots)),
        };
        Ok(ClientSide { certificates, roots, min_version: tls.min_version })
    }

    fn certificates(&mut self, sources: Sources, purpose: Purpose) -> Result<Arc<Certificates>> {
        let files = CertificateFiles::load(&self.whose(), sources, purpose, settings::now())
            .map_err(|problem| anyhow!("tls: {problem}"))?;
        let certificates = files.certificates();
        self.watch.certificates.push(files);
        Ok(certificates)
    }

    fn whose(&self) -> String {
        format!("service.{}", self.service.name)
    }

    /// Beside the service's database: `SERVICE.self-signed.pem` below `state`.
    fn self_signed_file(&self) -> PathBuf {
        self.config.state.join(format!("{}.self-signed.pem", self.service.name))
    }
}
