//! Certificates that tests make for themselves, and a TLS that trusts them.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// Somebody who signs certificates.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key.
pub struct Identity {
    /// In PEM.
    pub cert: String,
    /// In PEM.
    pub key: String,
    der: Vec<u8>,
    key_der: Vec<u8>,
}

impl Authority {
    /// One with this name.
    pub fn new(name: &str) -> Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Ok(Self(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?))
    }

    /// Its own certificate, in PEM.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for these names, whose subject is the first.
    pub fn sign(&self, names: &[&str]) -> Result<Identity> {
        self.sign_with(names, |_| {})
    }

    /// The same, with what `change` makes of it.
    pub fn sign_with(
        &self,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Result<Identity> {
        let all: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(all)?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, names[0]);
        change(&mut params);
        let key = KeyPair::generate()?;
        let cert = params.signed_by(&key, &self.0)?;
        let (der, key_der) = (cert.der().to_vec(), key.serialize_der());
        Ok(Identity { cert: cert.pem(), key: key.serialize_pem(), der, key_der })
    }

    /// A client that trusts it, and shows `identity`, if there is one.
    pub fn client(&self, identity: Option<&Identity>) -> Result<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone())?;
        let builder = ClientConfig::builder().with_root_certificates(roots);
        Ok(match identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                builder.with_client_auth_cert(vec![identity.der.clone().into()], identity.key())?
            }
        })
    }
}

impl Identity {
    /// A server that shows it.
    pub fn server(&self) -> Result<Arc<ServerConfig>> {
        let builder = ServerConfig::builder().with_no_client_auth();
        Ok(Arc::new(builder.with_single_cert(vec![self.der.clone().into()], self.key())?))
    }

    /// Writes `NAME.pem` and `NAME-key.pem` into a folder.
    pub fn write(&self, folder: &Path, name: &str) -> Result<()> {
        std::fs::write(folder.join(format!("{name}.pem")), &self.cert)?;
        // Only for its user: the host warns of others.
        let mut options = std::fs::File::options();
        let options = options.write(true).create(true).truncate(true).mode(0o600);
        let mut key = options.open(folder.join(format!("{name}-key.pem")))?;
        Ok(key.write_all(self.key.as_bytes())?)
    }

    fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(self.key_der.clone().into())
    }
}
