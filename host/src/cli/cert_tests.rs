//! What `torsade cert` writes, and what it leaves alone.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use clap::Parser;
use tempfile::TempDir;

use super::super::{Arguments, Command};
use super::cert;
use crate::capability::tls_session::Certificate;
use crate::transport::tls::certificates::{CertificateFiles, Sources};
use crate::transport::tls::pem::{Pair, Purpose};
use crate::transport::tls::settings::now;

/// Runs `torsade -q cert` with these words, in which `@` is a folder.
fn run(folder: &TempDir, words: &str) -> Result<(), String> {
    let words = words.replace('@', &folder.path().display().to_string());
    let words = ["torsade", "-q", "cert"].into_iter().chain(words.split_whitespace());
    let Arguments { command, output } =
        Arguments::try_parse_from(words).map_err(|e| e.to_string())?;
    let Command::Cert(arguments) = command else { panic!("it is another command") };
    let done = cert(&arguments, &output).map_err(|error| format!("{error:#}"));
    done.map_err(|error| error.replace(&format!("{}/", folder.path().display()), ""))
}

fn pair(folder: &TempDir, name: &str) -> Pair {
    let at = |end: &str| folder.path().join(format!("{name}.{end}"));
    Pair { cert: at("pem"), key: at("key") }
}

/// The certificate in a file.
fn read(path: &Path) -> Certificate {
    use rustls::pki_types::pem::PemObject;
    Certificate::parse(&rustls::pki_types::CertificateDer::from_pem_file(path).unwrap())
}

/// Whether a service would show it, or else why not.
fn usable(pair: Pair, purpose: Purpose) -> Result<(), String> {
    let sources = Sources { cert: Some(pair), folder: None };
    CertificateFiles::load("test", sources, purpose, now())
        .map(drop)
        .map_err(|problem| problem.to_string())
}

#[test]
fn a_certificate_signs_itself() {
    let folder = TempDir::new().unwrap();
    run(&folder, "*.a.test 127.0.0.1 ::1 --out @/certs --days 10").unwrap();
    let pair = pair(&folder, "certs/_.a.test");
    let read = read(&pair.cert);
    assert_eq!(read.names, ["dns:*.a.test", "ip:127.0.0.1", "ip:::1"]);
    assert_eq!((&*read.subject, &*read.issuer), ("CN=*.a.test", "CN=*.a.test"));
    let days = (read.not_after - now() + 60) / (24 * 60 * 60);
    assert_eq!(days, 10);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&pair.key), 0o600);
    usable(pair, Purpose::Server).unwrap();
    let left = fs::read_dir(folder.path().join("certs")).unwrap().count();
    assert_eq!(left, 2);
}

#[test]
fn an_authority_is_made_once_and_signs() {
    let folder = TempDir::new().unwrap();
    run(&folder, "a.test --rsa --out @ --ca @/ca/ca.pem").unwrap();
    let ca = fs::read(folder.path().join("ca/ca.pem")).unwrap();
    run(&folder, "--client alice --out @ --ca @/ca/ca.pem").unwrap();
    assert_eq!(fs::read(folder.path().join("ca/ca.pem")).unwrap(), ca);
    let signer = read(&folder.path().join("ca/ca.pem")).subject;
    for name in ["a.test", "alice"] {
        let read = read(&pair(&folder, name).cert);
        assert_eq!((read.subject, read.issuer), (format!("CN={name}"), signer.clone()));
    }
    usable(pair(&folder, "a.test"), Purpose::Server).unwrap();
    usable(pair(&folder, "alice"), Purpose::Client).unwrap();
    usable(pair(&folder, "alice"), Purpose::Server).unwrap_err();
    let key = folder.path().join("ca/ca.key");
    assert_eq!(fs::metadata(key).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn nothing_is_replaced_unless_it_is_forced() {
    let folder = TempDir::new().unwrap();
    let pair = pair(&folder, "a.test");
    let both = || (fs::read(&pair.cert).ok(), fs::read(&pair.key).ok());
    fs::write(&pair.key, "mine").unwrap();
    let error = run(&folder, "a.test --out @").unwrap_err();
    assert_eq!(error, "a.test.key is there already; --force replaces it");
    assert_eq!(both(), (None, Some(b"mine".to_vec())));
    fs::remove_file(&pair.key).unwrap();
    run(&folder, "a.test --out @").unwrap();
    let first = both();
    let error = run(&folder, "a.test --out @").unwrap_err();
    assert_eq!(error, "a.test.pem is there already; --force replaces it");
    assert_eq!(both(), first);
    run(&folder, "a.test --out @ --force").unwrap();
    assert_ne!(both(), first);
    usable(pair.clone(), Purpose::Server).unwrap();
}

#[test]
fn what_can_not_be_is_said() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("x.pem"), "no").unwrap();
    run(&folder, "b.test --out @").unwrap();
    for (words, want) in [
        ("", "<NAME"),
        ("a_b!", "\"a_b!\" is neither a host name nor an IP address"),
        ("a.test --client alice", "cannot be used with"),
        ("a.test --days 0", "0 is not in 1..=36500"),
        ("a.test --out @ --ca @/a.test.pem", "would be both the authority and what it signs"),
        ("a.test --out @ --ca @/x.key", "x.key has to be FILE.pem, as its key is FILE.key"),
        ("a.test --out @ --ca @/x.pem", "x.pem: has no certificate: "),
        ("a.test --out @ --ca @/b.test.pem", "b.test.pem: is no authority: it may not sign others"),
    ] {
        let error = run(&folder, words).unwrap_err();
        assert!(error.contains(want), "{words}\n{error}\n{want}");
    }
    assert!(!folder.path().join("a.test.pem").exists());
}
