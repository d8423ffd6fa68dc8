//! What a `tls` table can say, and each mistake in it with its line.

use std::fs;

use tempfile::TempDir;

use crate::config::{Clients, Config, ConfigError, Tls, load};
use crate::transport::endpoint::Identity;
use crate::transport::tls::pem::Pair;
use crate::transport::tls::settings::MinVersion;

/// Reads a service with these lines, in a folder with a few files.
fn read(lines: &str) -> (TempDir, Result<Config, ConfigError>) {
    let folder = TempDir::new().unwrap();
    for name in ["a.pem", "a.key", "ca.pem", "p.wasm"] {
        fs::write(folder.path().join(name), "").unwrap();
    }
    fs::create_dir(folder.path().join("certs")).unwrap();
    let text = format!("[service.s]\nplugin = \"p.wasm\"\n{lines}\n");
    fs::write(folder.path().join("torsade.toml"), text).unwrap();
    let config = load(folder.path());
    (folder, config)
}

#[test]
fn everything_that_can_be_said() {
    let (folder, config) = read(
        r#"
        listen = ["tls:8443", "tls:9443:cert=ca.pem", "tcp:8080"]
        [service.s.tls]
        cert = "a.pem"
        key = "a.key"
        folder = "certs"
        clients = "optional"
        client-ca = "ca.pem"
        alpn = ["h2", "http/1.1"]
        min-version = "1.3"
        trust = "ca.pem"
        client-cert = "a.pem""#,
    );
    let service = config.unwrap().services.remove(0);
    let at = |name: &str| folder.path().join(name);
    let want = Tls {
        cert: Some(Pair { cert: at("a.pem"), key: at("a.key") }),
        folder: Some(at("certs")),
        self_signed: Vec::new(),
        clients: Some(Clients { ca: at("ca.pem"), required: false }),
        alpn: vec!["h2".to_owned(), "http/1.1".to_owned()],
        min_version: MinVersion::Tls13,
        trust: Some(at("ca.pem")),
        client_cert: Some(Pair { cert: at("a.pem"), key: at("a.pem") }),
    };
    assert_eq!(service.tls, want);
    let identities: Vec<_> = service.listen.into_iter().map(|endpoint| endpoint.tls).collect();
    let own = Identity { cert: Some(at("ca.pem")), key: None };
    assert_eq!(identities, [Some(Identity::default()), Some(own), None]);
}

#[test]
fn without_the_table_nothing_is_said() {
    let (_folder, config) = read("");
    assert_eq!(config.unwrap().services[0].tls, Tls::default());
}

#[test]
fn names_of_a_certificate_that_signs_itself() {
    let lines = r#"tls = { self-signed = ["localhost", "*.a.test", "127.0.0.1", "::1"] }"#;
    let (_folder, config) = read(&format!("listen = [\"tls:8443\"]\n{lines}"));
    let names = &config.unwrap().services[0].tls.self_signed;
    assert_eq!(names[..], ["localhost", "*.a.test", "127.0.0.1", "::1"]);
}

/// Lines of a service, each with what is wrong with it; `LINE:COLUMN: KEY: …`.
#[test]
fn mistakes() {
    let table = [
        ("tls = 1", "3:7: service.s.tls: must be a table, not an integer"),
        ("tls = { crt = \"a.pem\" }", "service.s.tls: unknown key \"crt\"; did you mean cert?"),
        (
            "tls = { cert = \"b.pem\" }",
            "3:16: service.s.tls.cert: b.pem can't be read: No such file or directory",
        ),
        ("tls = { cert = \"certs\" }", "3:16: service.s.tls.cert: certs is not a file"),
        ("tls = { folder = \"a.pem\" }", "3:18: service.s.tls.folder: a.pem is not a folder"),
        (
            "tls = { key = \"a.key\" }",
            "3:15: service.s.tls.key: is given without cert, whose key it is",
        ),
        (
            "tls = { client-key = \"a.key\" }",
            "3:22: service.s.tls.client-key: is given without client-cert, whose key it is",
        ),
        (
            "tls = { cert = \"a.pem\", self-signed = [\"localhost\"] }",
            "3:39: service.s.tls.self-signed: is for a service without cert and folder",
        ),
        ("tls = { self-signed = [] }", "service.s.tls.self-signed: is empty; it must be a list"),
        (
            "tls = { self-signed = [\"a b\"] }",
            "3:24: service.s.tls.self-signed: \"a b\" is neither a host name nor an IP address",
        ),
        (
            "tls = { clients = \"required\" }",
            "3:19: service.s.tls.clients: needs client-ca = \"FILE\"",
        ),
        (
            "tls = { clients = \"some\", client-ca = \"ca.pem\" }",
            "3:19: service.s.tls.clients: must be \"none\", \"optional\" or \"required\", not \"some\"",
        ),
        (
            "tls = { client-ca = \"ca.pem\" }",
            "3:21: service.s.tls.client-ca: needs clients = \"required\" or \"optional\"",
        ),
        ("tls = { alpn = [\"\"] }", "3:17: service.s.tls.alpn: must be 1 to 255 bytes long"),
        (
            "tls = { min-version = \"1.1\" }",
            "3:23: service.s.tls.min-version: must be \"1.2\" or \"1.3\", not \"1.1\"",
        ),
        (
            "listen = [\"tls:8443\"]\ntls = { cert = \"b.pem\" }",
            "4:16: service.s.tls.cert: b.pem can't be read: No such file or directory",
        ),
        (
            "listen = [\"tls:8443:cert=b.pem\"]",
            "3:11: service.s.listen: b.pem can't be read: No such file or directory",
        ),
        (
            "listen = [\"tcp:80\", \"tls:8443\"]\ntls = { trust = \"ca.pem\" }",
            "3:21: service.s.listen: tls:8443: the service has no certificate to show; write ",
        ),
    ];
    for (lines, want) in table {
        let (folder, config) = read(lines);
        let message = config.unwrap_err().to_string();
        let message = message.replace(&format!("{}/", folder.path().display()), "");
        assert!(message.contains(want), "{lines}\n{message}\n{want}");
        assert_eq!(message.matches("torsade.toml:").count(), 1, "{lines}\n{message}");
    }
}
