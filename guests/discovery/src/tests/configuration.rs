//! What an operator may write, and what is made of it.

use super::settings;
use crate::config::{Bound, Settings};

#[test]
fn the_schema_is_that_of_the_table() {
    let schema = schemars::schema_for!(Settings);
    torsade_guest::testing::assert_schema(env!("CARGO_MANIFEST_DIR"), &schema);
}

fn bound(service: &str, endpoints: &[&str]) -> Bound {
    let endpoints = endpoints.iter().map(|&endpoint| endpoint.into()).collect();
    Bound { service: service.into(), endpoints }
}

fn here() -> Vec<Bound> {
    vec![
        bound("web", &["unix:/run/web", "tcp:8080:interface=127.0.0.1", "tls:8443:cert=a.pem"]),
        bound("one", &["tcp6:81:interface=2001\\:db8\\:\\:7"]),
        bound("two", &["tcp6:82:interface=[2001:db8::8]"]),
        bound("log", &["udp:514"]),
        bound("none", &[]),
    ]
}

#[test]
fn the_port_of_a_service_is_where_others_reach_it() {
    let table = [
        (r#"{ "service": "web", "type": "_https._tcp" }"#, "web", 8443, "192.0.2.1"),
        (r#"{ "service": "log", "type": "_syslog._udp" }"#, "log", 514, "192.0.2.1"),
        (
            r#"{ "service": "one", "name": "1", "type": "_a._tcp" }"#,
            "1",
            81,
            "192.0.2.1 2001:db8::7",
        ),
        (r#"{ "service": "two", "type": "_a._tcp" }"#, "two", 82, "192.0.2.1 2001:db8::8"),
    ];
    for (announce, name, port, addresses) in table {
        let json = format!(r#"{{ "addresses": ["192.0.2.1"], "announce": [{announce}] }}"#);
        let settings = settings(&json);
        assert!(settings.names_services());
        let setup = settings.check(&here()).unwrap();
        let service = &setup.services[0];
        assert_eq!((&*service.name, service.port), (name, port));
        let told: Vec<_> = setup.addresses.iter().map(ToString::to_string).collect();
        assert_eq!(told.join(" "), addresses);
    }
}

#[test]
fn what_is_wrong_is_said_with_what_would_be_right() {
    let table = [
        (r#"{ "host": "a.local" }"#, "is one label, without .local"),
        (r#"{ "host": "" }"#, "a name has 1 to 63 bytes"),
        (r#"{ "addresses": ["224.0.0.251"] }"#, "224.0.0.251 is not the address of a host"),
        (r#"{ "browse": ["http"] }"#, "write one as \"_http._tcp\""),
        (r#"{ "announce": [{ "type": "_a._tcp", "port": 1 }] }"#, "it needs a name"),
        (r#"{ "announce": [{ "type": "_a._tcp", "name": "A" }] }"#, "needs either port or service"),
        (
            r#"{ "announce": [{ "type": "_a._tcp", "name": "A", "port": 1, "service": "web" }] }"#,
            "needs either port or service",
        ),
        (r#"{ "announce": [{ "type": "_a._tcp", "name": "A", "port": 1 }] }"#, "addresses = ["),
        (
            r#"{ "announce": [{ "type": "_a._tcp", "service": "wep" }] }"#,
            "no service \"wep\"; there are: web, one, two, log, none",
        ),
        (
            r#"{ "announce": [{ "type": "_a._udp", "service": "web" }] }"#,
            "no port that others can reach; its endpoints: unix:/run/web, tcp:8080",
        ),
        (
            r#"{ "announce": [{ "type": "_a._tcp", "name": "A", "port": 1, "txt": { "a=b": "" } }] }"#,
            "is no key",
        ),
    ];
    for (json, expected) in table {
        let error = settings(json).check(&here()).unwrap_err();
        assert!(error.starts_with("config: ") && error.contains(expected), "{json}: {error}");
    }
}
