//! Responders and browsers against each other, over a network and a time of the test's.

mod answers;
mod browsing;
mod configuration;
mod malformed;
mod names;
mod network;

use crate::config::{Settings, Setup};

/// A configuration, written as the table that `torsade.toml` becomes.
fn setup(json: &str) -> Setup {
    settings(json).check(&[]).unwrap()
}

fn settings(json: &str) -> Settings {
    torsade_guest::Config::parse(json).unwrap()
}

/// A host with one site.
const SITE: &str = r#"{
    "addresses": ["192.0.2.1", "2001:db8::1"],
    "announce": [{
        "name": "Site", "type": "_http._tcp", "port": 8080,
        "subtypes": ["_printer"], "txt": { "path": "/" }
    }]
}"#;

/// A host that looks for sites.
const BROWSER: &str = r#"{ "host": "reader", "browse": ["_http._tcp"] }"#;
