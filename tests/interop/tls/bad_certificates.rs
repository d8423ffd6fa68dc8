//! Certificates that can't be shown: one message that names the file, status 2, and nothing was
//! bound.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use torsade_tests::certificates::Authority;
use torsade_tests::host;

use crate::interop::bad_configuration::one_message;
use crate::interop::{configure, trial};

pub(super) fn trials() -> Vec<Trial> {
    let trials = CASES.iter().map(|&(name, tls, words)| {
        trial(&format!("tls::bad_certificate_{name}"), move || refused(tls, words))
    });
    trials.collect()
}

/// Name, the service's `tls` table, and what the message must say.
const CASES: &[(&str, &str, &[&str])] = &[
    (
        "that_is_not_there",
        "cert = \"nowhere.pem\"",
        &["torsade.toml:4:", "service.s.tls.cert", "nowhere.pem", "No such file"],
    ),
    (
        "that_is_none",
        "cert = \"empty.pem\"",
        &["service.s", "empty.pem", "has no certificate", "-----BEGIN CERTIFICATE-----"],
    ),
    (
        "that_is_damaged",
        "cert = \"damaged.pem\", key = \"good-key.pem\"",
        &["damaged.pem", "is damaged"],
    ),
    (
        "without_a_key",
        "cert = \"good.pem\"",
        &["good.pem", "has no private key", "-----BEGIN PRIVATE KEY-----"],
    ),
    (
        "with_the_key_of_another",
        "cert = \"good.pem\", key = \"other-key.pem\"",
        &["other-key.pem", "the private key is not that of the certificate in", "good.pem"],
    ),
    (
        "that_has_expired",
        "cert = \"expired.pem\", key = \"expired-key.pem\"",
        &["expired.pem", "the certificate expired on 2001-02-03", "renew it"],
    ),
    (
        "that_is_not_valid_yet",
        "cert = \"early.pem\", key = \"early-key.pem\"",
        &["early.pem", "the certificate is not valid before 2101-02-03", "clock"],
    ),
    (
        "with_an_encrypted_key",
        "cert = \"good.pem\", key = \"encrypted.pem\"",
        &["encrypted.pem", "is encrypted", "openssl pkey -in"],
    ),
    ("in_an_empty_folder", "folder = \"empty\"", &["empty", "has no certificate", "fullchain.pem"]),
    (
        "of_those_who_sign_clients",
        "cert = \"good.pem\", key = \"good-key.pem\", clients = \"required\", client-ca = \"empty.pem\"",
        &["tls.client-ca", "empty.pem", "has no certificate"],
    ),
    (
        "of_those_who_sign_servers",
        "cert = \"good.pem\", key = \"good-key.pem\", trust = \"empty.pem\"",
        &["tls.trust", "empty.pem", "has no certificate"],
    ),
];

fn refused(tls: &str, words: &[&str]) -> Result<()> {
    let folder = tempfile::tempdir()?;
    files(folder.path())?;
    let text = format!(
        "[service.s]\nplugin = \"@echo\"\nlisten = [\"tls:0:interface=127.0.0.1\"]\n\
         tls = {{ {tls} }}\n"
    );
    configure(folder.path(), &text)?;
    for command in ["check", "up"] {
        let message = one_message(&host::run(&[command], folder.path())?)?;
        for word in words {
            ensure!(message.contains(word), "{command}: {word:?} is missing in {message}");
        }
    }
    Ok(())
}

fn files(folder: &Path) -> Result<()> {
    let authority = Authority::new("tests")?;
    let good = authority.sign(&["a.test"])?;
    good.write(folder, "good")?;
    authority.sign(&["a.test"])?.write(folder, "other")?;
    let expired = authority.sign_with(&["a.test"], |params| {
        params.not_after = rcgen::date_time_ymd(2001, 2, 3);
    });
    expired?.write(folder, "expired")?;
    let early = authority.sign_with(&["a.test"], |params| {
        params.not_before = rcgen::date_time_ymd(2101, 2, 3);
    });
    early?.write(folder, "early")?;
    let half = good.cert.get(..good.cert.len() / 2).context("it is text")?;
    fs::write(folder.join("damaged.pem"), half)?;
    fs::set_permissions(folder.join("good-key.pem"), fs::Permissions::from_mode(0o600))?;
    fs::write(folder.join("empty.pem"), "")?;
    let encrypted = good.key.replace(" PRIVATE KEY", " ENCRYPTED PRIVATE KEY");
    fs::write(folder.join("encrypted.pem"), encrypted)?;
    fs::create_dir(folder.join("empty"))?;
    Ok(())
}
