//! What openssl, GnuTLS, curl and scanners see of an encrypted site.

use std::path::Path;

use anyhow::{Result, ensure};
use libtest_mimic::Trial;

use super::{REQUEST, Site};
use crate::interop::program_trial;

pub(super) fn trials() -> Vec<Trial> {
    let openssl = |name: &str, test: fn(&Path) -> Result<()>| {
        program_trial(&format!("tls::openssl_{name}"), "openssl", "openssl", test)
    };
    let gnutls = |name: &str, test: fn(&Path) -> Result<()>| {
        program_trial(&format!("tls::gnutls_{name}"), "gnutls-cli", "gnutls-bin", test)
    };
    let curl = |name: &str, test: fn(&Path) -> Result<()>| {
        program_trial(&format!("tls::curl_{name}"), "curl", "curl", test)
    };
    vec![
        openssl("speaks_1_2_and_1_3_alone", versions),
        openssl("resumes_with_and_without_tickets", openssl_resumes),
        openssl("is_shown_the_certificate_for_the_name", names),
        openssl("agrees_on_a_protocol_or_fails", protocols),
        openssl("may_require_1_3", newest),
        gnutls("checks_the_certificate", gnutls_checks),
        gnutls("resumes", gnutls_resumes),
        curl("needs_a_client_certificate_where_it_is_required", clients),
        curl("trusts_a_certificate_that_signs_itself", self_signed),
        program_trial("tls::sslscan_finds_nothing_weak", "sslscan", "sslscan", sslscan),
        program_trial("tls::testssl_finds_nothing_vulnerable", "testssl", "testssl.sh", testssl),
    ]
}

const CA: [&str; 2] = ["--ca", "ca/ca.pem"];

/// With a certificate for `a.test`, and what else its `tls` table says.
fn site(more: &str) -> Result<Site> {
    let tls = format!("cert = \"a.test.pem\", key = \"a.test.key\"{more}");
    Site::new(&[&["a.test", "127.0.0.1", CA[0], CA[1]]], &tls)
}

const S_CLIENT: &str =
    "s_client -connect 127.0.0.1:PORT -CAfile ca/ca.pem -verify_return_error -servername a.test";

fn versions(openssl: &Path) -> Result<()> {
    let site = site("")?;
    for (flag, shown) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let said = site.run(openssl, &format!("{S_CLIENT} -ign_eof {flag}"), REQUEST)?;
        said.has(&format!("New, {shown}, Cipher is "))?;
        said.has("Verification: OK")?;
        said.has("<p>index</p>")?;
    }
    for flag in ["-tls1", "-tls1_1"] {
        let weak = format!("{S_CLIENT} {flag} -cipher ALL:@SECLEVEL=0");
        let said = site.run(openssl, &weak, "")?;
        said.has("Cipher is (NONE)")?;
        ensure!(!said.success, "{flag} is spoken:\n{}", said.text);
    }
    Ok(())
}

fn openssl_resumes(openssl: &Path) -> Result<()> {
    let site = site("")?;
    for flags in ["-tls1_2", "-tls1_2 -no_ticket", "-tls1_3"] {
        let first = format!("{S_CLIENT} -ign_eof {flags} -sess_out session.pem");
        let said = site.run(openssl, &first, REQUEST)?;
        said.has("New, TLS")?;
        // Two workers serve by turns, as the kernel likes.
        for _ in 0..6 {
            let again = format!("{S_CLIENT} -ign_eof {flags} -sess_in session.pem");
            let said = site.run(openssl, &again, REQUEST)?;
            said.has("Reused, TLS")?;
            said.has("<p>index</p>")?;
        }
    }
    Ok(())
}

fn names(openssl: &Path) -> Result<()> {
    let certificates: [&[&str]; 4] = [
        &["default.test", CA[0], CA[1]],
        &["a.test", CA[0], CA[1], "--out", "certs"],
        &["*.b.test", CA[0], CA[1], "--out", "certs"],
        &["www.b.test", CA[0], CA[1], "--out", "certs", "--rsa"],
    ];
    let tls = "cert = \"default.test.pem\", key = \"default.test.key\", folder = \"certs\"";
    let site = Site::new(&certificates, tls)?;
    for (name, shown) in [
        ("a.test", "a.test"),
        ("A.TEST", "a.test"),
        ("x.b.test", "*.b.test"),
        ("www.b.test", "www.b.test"),
        ("x.y.b.test", "default.test"),
        ("b.test", "default.test"),
        ("elsewhere", "default.test"),
    ] {
        for flag in ["-tls1_2", "-tls1_3"] {
            let arguments = format!(
                "s_client -connect 127.0.0.1:PORT -CAfile ca/ca.pem -servername {name} {flag}"
            );
            let said = site.run(openssl, &arguments, "")?;
            said.has(&format!("subject=CN = {shown}\n"))?;
        }
    }
    let arguments = "s_client -connect 127.0.0.1:PORT -CAfile ca/ca.pem -noservername";
    site.run(openssl, arguments, "")?.has("subject=CN = default.test\n")
}

fn protocols(openssl: &Path) -> Result<()> {
    let site = site(", alpn = [\"h2\", \"http/1.1\"]")?;
    let offering = |list: &str| site.run(openssl, &format!("{S_CLIENT} -alpn {list}"), "");
    offering("http/1.1,h2")?.has("ALPN protocol: h2")?;
    offering("http/1.1")?.has("ALPN protocol: http/1.1")?;
    // no_application_protocol (RFC 7301, section 3.2).
    offering("smtp")?.has("SSL alert number 120")?;
    site.run(openssl, S_CLIENT, "")?.has("No ALPN negotiated")
}

fn newest(openssl: &Path) -> Result<()> {
    let site = site(", min-version = \"1.3\"")?;
    site.run(openssl, &format!("{S_CLIENT} -tls1_3"), "")?.has("New, TLSv1.3")?;
    // protocol_version (RFC 8446, section 6.2).
    site.run(openssl, &format!("{S_CLIENT} -tls1_2"), "")?.has("SSL alert number 70")
}

const GNUTLS: &str = "--x509cafile ca/ca.pem --sni-hostname a.test --verify-hostname a.test \
                      -p PORT 127.0.0.1";

fn gnutls_checks(gnutls: &Path) -> Result<()> {
    let site = site("")?;
    for priority in ["NORMAL:-VERS-ALL:+VERS-TLS1.2", "NORMAL:-VERS-ALL:+VERS-TLS1.3"] {
        let said = site.run(gnutls, &format!("{GNUTLS} --priority {priority}"), REQUEST)?;
        said.has("- Status: The certificate is trusted.")?;
        said.has("<p>index</p>")?;
    }
    let old = "NORMAL:-VERS-ALL:+VERS-TLS1.0:+VERS-TLS1.1";
    let said = site.run(gnutls, &format!("{GNUTLS} --priority {old}"), REQUEST)?;
    ensure!(!said.success, "an old version is spoken:\n{}", said.text);
    said.has_not("<p>index</p>")?;
    let wrong = GNUTLS.replace("--verify-hostname a.test", "--verify-hostname b.test");
    let said = site.run(gnutls, &wrong, REQUEST)?;
    said.has("The name in the certificate does not match the expected")
}

fn gnutls_resumes(gnutls: &Path) -> Result<()> {
    let site = site("")?;
    for priority in ["NORMAL:-VERS-ALL:+VERS-TLS1.2", "NORMAL:-VERS-ALL:+VERS-TLS1.3"] {
        let arguments = format!("{GNUTLS} --resume --priority {priority}");
        let said = site.run(gnutls, &arguments, REQUEST)?;
        said.has("*** This is a resumed session")?;
    }
    Ok(())
}

fn clients(curl: &Path) -> Result<()> {
    let certificates: [&[&str]; 3] = [
        &["a.test", "127.0.0.1", CA[0], CA[1]],
        &["--client", "alice", CA[0], CA[1]],
        &["--client", "mallory", "--ca", "other/ca.pem"],
    ];
    let own = "cert = \"a.test.pem\", key = \"a.test.key\", client-ca = \"ca/ca.pem\"";
    const CURL: &str = "-sS --cacert ca/ca.pem https://127.0.0.1:PORT/";
    const ALICE: &str = "--cert alice.pem --key alice.key";
    const MALLORY: &str = "--cert mallory.pem --key mallory.key";
    for (clients, without) in [("required", false), ("optional", true)] {
        let site = Site::new(&certificates, &format!("{own}, clients = \"{clients}\""))?;
        for version in ["--tlsv1.2 --tls-max 1.2", "--tlsv1.3"] {
            for (shown, content) in [(ALICE, true), (MALLORY, false), ("", without)] {
                let said = site.run(curl, &format!("{CURL} {version} {shown}"), "")?;
                let what = format!("{clients} {version} {shown}:\n{}", said.text);
                ensure!(said.success == content, "{what}");
                ensure!(said.text.contains("<p>index</p>") == content, "{what}");
            }
        }
    }
    Ok(())
}

fn self_signed(curl: &Path) -> Result<()> {
    let site = Site::new(&[], "self-signed = [\"localhost\", \"127.0.0.1\"]")?;
    const TRUSTING: &str = "-sS --cacert state/site.self-signed.pem";
    for host in ["localhost", "127.0.0.1"] {
        let said = site.run(curl, &format!("{TRUSTING} https://{host}:PORT/"), "")?;
        said.has("<p>index</p>")?;
    }
    let said = site.run(curl, "-sS https://127.0.0.1:PORT/", "")?;
    ensure!(!said.success, "it is trusted by whom it was not told to:\n{}", said.text);
    site.host.log_with(&["its certificate signs itself, for development"])?;
    // The same after a restart.
    let kept = std::fs::read(site.folder.path().join("state/site.self-signed.pem"))?;
    let Site { mut host, folder } = site;
    host.terminate()?;
    let host = torsade_tests::host::Host::up(folder.path(), 1)?;
    let site = Site { host, folder };
    let said = site.run(curl, &format!("{TRUSTING} https://localhost:PORT/"), "")?;
    said.has("<p>index</p>")?;
    let again = std::fs::read(site.folder.path().join("state/site.self-signed.pem"))?;
    ensure!(kept == again, "a restart made another certificate");
    Ok(())
}

/// With a certificate for each kind of key, so that all suites show.
fn site_with_all_suites() -> Result<Site> {
    let certificates: [&[&str]; 2] = [
        &["a.test", "127.0.0.1", CA[0], CA[1], "--out", "certs/1"],
        &["a.test", "127.0.0.1", CA[0], CA[1], "--out", "certs/2", "--rsa"],
    ];
    let tls = "cert = \"certs/1/a.test.pem\", key = \"certs/1/a.test.key\", folder = \"certs/2\"";
    Site::new(&certificates, tls)
}

fn sslscan(sslscan: &Path) -> Result<()> {
    let site = site_with_all_suites()?;
    let said = site.run(sslscan, "--no-colour --sni-name=a.test 127.0.0.1:PORT", "")?;
    for version in ["SSLv2", "SSLv3", "TLSv1.0", "TLSv1.1"] {
        said.has(&format!("{version:10}disabled"))?;
    }
    for version in ["TLSv1.2", "TLSv1.3"] {
        said.has(&format!("{version:10}enabled"))?;
    }
    said.has("Session renegotiation not supported")?;
    said.has("TLSv1.2 not vulnerable to heartbleed")?;
    let suites: Vec<Vec<&str>> = said
        .text
        .lines()
        .filter(|line| line.starts_with("Accepted") || line.starts_with("Preferred"))
        .map(|line| line.split_whitespace().collect())
        .collect();
    // Three of TLS 1.3, and of TLS 1.2 three for each kind of key.
    ensure!(suites.len() == 9, "{}", said.text);
    for suite in suites {
        let (version, name) = (suite[1], suite[4]);
        let forward = version == "TLSv1.3" || version == "TLSv1.2" && name.starts_with("ECDHE-");
        let aead = name.contains("GCM") || name.contains("CHACHA20");
        ensure!(forward && aead, "{suite:?} is weak:\n{}", said.text);
    }
    Ok(())
}

fn testssl(testssl: &Path) -> Result<()> {
    let site = site_with_all_suites()?;
    let arguments = "--quiet --color 0 --warnings off --add-ca ca/ca.pem --jsonfile report.json \
                     --protocols --std --vulnerable --ip 127.0.0.1 a.test:PORT";
    let said = site.run(testssl, arguments, "")?;
    let report = std::fs::read_to_string(site.folder.path().join("report.json"))?;
    let findings: Vec<serde_json::Value> = serde_json::from_str(&report)?;
    ensure!(findings.len() > 25, "it has only {} findings:\n{}", findings.len(), said.text);
    let bad: Vec<_> = findings
        .iter()
        .filter(|finding| !["INFO", "OK"].contains(&finding["severity"].as_str().unwrap_or("?")))
        .collect();
    ensure!(bad.is_empty(), "{bad:#?}");
    Ok(())
}
