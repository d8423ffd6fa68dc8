//! Handshakes in memory, between the configurations that services get.

mod engine;
mod files;
mod files_sent;
mod renewal;
mod stream;
mod world;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{
    CertificateError, ClientConfig, ClientConnection, Connection, Error, HandshakeKind,
    ProtocolVersion, ServerConfig, ServerConnection,
};
use tempfile::TempDir;

use super::certificates::{CertificateFiles, Sources};
use super::issue::{Authority, Issued, KeyKind, Wanted};
use super::pem::{Pair, Purpose};
use super::resumption::Resumption;
use super::settings::{self, ClientSide, MinVersion, ServerSide, now};
use super::trust::{self, ClientTrustFile};
use crate::capability::tls_session::Certificate;

const DAY: i64 = 24 * 60 * 60;

/// A folder with an authority, and what it has signed.
struct Place {
    folder: TempDir,
    authority: Authority,
}

impl Place {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        // Signers of the same name would be taken for each other.
        let name = folder.path().display().to_string();
        let made = wanted(&[name]).authority().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("ca.pem"), &made.cert).unwrap();
        fs::write(at("ca.key"), &made.key).unwrap();
        let authority = Authority::read(&at("ca.pem"), &at("ca.key")).unwrap();
        Self { folder, authority }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn issue(&self, wanted: &Wanted<'_>) -> Issued {
        wanted.issue(Some(&self.authority)).unwrap()
    }

    /// Writes `FILE.pem`, with the key in it, of a certificate for these names.
    fn certificate(&self, file: &str, names: &[&str]) -> Pair {
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        self.keep(file, &self.issue(&wanted(&names)))
    }

    fn keep(&self, file: &str, issued: &Issued) -> Pair {
        let path = self.at(&format!("{file}.pem"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("{}{}", issued.cert, issued.key)).unwrap();
        Pair { cert: path.clone(), key: path }
    }

    fn client_certificate(&self, name: &str) -> Pair {
        let names = [name.to_owned()];
        let issued = self.issue(&Wanted { purpose: Purpose::Client, ..wanted(&names) });
        self.keep(name, &issued)
    }

    /// What a server is made of that shows a certificate.
    fn server_side(&self, cert: Pair) -> ServerSide {
        served(Sources { cert: Some(cert), folder: None })
    }

    /// What a client is made of that trusts the authority.
    fn client_side(&self) -> ClientSide {
        let roots = trust::roots(&self.at("ca.pem")).unwrap();
        ClientSide { certificates: None, roots, min_version: MinVersion::Tls12 }
    }

    fn client(&self) -> Arc<ClientConfig> {
        settings::client(self.client_side()).unwrap()
    }

    /// A client that shows a certificate.
    fn client_with(&self, cert: Pair) -> Arc<ClientConfig> {
        let sources = Sources { cert: Some(cert), folder: None };
        let files = CertificateFiles::load("test", sources, Purpose::Client, now()).unwrap();
        let certificates = Some(files.certificates());
        settings::client(ClientSide { certificates, ..self.client_side() }).unwrap()
    }
}

fn wanted(names: &[String]) -> Wanted<'_> {
    Wanted { names, purpose: Purpose::Server, days: 30, key: KeyKind::Ecdsa, now: now() }
}

fn served(sources: Sources) -> ServerSide {
    let files = CertificateFiles::load("test", sources, Purpose::Server, now()).unwrap();
    ServerSide {
        certificates: files.certificates(),
        clients: None,
        sessions: Resumption::new().unwrap(),
        alpn: Vec::new(),
        min_version: MinVersion::Tls12,
    }
}

/// Both ends of a connection, after a handshake.
struct Ends {
    client: Connection,
    server: Connection,
}

/// Which side gave up, and why.
#[derive(Debug, PartialEq)]
enum Refusal {
    Client(Error),
    Server(Error),
}

impl Ends {
    /// The host names of the certificate that the server has shown.
    fn shown(&self) -> Vec<String> {
        let certificates = self.client.peer_certificates().unwrap();
        Certificate::parse(&certificates[0]).names
    }

    /// Whether each end says that it has resumed a session.
    fn resumed(&self) -> [bool; 2] {
        [&self.client, &self.server].map(|end| end.handshake_kind() == Some(HandshakeKind::Resumed))
    }
}

fn shake(
    client: &Arc<ClientConfig>,
    server: &Arc<ServerConfig>,
    name: &str,
) -> Result<Ends, Refusal> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let client = ClientConnection::new(Arc::clone(client), name).unwrap().into();
    let server = ServerConnection::new(Arc::clone(server)).unwrap().into();
    let mut ends = Ends { client, server };
    while ends.client.wants_write() || ends.server.wants_write() {
        carry(&mut ends.client, &mut ends.server).map_err(Refusal::Server)?;
        carry(&mut ends.server, &mut ends.client).map_err(Refusal::Client)?;
    }
    assert!(!ends.client.is_handshaking() && !ends.server.is_handshaking());
    Ok(ends)
}

fn carry(from: &mut Connection, to: &mut Connection) -> Result<(), Error> {
    let mut bytes = Vec::new();
    while from.wants_write() {
        from.write_tls(&mut bytes).unwrap();
    }
    let mut bytes = &bytes[..];
    while !bytes.is_empty() {
        to.read_tls(&mut bytes).unwrap();
        to.process_new_packets()?;
    }
    Ok(())
}

const WITH_TLS_1_2: [bool; 2] = [true, false];

/// A client that speaks only TLS 1.2, or one that speaks 1.3 too.
fn client_of(place: &Place, only_1_2: bool) -> Arc<ClientConfig> {
    let whole = place.client();
    if !only_1_2 {
        return whole;
    }
    let provider = Arc::clone(whole.crypto_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap();
    Arc::new(builder.with_root_certificates(place.client_side().roots).with_no_client_auth())
}

#[test]
fn a_handshake_ends_with_what_both_have_in_common() {
    let place = Place::new();
    let side = place.server_side(place.certificate("a", &["a.test", "127.0.0.1"]));
    let server = settings::server(side.clone()).unwrap();
    for (only_1_2, version) in [(true, ProtocolVersion::TLSv1_2), (false, ProtocolVersion::TLSv1_3)]
    {
        for name in ["a.test", "127.0.0.1"] {
            let ends = shake(&client_of(&place, only_1_2), &server, name).unwrap();
            assert_eq!(ends.client.protocol_version(), Some(version));
            assert_eq!(ends.server.protocol_version(), Some(version));
        }
    }
    let newest = settings::server(ServerSide { min_version: MinVersion::Tls13, ..side }).unwrap();
    assert!(shake(&place.client(), &newest, "a.test").is_ok());
    let refused = shake(&client_of(&place, true), &newest, "a.test").err().unwrap();
    assert!(matches!(refused, Refusal::Server(Error::PeerIncompatible(_))), "{refused:?}");
}

#[test]
fn a_client_takes_no_certificate_that_is_not_for_the_server() {
    let place = Place::new();
    let server = settings::server(place.server_side(place.certificate("a", &["a.test"]))).unwrap();
    for name in ["b.test", "a.test.b", "127.0.0.1"] {
        let refused = shake(&place.client(), &server, name).err().unwrap();
        let Refusal::Client(Error::InvalidCertificate(problem)) = refused else {
            panic!("{name}: {refused:?}")
        };
        assert!(matches!(problem, CertificateError::NotValidForNameContext { .. }), "{problem:?}");
    }
}

#[test]
fn a_client_takes_no_certificate_of_somebody_else_or_of_yesterday() {
    let (place, other) = (Place::new(), Place::new());
    let server = settings::server(place.server_side(place.certificate("a", &["a.test"]))).unwrap();
    let refused = shake(&other.client(), &server, "a.test").err().unwrap();
    let unknown = Error::InvalidCertificate(CertificateError::UnknownIssuer);
    assert_eq!(refused, Refusal::Client(unknown));

    // Taken up while it was valid.
    let names = ["a.test".to_owned()];
    let old = place.issue(&Wanted { now: now() - 40 * DAY, ..wanted(&names) });
    let sources = Sources { cert: Some(place.keep("old", &old)), folder: None };
    let then = now() - 20 * DAY;
    let files = CertificateFiles::load("test", sources, Purpose::Server, then).unwrap();
    let side = place.server_side(place.certificate("a", &["a.test"]));
    let side = ServerSide { certificates: files.certificates(), ..side };
    let refused = shake(&place.client(), &settings::server(side).unwrap(), "a.test").err().unwrap();
    let Refusal::Client(Error::InvalidCertificate(problem)) = refused else {
        panic!("{refused:?}")
    };
    assert!(matches!(problem, CertificateError::ExpiredContext { .. }), "{problem:?}");
}

#[test]
fn a_client_without_a_certificate_is_turned_away_where_one_is_required() {
    let place = Place::new();
    let (own, alice) = (place.certificate("a", &["a.test"]), place.client_certificate("alice"));
    let server = |required: bool| {
        let file = ClientTrustFile::load("test", &place.at("ca.pem"), required).unwrap();
        let side = place.server_side(own.clone());
        settings::server(ServerSide { clients: Some(file.trust()), ..side }).unwrap()
    };
    let refused = shake(&place.client(), &server(true), "a.test").err().unwrap();
    assert_eq!(refused, Refusal::Server(Error::NoCertificatesPresented));
    let ends = shake(&place.client(), &server(false), "a.test").unwrap();
    assert!(ends.server.peer_certificates().is_none());

    for required in [true, false] {
        let ends = shake(&place.client_with(alice.clone()), &server(required), "a.test").unwrap();
        let shown = ends.server.peer_certificates().unwrap();
        assert_eq!(Certificate::parse(&shown[0]).subject, "CN=alice");
    }
    // A server's certificate is none for a client.
    let misused = Sources { cert: Some(own.clone()), folder: None };
    let misused = CertificateFiles::load("test", misused, Purpose::Client, now()).err().unwrap();
    assert!(misused.to_string().ends_with("is not for clients (extended key usage)"), "{misused}");
}

#[test]
fn a_stranger_is_turned_away_even_where_a_certificate_is_optional() {
    let (place, strange) = (Place::new(), Place::new());
    let client = place.client_with(strange.client_certificate("mallory"));
    let file = ClientTrustFile::load("test", &place.at("ca.pem"), false).unwrap();
    let side = place.server_side(place.certificate("a", &["a.test"]));
    let server = settings::server(ServerSide { clients: Some(file.trust()), ..side }).unwrap();
    let refused = shake(&client, &server, "a.test").err().unwrap();
    let unknown = Error::InvalidCertificate(CertificateError::UnknownIssuer);
    assert_eq!(refused, Refusal::Server(unknown));
}

#[test]
fn protocols_are_agreed_on_or_the_handshake_fails() {
    let place = Place::new();
    let side = place.server_side(place.certificate("a", &["a.test"]));
    let alpn = ["h2", "http/1.1"].map(str::to_owned).to_vec();
    let server = settings::server(ServerSide { alpn, ..side }).unwrap();
    let agreed = |offered: &[&str]| {
        let mut client = (*place.client()).clone();
        client.alpn_protocols = offered.iter().map(|name| name.as_bytes().to_vec()).collect();
        shake(&Arc::new(client), &server, "a.test")
            .map(|ends| ends.server.alpn_protocol().map(<[u8]>::to_vec))
    };
    assert_eq!(agreed(&["http/1.1", "h2"]), Ok(Some(b"h2".to_vec())));
    assert_eq!(agreed(&["http/1.1"]), Ok(Some(b"http/1.1".to_vec())));
    assert_eq!(agreed(&[]), Ok(None));
    assert_eq!(agreed(&["smtp"]), Err(Refusal::Server(Error::NoApplicationProtocol)));
}

#[test]
fn a_session_is_resumed_on_another_worker() {
    let place = Place::new();
    let side = place.server_side(place.certificate("a", &["a.test"]));
    let workers = [(); 2].map(|()| settings::server(side.clone()).unwrap());
    for only_1_2 in WITH_TLS_1_2 {
        let client = client_of(&place, only_1_2);
        assert_eq!(shake(&client, &workers[0], "a.test").unwrap().resumed(), [false, false]);
        assert_eq!(shake(&client, &workers[1], "a.test").unwrap().resumed(), [true, true]);
        // Other sessions are no reason to resume.
        let other = ServerSide { sessions: Resumption::new().unwrap(), ..side.clone() };
        let other = settings::server(other).unwrap();
        assert_eq!(shake(&client, &other, "a.test").unwrap().resumed(), [false, false]);
    }
}

#[test]
fn a_client_that_knows_no_tickets_resumes_from_the_cache() {
    let place = Place::new();
    let side = place.server_side(place.certificate("a", &["a.test"]));
    let workers = [(); 2].map(|()| settings::server(side.clone()).unwrap());
    let mut client = (*client_of(&place, true)).clone();
    let sessions = rustls::client::Resumption::in_memory_sessions(8);
    client.resumption = sessions.tls12_resumption(rustls::client::Tls12Resumption::SessionIdOnly);
    let client = Arc::new(client);
    assert_eq!(shake(&client, &workers[0], "a.test").unwrap().resumed(), [false, false]);
    assert_eq!(shake(&client, &workers[1], "a.test").unwrap().resumed(), [true, true]);
}

#[test]
fn nothing_is_sent_before_the_handshake_is_over() {
    let place = Place::new();
    let server = settings::server(place.server_side(place.certificate("a", &["a.test"]))).unwrap();
    let mut client = (*place.client()).clone();
    client.enable_early_data = true;
    let client = Arc::new(client);
    shake(&client, &server, "a.test").unwrap();
    let name = ServerName::try_from("a.test").unwrap();
    // Even a client that would send early data to a server that it knows is not let to.
    let mut again = ClientConnection::new(client, name).unwrap();
    assert!(again.early_data().is_none());
}
