//! Files that change while they are served.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustls::{ClientConfig, Error, ServerConfig};

use super::{DAY, Place, Refusal, shake, wanted};
use crate::transport::tls::certificates::{CertificateFiles, Sources};
use crate::transport::tls::issue::Wanted;
use crate::transport::tls::pem::{Pair, Purpose};
use crate::transport::tls::resumption::Resumption;
use crate::transport::tls::self_signed::SelfSigned;
use crate::transport::tls::settings::{self, ServerSide, now};
use crate::transport::tls::trust::ClientTrustFile;
use crate::transport::tls::watch::{Watch, Watching};

/// A server with what looks after its certificates.
struct Renewing {
    files: CertificateFiles,
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

impl Renewing {
    fn new(place: &Place, sources: Sources) -> Self {
        let files = CertificateFiles::load("test", sources, Purpose::Server, now()).unwrap();
        let side = place.server_side(place.certificate("any", &["any.test"]));
        let side = ServerSide { certificates: files.certificates(), ..side };
        Self { files, server: settings::server(side).unwrap(), client: place.client() }
    }

    /// As often as it takes to see a change.
    fn look(&mut self) {
        self.look_at(now());
    }

    fn look_at(&mut self, now: i64) {
        self.files.look(now);
        self.files.look(now);
    }

    /// The names of the certificate that is shown for the first of them.
    fn shown(&self, name: &str) -> Vec<String> {
        shake(&without_resumption(&self.client), &self.server, name).unwrap().shown()
    }
}

/// A session of before would show what it was shown.
fn without_resumption(client: &ClientConfig) -> Arc<ClientConfig> {
    let mut client = client.clone();
    client.resumption = rustls::client::Resumption::disabled();
    Arc::new(client)
}

#[test]
fn a_renewed_certificate_is_shown_to_the_next() {
    let place = Place::new();
    let cert = place.certificate("a", &["a.test"]);
    let mut renewing = Renewing::new(&place, Sources { cert: Some(cert), folder: None });
    assert_eq!(renewing.shown("a.test"), ["dns:a.test"]);
    place.certificate("a", &["a.test", "b.test"]);
    assert_eq!(renewing.shown("a.test"), ["dns:a.test"]);
    renewing.look();
    assert_eq!(renewing.shown("b.test"), ["dns:a.test", "dns:b.test"]);
}

#[test]
fn it_is_shown_by_the_time_that_it_is_told() {
    let place = Place::new();
    let cert = place.certificate("a", &["a.test"]);
    let mut renewing = Renewing::new(&place, Sources { cert: Some(cert), folder: None });
    place.certificate("a", &["a.test", "b.test"]);
    let (server, client) = (Arc::clone(&renewing.server), without_resumption(&renewing.client));
    let shown = Arc::new(Mutex::new(Vec::new()));
    let log = {
        let shown = Arc::clone(&shown);
        tracing_subscriber::fmt().with_max_level(tracing::Level::INFO).with_writer(move || {
            *shown.lock().unwrap() = shake(&client, &server, "a.test").unwrap().shown();
            io::sink()
        })
    };
    tracing::subscriber::with_default(log.finish(), || renewing.look());
    assert_eq!(*shown.lock().unwrap(), ["dns:a.test", "dns:b.test"]);
}

#[test]
fn a_file_is_read_only_once_it_stays_the_same() {
    let place = Place::new();
    let cert = place.certificate("a", &["a.test"]);
    let mut renewing = Renewing::new(&place, Sources { cert: Some(cert), folder: None });
    place.certificate("a", &["a.test", "b.test"]);
    renewing.files.look(now());
    assert_eq!(renewing.shown("a.test"), ["dns:a.test"]);
    renewing.files.look(now());
    assert_eq!(renewing.shown("a.test"), ["dns:a.test", "dns:b.test"]);
}

#[test]
fn what_is_broken_replaces_nothing() {
    let place = Place::new();
    let pair = place.certificate("a", &["a.test"]);
    let mut renewing = Renewing::new(&place, Sources { cert: Some(pair.clone()), folder: None });
    let expired = {
        let names = ["a.test".to_owned()];
        let issued = place.issue(&Wanted { now: now() - 31 * DAY, ..wanted(&names) });
        issued.cert + &issued.key
    };
    for broken in ["", "-----BEGIN CERTIFICATE-----\n", &expired] {
        fs::write(&pair.cert, broken).unwrap();
        renewing.look();
        assert_eq!(renewing.shown("a.test"), ["dns:a.test"]);
    }
    fs::remove_file(&pair.cert).unwrap();
    renewing.look();
    assert_eq!(renewing.shown("a.test"), ["dns:a.test"]);
    place.certificate("a", &["a.test", "c.test"]);
    renewing.look();
    assert_eq!(renewing.shown("a.test"), ["dns:a.test", "dns:c.test"]);
}

#[test]
fn a_key_that_privileges_were_needed_for_is_kept() {
    let place = Place::new();
    let pair = place.certificate("a", &["a.test"]);
    let mut renewing = Renewing::new(&place, Sources { cert: Some(pair.clone()), folder: None });
    place.certificate("a", &["a.test", "b.test"]);
    fs::set_permissions(&pair.key, fs::Permissions::from_mode(0o0)).unwrap();
    let unreadable = fs::read(&pair.key).is_err();
    renewing.look();
    // Nothing is unreadable for root.
    let want: &[&str] = if unreadable { &["dns:a.test"] } else { &["dns:a.test", "dns:b.test"] };
    assert_eq!(renewing.shown("a.test"), want);
}

#[test]
fn certificates_come_to_a_folder_and_leave_it() {
    let place = Place::new();
    place.certificate("certs/a", &["a.test", "*.b.test"]);
    let sources = Sources { cert: None, folder: Some(place.at("certs")) };
    let mut renewing = Renewing::new(&place, sources);
    let b = place.certificate("certs/b", &["c.b.test"]);
    renewing.look();
    assert_eq!(renewing.shown("c.b.test"), ["dns:c.b.test"]);
    fs::write(place.at("certs/c.pem"), "not yet").unwrap();
    fs::remove_file(b.cert).unwrap();
    renewing.look();
    assert_eq!(renewing.shown("c.b.test"), ["dns:a.test", "dns:*.b.test"]);
    // An empty folder is a mistake, and no reason to serve nobody.
    fs::remove_dir_all(place.at("certs")).unwrap();
    renewing.look();
    fs::create_dir(place.at("certs")).unwrap();
    renewing.look();
    assert_eq!(renewing.shown("a.test"), ["dns:a.test", "dns:*.b.test"]);
}

#[test]
fn a_certificate_of_tomorrow_is_taken_up_tomorrow() {
    let place = Place::new();
    let pair = place.certificate("a", &["a.test"]);
    let mut renewing = Renewing::new(&place, Sources { cert: Some(pair), folder: None });
    // A clock that is late.
    let (names, late) = (["a.test".to_owned(), "b.test".to_owned()], now() - DAY);
    place.keep("a", &place.issue(&wanted(&names)));
    renewing.look_at(late);
    assert_eq!(renewing.shown("a.test"), ["dns:a.test"]);
    renewing.look();
    assert_eq!(renewing.shown("b.test"), ["dns:a.test", "dns:b.test"]);
}

#[test]
fn another_signer_of_clients_ends_the_sessions_of_the_old_ones() {
    let (place, other) = (Place::new(), Place::new());
    let alice = place.client_with(place.client_certificate("alice"));
    let ca = place.at("clients.pem");
    fs::copy(place.at("ca.pem"), &ca).unwrap();
    let mut file = ClientTrustFile::load("test", &ca, true).unwrap();
    let sessions = Resumption::new().unwrap();
    let side = place.server_side(place.certificate("a", &["a.test"]));
    let (clients, own) = (Some(file.trust()), Arc::clone(&sessions));
    let server = settings::server(ServerSide { clients, sessions: own, ..side }).unwrap();
    assert_eq!(shake(&alice, &server, "a.test").unwrap().resumed(), [false, false]);
    assert_eq!(shake(&alice, &server, "a.test").unwrap().resumed(), [true, true]);

    fs::write(&ca, "broken").unwrap();
    file.look(&sessions);
    file.look(&sessions);
    assert_eq!(shake(&alice, &server, "a.test").unwrap().resumed(), [true, true]);

    fs::copy(other.at("ca.pem"), &ca).unwrap();
    file.look(&sessions);
    file.look(&sessions);
    let refused = shake(&alice, &server, "a.test").err().unwrap();
    assert!(matches!(refused, Refusal::Server(Error::InvalidCertificate(_))), "{refused:?}");
}

#[test]
fn a_certificate_that_signs_itself_stays_the_same_until_it_expires() {
    let place = Place::new();
    let path = place.at("state/s.self-signed.pem");
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let kept = SelfSigned::keep("test", &path, &names, now()).unwrap();
    let first = fs::read(&path).unwrap();
    assert_eq!(kept.pair(), Pair { cert: path.clone(), key: path.clone() });
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(&place.at("state"))), (0o600, 0o700));

    // One who trusts it alone can connect by either name.
    let roots = crate::transport::tls::trust::roots(&path).unwrap();
    let side = settings::ClientSide { roots, ..place.client_side() };
    let client = settings::client(side).unwrap();
    let server = settings::server(place.server_side(kept.pair())).unwrap();
    for name in &names {
        shake(&client, &server, name).unwrap();
    }

    let again = SelfSigned::keep("test", &path, &names, now()).unwrap();
    assert_eq!(fs::read(&path).unwrap(), first);
    let mut watch = Watch { self_signed: vec![again], ..Watch::default() };
    watch.look(now() + 364 * DAY);
    assert_eq!(fs::read(&path).unwrap(), first);
    watch.look(now() + 366 * DAY);
    let second = fs::read(&path).unwrap();
    assert_ne!(second, first);
    // And other names need another one.
    SelfSigned::keep("test", &path, &names[..1], now()).unwrap();
    assert_ne!(fs::read(&path).unwrap(), second);
}

#[test]
fn the_thread_takes_up_what_is_renewed_and_ends() {
    let place = Place::new();
    let pair = place.certificate("a", &["a.test"]);
    let Renewing { files, server, client } =
        Renewing::new(&place, Sources { cert: Some(pair), folder: None });
    let mut watching = Watching::default();
    let watch = Watch { certificates: vec![files], ..Watch::default() };
    watching.look_after(1, watch).unwrap();
    place.certificate("a", &["a.test", "b.test"]);
    let until = Instant::now() + Duration::from_secs(60);
    while shake(&client, &server, "b.test").is_err() {
        assert!(Instant::now() < until, "it was never taken up");
        std::thread::sleep(Duration::from_millis(5));
    }
    drop(watching);
}
