//! The server of files of [`torsade_http`], with paths that only users may see (RFC 7617), as a
//! plugin for Torsade.
//!
//! It is a component of its own, since it imports `credentials`, which its service has to grant: a
//! site without users needs no such grant.

#![forbid(unsafe_code)]

use torsade_guest::{Deferred, credentials};
use torsade_http::component::{Peered, Server, Users, stranger};
use torsade_http::config::Config;
use torsade_http::protection::Login;
use torsade_http::user::Stranger;

/// Those whom the host knows.
#[derive(Debug)]
pub struct Granted;

impl Users for Granted {
    fn check(_: &Config) -> Result<(), String> {
        Ok(())
    }

    fn verify(of: &Peered<Self>, login: Option<Login>) -> Result<Deferred<String>, Stranger> {
        let Some(Login { name, password }) = login else {
            // Nobody is asked for a password that others could read on its way.
            let can_ask = credentials::mechanisms(of).iter().any(|name| name == "PLAIN");
            return Err(if can_ask { Stranger::Unknown } else { Stranger::Clear });
        };
        credentials::verify(of, &name, &password).map_err(|failure| match stranger(&failure) {
            // A limit that is told at once is that of questions, and not of wrong passwords.
            Stranger::Throttled => Stranger::Busy,
            other => other,
        })
    }
}

torsade_guest::export!(
    Server<Granted>,
    serves = ["http/1.1"],
    schema = include_str!("../../http/config.schema.json"),
);
