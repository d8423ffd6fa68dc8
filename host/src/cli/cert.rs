//! `torsade cert`: certificates for development and for small networks of one's own.

use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind, Write};
use std::net::IpAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::Args;
use rand::TryRng;
use rand::rngs::SysRng;

use crate::transport::tls::issue::{self, Authority, Issued, KeyKind, Wanted, is_host_name};
use crate::transport::tls::pem::Purpose;
use crate::transport::tls::settings::now;

use super::Output;

/// How many days an authority is valid.
const AUTHORITY_DAYS: u32 = 3650;

pub(super) const HELP: &str = "\
Examples:
  torsade cert localhost 127.0.0.1            localhost.pem and localhost.key, signed by itself
  torsade cert example.org --ca ca/ca.pem     signed by an authority, which is made with its key,
                                              ca/ca.key, where there is none
  torsade cert --client alice --ca ca/ca.pem  for a client: alice.pem and alice.key

Keys are readable for this user alone. A file that is there already is left alone without --force.";

/// What can be said of a certificate.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The server's host names (also *.example.org) and IP addresses
    #[arg(value_name = "NAME", required_unless_present = "client")]
    names: Vec<String>,
    /// Make one for a client of this name instead
    #[arg(long, value_name = "NAME", conflicts_with = "names")]
    client: Option<String>,
    /// Sign it with the authority in this PEM file, whose key is FILE.key; make one if it's missing
    #[arg(long, value_name = "FILE.pem")]
    ca: Option<PathBuf>,
    /// The folder to write to
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    out: PathBuf,
    /// How many days it is valid
    #[arg(long, value_name = "N", default_value_t = 365,
          value_parser = clap::value_parser!(u32).range(1..=36500))]
    days: u32,
    /// Make a key for RSA (2048 bits), not for ECDSA (P-256)
    #[arg(long)]
    rsa: bool,
    /// Replace what is there
    #[arg(long)]
    force: bool,
}

/// Makes a certificate, and first its authority if need be.
pub(super) fn cert(arguments: &Arguments, output: &Output) -> Result<()> {
    let (names, purpose) = match &arguments.client {
        Some(name) => (std::slice::from_ref(name), Purpose::Client),
        None => (&arguments.names[..], Purpose::Server),
    };
    names.iter().try_for_each(|name| check_name(name, purpose))?;
    let first = names.first().context("it needs a name")?;
    // Shown without a dot in front.
    let out = if arguments.out == Path::new(".") { Path::new("") } else { &arguments.out };
    let cert = out.join(format!("{}.pem", file_name(first)));
    let key = cert.with_extension("key");
    let wanted = Wanted {
        names,
        purpose,
        days: arguments.days,
        key: if arguments.rsa { KeyKind::Rsa } else { KeyKind::Ecdsa },
        now: now(),
    };
    let mut said = String::new();
    let authority = match &arguments.ca {
        Some(path) => {
            let folder = |path: &Path| path.parent().and_then(|it| it.canonicalize().ok());
            ensure!(
                folder(path) != folder(&cert) || path.file_name() != cert.file_name(),
                "{} would be both the authority and what it signs; name them differently",
                path.display()
            );
            Some(authority(path, &wanted, &mut said)?)
        }
        None => None,
    };
    let issued = wanted.issue(authority.as_ref()).context("no certificate could be made")?;
    write(&cert, &key, &issued, arguments.force)?;
    said += &format!("wrote {} and {}\n", cert.display(), key.display());
    said += &hint(&cert, &key, purpose, arguments.ca.as_deref());
    if !output.quiet {
        // Where standard output is closed the status tells it.
        let _ = io::stdout().write_all(said.as_bytes());
    }
    Ok(())
}

fn check_name(name: &str, purpose: Purpose) -> Result<()> {
    let good = match purpose {
        Purpose::Server => is_host_name(name) || name.parse::<IpAddr>().is_ok(),
        Purpose::Client => {
            (1..=64).contains(&name.chars().count()) && !name.contains(char::is_control)
        }
    };
    match purpose {
        _ if good => Ok(()),
        Purpose::Server => bail!(
            "{name:?} is neither a host name nor an IP address; a name in other letters is written \
             as xn--…"
        ),
        Purpose::Client => bail!("{name:?} is no name for a client; it takes 1 to 64 characters"),
    }
}

/// The name as that of a file: without what shells and paths take for something else.
fn file_name(name: &str) -> String {
    let good = |c: char| c.is_alphanumeric() || "-.@_".contains(c);
    let name: String = name.chars().map(|c| if good(c) { c } else { '_' }).collect();
    // A hidden file would be passed over.
    if name.starts_with('.') { format!("_{name}") } else { name }
}

/// The authority in a file, made if it isn't there.
fn authority(path: &Path, wanted: &Wanted<'_>, said: &mut String) -> Result<Authority> {
    let key = path.with_extension("key");
    ensure!(key != path, "{} has to be FILE.pem, as its key is FILE.key", path.display());
    if !path.exists() {
        // Authorities of one name would be taken for each other.
        let number = SysRng.try_next_u32().context("the system has no random numbers")?;
        let name = [format!("Torsade authority {number:08x}")];
        let made = Wanted { names: &name, days: AUTHORITY_DAYS, ..wanted.clone() }
            .authority()
            .context("no authority could be made")?;
        write(path, &key, &made, false)?;
        let (path, key) = (path.display(), key.display());
        *said += &format!("wrote {path}, an authority, and {key}; who has the key can sign\n");
    }
    Ok(Authority::read(path, &key)?)
}

/// Writes the key first: who looks at the certificate finds its key.
fn write(cert: &Path, key: &Path, issued: &Issued, replace: bool) -> Result<()> {
    for path in [cert, key] {
        ensure!(replace || !path.exists(), "{}", there_already(path));
    }
    if let Some(folder) = cert.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(folder)
            .with_context(|| format!("can't make {}", folder.display()))?;
    }
    let unwritten = |path: &Path, error: &io::Error| match error.kind() {
        ErrorKind::AlreadyExists => anyhow!("{}", there_already(path)),
        _ => anyhow!("{} can't be written: {error}", path.display()),
    };
    issue::write(key, &issued.key, true, replace).map_err(|error| unwritten(key, &error))?;
    issue::write(cert, &issued.cert, false, replace).map_err(|error| {
        if !replace {
            // A key without its certificate helps nobody.
            let _ = fs::remove_file(key);
        }
        unwritten(cert, &error)
    })
}

fn there_already(path: &Path) -> String {
    format!("{} is there already; --force replaces it", path.display())
}

/// How to use what was written.
fn hint(cert: &Path, key: &Path, purpose: Purpose, ca: Option<&Path>) -> String {
    let signer = ca.unwrap_or(cert).display();
    let (cert, key) = (cert.display(), key.display());
    match purpose {
        Purpose::Client => format!(
            "in the server's torsade.toml: tls = {{ …, clients = \"required\", client-ca = \
             \"{signer}\" }}\na client shows it by: curl --cert {cert} --key {key} …\n"
        ),
        Purpose::Server => format!(
            "in torsade.toml: tls = {{ cert = \"{cert}\", key = \"{key}\" }}\nclients trust it by: \
             curl --cacert {signer} …\n"
        ),
    }
}

#[cfg(test)]
#[path = "cert_tests.rs"]
mod tests;
