//! `torsade up`: build, check, serve.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use sd_notify::NotifyState;
use zeroize::Zeroizing;

use crate::capability::credentials::NewUser;
use crate::config::{self, Config};
use crate::server::{self, Inherited, MadeUsers, Reload, Server};

use super::log::Log;
use super::progress::Progress;
use super::{Failure, Output, plugins, watch};

/// Serves what the configuration says until a signal stops it. With `watch` each change of it, or of
/// its plugins, has it reload.
pub(super) fn up(file: &Path, watch: bool, output: &Output) -> Result<(), Failure> {
    // First of all, while nothing else is open.
    let inherited = Inherited::take();
    let mut made = Vec::new();
    let started = start(file, output, inherited, &mut made);
    // They are told whatever else is: nobody can find them out later.
    let _ = io::stderr().write_all(passwords(&made).as_bytes());
    drop(made);
    let (server, has_stdio, log) = started.map_err(Failure::Input)?;
    let progress = output.progress();
    server.reload_from(Loader { file: file.to_owned(), progress, log });
    if watch {
        watch::start(file, server.control(), progress).map_err(Failure::Input)?;
    }
    if !output.quiet {
        let table = table(&server.endpoints());
        let mut out: Box<dyn Write> = match has_stdio {
            true => Box::new(io::stderr()),
            false => Box::new(io::stdout()),
        };
        // Where it is closed it serves all the same.
        let _ = out.write_all(table.as_bytes()).and_then(|()| out.flush());
    }
    // Where systemd has started this, it begins now what comes after; else nobody is told.
    if let Err(error) = sd_notify::notify(&[NotifyState::Ready]) {
        tracing::warn!("can't tell the service manager that this serves: {error}");
    }
    server.run().map_err(Failure::Serving)
}

/// What is read anew at a reload.
struct Loader {
    file: PathBuf,
    progress: Progress,
    log: Log,
}

impl Reload for Loader {
    fn load(&mut self) -> anyhow::Result<(Config, Vec<Vec<u8>>)> {
        let mut config = config::load(&self.file)?;
        let plugins = plugins::load(&config, self.progress)?;
        self.log.follow(&mut config);
        Ok((config, plugins))
    }

    fn made(&mut self, users: &[MadeUsers]) {
        let _ = io::stderr().write_all(passwords(users).as_bytes());
    }
}

fn start(
    file: &Path,
    output: &Output,
    mut inherited: Inherited,
    made: &mut Vec<MadeUsers>,
) -> anyhow::Result<(Server, bool, Log)> {
    let mut config = config::load(file)?;
    let log = output.start_log(Some(&mut config))?;
    let has_stdio = config.has_stdio();
    if has_stdio {
        // Before what builds plugins could read or write there.
        inherited.take_stdio().context("can't take standard input and output")?;
    }
    let progress = output.progress();
    let plugins = plugins::load(&config, progress)?;
    // What builds plugins, or installs their target, is done.
    server::forbid_new_privileges()?;
    let _compiling = progress.step("starting");
    Ok((Server::start(&config, &plugins, inherited, made)?, has_stdio, log))
}

/// What is told of users who were made: once, and not in the log.
fn passwords(made: &[MadeUsers]) -> Zeroizing<String> {
    let mut told = Zeroizing::new(String::new());
    for MadeUsers { service, file, users } in made {
        let file = file.display();
        told.push_str(&format!("made {file}, the users of {service}; this is said once:\n"));
        let width = users.iter().map(|user| user.name.chars().count()).max().unwrap_or(0);
        for NewUser { name, password } in users {
            told.push_str(&format!("  {name:width$}  "));
            told.push_str(password);
            told.push('\n');
        }
    }
    told
}

/// A line for each endpoint, with the service's name before its first.
fn table(services: &[(String, Vec<String>)]) -> String {
    let width = services.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut lines = String::new();
    for (name, endpoints) in services {
        let nothing = ["(listens on nothing)".to_owned()];
        let endpoints = if endpoints.is_empty() { nothing.as_slice() } else { endpoints };
        for (index, endpoint) in endpoints.iter().enumerate() {
            let name = if index == 0 { name } else { "" };
            lines += &format!("{name:width$}  {endpoint}\n");
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_stand_in_columns() {
        let user = |name: &str| NewUser {
            name: name.to_owned(),
            password: Zeroizing::new(format!("of-{name}")),
        };
        let users = vec![user("alice"), user("bob")];
        let made = MadeUsers { service: "chat".to_owned(), file: "state/users".into(), users };
        assert_eq!(
            *passwords(&[made]),
            "made state/users, the users of chat; this is said once:\n  alice  of-alice\n  bob    of-bob\n"
        );
        assert!(passwords(&[]).is_empty());
    }

    #[test]
    fn services_stand_in_columns() {
        let services = [
            ("site".to_owned(), vec!["tcp:8080".to_owned(), "unix:/run/site.sock".to_owned()]),
            ("a".to_owned(), Vec::new()),
        ];
        let want = "site  tcp:8080\n      unix:/run/site.sock\na     (listens on nothing)\n";
        assert_eq!(table(&services), want);
    }
}
