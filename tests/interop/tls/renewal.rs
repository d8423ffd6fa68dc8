//! Certificates that are renewed while the host serves.

use std::fs;
use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use torsade_tests::host::PATIENCE;

use super::{Site, certificate};
use crate::interop::privileges::root;
use crate::interop::{trial, trial_with};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("tls::a_renewed_certificate_drops_no_connection", no_connection_is_dropped),
        trial("tls::a_broken_renewal_changes_nothing", a_broken_renewal_changes_nothing),
        trial("tls::a_renewed_folder_is_taken_up", a_renewed_folder_is_taken_up),
        trial_with("tls::a_key_of_root_is_kept_without_root", root, |()| a_key_of_root()),
        trial_with("tls::a_certificate_is_made_before_root_is_left", root, |()| made_by_root()),
    ]
}

type Stream = BufReader<StreamOwned<ClientConnection, TcpStream>>;

impl Site {
    fn connect(&self, name: &str) -> Result<Stream> {
        let mut roots = RootCertStore::empty();
        let ca = self.folder.path().join("ca/ca.pem");
        roots.add(rustls::pki_types::CertificateDer::from_pem_file(ca)?)?;
        let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let name = ServerName::try_from(name.to_owned())?;
        let connection = ClientConnection::new(Arc::new(config), name)?;
        let socket = TcpStream::connect(("127.0.0.1", self.port()?))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let mut stream = StreamOwned::new(connection, socket);
        stream.conn.complete_io(&mut stream.sock)?;
        Ok(BufReader::new(stream))
    }

    /// The certificate that a new connection is shown.
    fn shown(&self, name: &str) -> Result<Vec<u8>> {
        let stream = self.connect(name)?;
        let certificates = stream.get_ref().conn.peer_certificates();
        Ok(certificates.and_then(|all| all.first()).context("a certificate")?.to_vec())
    }
}

/// Asks for the site's page, and leaves the connection open.
fn ask(stream: &mut Stream) -> Result<()> {
    stream.get_mut().write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")?;
    let (page, mut answer) = (b"<p>index</p>", Vec::new());
    while !answer.ends_with(page) {
        let mut byte = [0];
        stream.read_exact(&mut byte).context("the answer")?;
        answer.push(byte[0]);
    }
    Ok(())
}

const ARGUMENTS: [&str; 4] = ["a.test", "--ca", "ca/ca.pem", "--force"];

fn no_connection_is_dropped() -> Result<()> {
    let tls = "cert = \"a.test.pem\", key = \"a.test.key\"";
    let site = Site::new(&[&ARGUMENTS], tls)?;
    let mut open: Vec<_> = (0..4).map(|_| site.connect("a.test")).collect::<Result<_>>()?;
    open.iter_mut().try_for_each(ask)?;
    let before = site.shown("a.test")?;
    for renewal in 1..=2 {
        certificate(site.folder.path(), &ARGUMENTS)?;
        let until = Instant::now() + PATIENCE;
        while site.host.log().matches("was read anew").count() < renewal {
            open.iter_mut().try_for_each(ask)?;
            ensure!(Instant::now() < until, "it is not taken up:\n{}", site.host.log());
        }
    }
    ensure!(site.shown("a.test")? != before, "the old certificate is shown");
    open.iter_mut().try_for_each(ask)
}

fn a_broken_renewal_changes_nothing() -> Result<()> {
    let tls = "cert = \"a.test.pem\", key = \"a.test.key\"";
    let site = Site::new(&[&ARGUMENTS], tls)?;
    let before = site.shown("a.test")?;
    fs::write(site.folder.path().join("a.test.pem"), "no certificate")?;
    let words = "a.test.pem: has no certificate; in PEM one begins with";
    site.host.log_with(&[words, "the certificate that was read before is shown further on"])?;
    ensure!(site.shown("a.test")? == before, "something else is shown");
    certificate(site.folder.path(), &ARGUMENTS)?;
    let log = site.host.log_with(&["was read anew"])?;
    ensure!(site.shown("a.test")? != before, "the old certificate is shown");
    ensure!(log.matches(words).count() == 1, "it was told more than once:\n{log}");
    Ok(())
}

fn a_renewed_folder_is_taken_up() -> Result<()> {
    let arguments = ["a.test", "--ca", "ca/ca.pem", "--out", "certs"];
    let site = Site::new(&[&arguments], "folder = \"certs\"")?;
    ensure!(site.connect("b.test").is_err(), "there is no certificate for b.test");
    certificate(site.folder.path(), &["b.test", "--ca", "ca/ca.pem", "--out", "certs"])?;
    site.host.log_with(&["b.test.pem was read anew"])?;
    ask(&mut site.connect("b.test")?)?;
    ask(&mut site.connect("a.test")?)
}

const NOBODY: &str = "user = \"nobody\"\n";

fn a_key_of_root() -> Result<()> {
    let tls = "cert = \"a.test.pem\", key = \"a.test.key\"";
    let site = Site::with(NOBODY, &[&ARGUMENTS], tls)?;
    let before = site.shown("a.test")?;
    certificate(site.folder.path(), &ARGUMENTS)?;
    site.host
        .log_with(&["a.test.key: this user is not allowed to read it", "is shown further on"])?;
    ensure!(site.shown("a.test")? == before, "something else is shown");
    ask(&mut site.connect("a.test")?)
}

fn made_by_root() -> Result<()> {
    let site = Site::with(NOBODY, &[], "self-signed = [\"a.test\"]")?;
    let state = site.folder.path().join("state");
    fs::create_dir(site.folder.path().join("ca"))?;
    fs::copy(state.join("site.self-signed.pem"), site.folder.path().join("ca/ca.pem"))?;
    ask(&mut site.connect("a.test")?)?;
    // The folder is for all that services keep, and they keep it as this user.
    ensure!(fs::metadata(&state)?.uid() != 0, "the folder is root's");
    Ok(())
}
