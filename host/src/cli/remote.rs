//! `torsade status`, `stop` and `reload`: what is asked of a host that serves, by its admin socket.

use std::io::{self, Write};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Args;

use crate::config;
use crate::observe::admin::{Answer, Request};
use crate::observe::client::Client;
use crate::observe::status::Status;

use super::Failure;
use super::top::shown;

/// Which host is asked.
#[derive(Debug, Args)]
pub(super) struct Host {
    /// The configuration that the host serves, or a folder that holds its torsade.toml
    #[arg(value_name = "FILE or FOLDER", default_value = ".")]
    file: PathBuf,
    /// The host's admin socket, whatever the configuration says
    #[arg(long, value_name = "PATH")]
    admin: Option<PathBuf>,
}

impl Host {
    pub(super) fn connect(&self) -> Result<Client, Failure> {
        let places = match &self.admin {
            Some(place) => vec![place.clone()],
            None => config::admin_places(&self.file).map_err(|e| Failure::Input(e.into()))?,
        };
        let mut failed = anyhow!("its configuration says admin = \"none\"");
        for place in places {
            match Client::connect(&place) {
                Ok(client) => return Ok(client),
                Err(e) => failed = anyhow!("{}: {e}", place.display()),
            }
        }
        let of = self.admin.as_ref().unwrap_or(&self.file).display();
        Err(Failure::Serving(failed.context(format!("no host answers for {of}"))))
    }
}

/// Prints what a host serves, and what went on in a second.
pub(super) fn status(host: &Host, json: bool) -> Result<(), Failure> {
    let mut client = host.connect()?;
    let before = ask_status(&mut client)?;
    thread::sleep(A_SECOND);
    let now = ask_status(&mut client)?;
    let text = match json {
        true => format!("{}\n", now.to_json(Some(&before))),
        false => shown::text(&now, &before),
    };
    // Where standard output is closed nobody wants to know.
    let _ = io::stdout().write_all(text.as_bytes());
    Ok(())
}

/// Stops a service of a host.
pub(super) fn stop(host: &Host, service: String) -> Result<(), Failure> {
    match ask(&mut host.connect()?, &Request::Stop(service))? {
        Answer::Done => Ok(()),
        _ => Err(something_else()),
    }
}

/// Has a host read its configuration anew, and prints what has changed.
pub(super) fn reload(host: &Host) -> Result<(), Failure> {
    match ask(&mut host.connect()?, &Request::Reload)? {
        Answer::Reloaded(changes) => {
            // Where standard output is closed nobody wants to know.
            let _ = writeln!(io::stdout(), "reloaded: {changes}");
            Ok(())
        }
        _ => Err(something_else()),
    }
}

/// The host's status.
pub(super) fn ask_status(client: &mut Client) -> Result<Status, Failure> {
    match ask(client, &Request::Status)? {
        Answer::Status(status) => Ok(*status),
        _ => Err(something_else()),
    }
}

fn something_else() -> Failure {
    Failure::Serving(anyhow!("the host has answered something else"))
}

fn ask(client: &mut Client, request: &Request) -> Result<Answer, Failure> {
    match client.ask(request).context("the host doesn't answer") {
        Ok(Answer::Failed(why)) => Err(Failure::Serving(anyhow!("the host refuses: {why}"))),
        Ok(answer) => Ok(answer),
        Err(error) => Err(Failure::Serving(error)),
    }
}

/// The time that rates are of.
const A_SECOND: Duration = Duration::from_secs(1);
