//! The plugin over a simulated network, as the other side of a conversation: with TLS, certificates
//! and users, as it is served.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection};
use torsade::capability::credentials::{Checker, fingerprint};
use torsade::rehearsal::Stage;
use torsade::transport::tls::certificates::{CertificateFiles, Sources};
use torsade::transport::tls::pem::{Pair, Purpose};
use torsade::transport::tls::resumption::Resumption;
use torsade::transport::tls::settings::{self, MinVersion, ServerSide};
use torsade::transport::tls::trust::ClientTrustFile;
use torsade::transport::tls::{ServerConfig, TlsSettings};
use torsade_guest::testing::conversation::{Talker, Way};
use torsade_tests::certificates::{Authority, Identity};

use super::super::host::serving;
use super::super::site::Kind;
use super::table::configuration;

/// A stage that serves the plugin, in clear and by TLS.
pub(super) struct Component {
    pub(super) stage: Stage,
    /// The network's number for the listener that speaks TLS.
    tls: usize,
    /// The peers that speak TLS.
    secured: BTreeMap<usize, ClientConnection>,
}

impl Component {
    /// With the server of the dialogues, as one of them wants it.
    pub(super) fn new(config: &str) -> Result<Self> {
        let config = configuration(config).map_err(|what| anyhow!(what))?;
        let checker = Checker::of(&SIDES.users, [3; 32]).map_err(|what| anyhow!(what))?;
        let endpoints = Arc::new(["tcp:1".parse()?, "tls:2".parse()?]);
        let mut stage = serving(Kind::Irc, |settings| {
            settings.config = config.into();
            settings.checker = Some(checker);
            settings.endpoints = endpoints;
            settings.tls = TlsSettings {
                endpoints: vec![None, Some(Arc::clone(&SIDES.server))],
                server: Some(Arc::clone(&SIDES.server)),
                client: None,
            };
        })?;
        let tls = stage.listen(0, 1)?;
        Ok(Self { stage, tls, secured: BTreeMap::new() })
    }

    /// Begins TLS, and has it established.
    fn secure(&mut self, number: usize, certificate: Option<&str>) -> Result<()> {
        let config = SIDES.client(certificate)?;
        let name = ServerName::try_from("irc.test")?;
        self.secured.insert(number, ClientConnection::new(config, name)?);
        for _ in 0..FLIGHTS {
            self.hand_over(number);
            self.take_over(number)?;
            if self.secured.get(&number).is_some_and(|tls| !tls.is_handshaking()) {
                self.hand_over(number);
                return Ok(());
            }
        }
        Err(anyhow!("the handshake doesn't end"))
    }

    /// Sends what TLS has to send.
    fn hand_over(&mut self, number: usize) {
        let mut records = Vec::new();
        while let Some(tls) = self.secured.get_mut(&number).filter(|tls| tls.wants_write()) {
            tls.write_tls(&mut records).expect("memory takes what is written");
        }
        Talker::send(&mut self.stage, number, &records);
    }

    /// Takes what came, in clear.
    fn take_over(&mut self, number: usize) -> Result<Vec<u8>> {
        let received = self.stage.take(number);
        let Some(tls) = self.secured.get_mut(&number) else { return Ok(received) };
        let (mut records, mut clear) = (&received[..], Vec::new());
        while !records.is_empty() {
            tls.read_tls(&mut records)?;
            let state = tls.process_new_packets()?;
            let before = clear.len();
            clear.resize(before + state.plaintext_bytes_to_read(), 0);
            tls.reader().read_exact(&mut clear[before..])?;
        }
        Ok(clear)
    }
}

impl Talker for Component {
    fn connect(&mut self, number: usize, way: &Way) -> Result<(), String> {
        self.secured.remove(&number);
        if way.over != "tls" {
            return self.stage.connect(number, way);
        }
        self.stage.come(number, self.tls, way)?;
        let secured = self.secure(number, way.certificate.as_deref());
        secured.map_err(|error| format!("{error:#}"))
    }

    fn send(&mut self, number: usize, data: &[u8]) {
        match self.secured.get_mut(&number) {
            Some(tls) => {
                tls.writer().write_all(data).expect("TLS takes what is written");
                self.hand_over(number);
            }
            None => Talker::send(&mut self.stage, number, data),
        }
    }

    fn pass(&mut self, time: Duration) {
        Talker::pass(&mut self.stage, time);
    }

    fn end(&mut self, number: usize) {
        if let Some(tls) = self.secured.get_mut(&number) {
            tls.send_close_notify();
            self.hand_over(number);
        }
        self.stage.end(number);
    }

    fn lose(&mut self, number: usize) {
        self.stage.lose(number);
    }

    fn take(&mut self, number: usize) -> Vec<u8> {
        self.take_over(number).expect("the host speaks TLS")
    }

    fn is_cut_off(&mut self, number: usize) -> bool {
        self.stage.is_cut_off(number)
    }

    fn start_tls(&mut self, number: usize) -> Result<(), String> {
        self.secure(number, None).map_err(|error| format!("{error:#}"))
    }

    fn set_reading(&mut self, number: usize, reading: bool) -> Result<(), String> {
        self.stage.set_reading(number, reading)
    }
}

/// What both sides of TLS have, and who the users are: made once.
struct Sides {
    server: Arc<ServerConfig>,
    users: String,
    authority: Authority,
    alice: Identity,
    stranger: Identity,
}

impl Sides {
    fn new() -> Result<Self> {
        let (folder, authority) = (tempfile::tempdir()?, Authority::new("Authority")?);
        authority.sign(&["irc.test"])?.write(folder.path(), "own")?;
        let ca = folder.path().join("ca.pem");
        std::fs::write(&ca, authority.pem())?;
        let [cert, key] = ["own.pem", "own-key.pem"].map(|name| folder.path().join(name));
        let sources = Sources { cert: Some(Pair { cert, key }), folder: None };
        let files = CertificateFiles::load("it", sources, Purpose::Server, settings::now());
        let files = files.map_err(|problem| anyhow!("{problem}"))?;
        let trust = ClientTrustFile::load("it", &ca, false);
        let trust = trust.map_err(|problem| anyhow!("{problem}"))?;
        let server = settings::server(ServerSide {
            certificates: files.certificates(),
            clients: Some(trust.trust()),
            sessions: Resumption::new()?,
            alpn: Vec::new(),
            min_version: MinVersion::Tls12,
        })?;
        let (alice, stranger) = (authority.sign(&["alice"])?, authority.sign(&["stranger"])?);
        let shown = fingerprint(&CertificateDer::from_pem_slice(alice.cert.as_bytes())?);
        let shown: String = shown.iter().map(|byte| format!("{byte:02x}")).collect();
        let users = format!("{USERS}alice:certificate:{shown}\n");
        Ok(Self { server, users, authority, alice, stranger })
    }

    /// A client that shows the certificate of this name.
    fn client(&self, certificate: Option<&str>) -> Result<Arc<ClientConfig>> {
        let identity = match certificate {
            None => None,
            Some("alice") => Some(&self.alice),
            Some("stranger") => Some(&self.stranger),
            Some(other) => return Err(anyhow!("{other} has no certificate here")),
        };
        self.authority.client(identity).map(Arc::new).context("a certificate is one")
    }
}

static SIDES: LazyLock<Sides> = LazyLock::new(|| Sides::new().expect("certificates can be made"));

/// alice has the password `wonderland`, bob `builder`.
const USERS: &str = "\
:decoys:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=
alice:SCRAM-SHA-256$4096:c2FsdCBvZiBhbGljZSAxNg==$k/FpzyN0fgsJLIyEKi/roCHGRjABhUsG071NzQ3AwGY=:fEfTH+F873b9k1PKeKpwWCCyNKwXIfjANIvD9CBkpCs=
bob:SCRAM-SHA-256$4096:dGhlIHNhbHQgb2YgYm9iLg==$oE3NGfpLksugi0u3pautFXLHX1Dc8Hb+OLYiF7qDiIU=:K4P1996+zpQz/pkyT/spjaEtJIV2Lgq5PUxAoe3nYCA=
";

/// More flights than any handshake has.
const FLIGHTS: usize = 100;
