//! `torsade passwd`: the users of a file, one at a time.

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::Args;
use rand::TryRng;
use rand::rngs::SysRng;
use zeroize::Zeroizing;

use crate::capability::credentials::{Entry, change, fingerprint};
use crate::transport::tls::pem;

use super::Output;

/// The longest line that is read for a password, in bytes.
const LINE_MAX: u64 = 4096;

pub(super) const HELP: &str = "\
Asks for the password twice, or reads a line from standard input where that is no terminal. The file
is made where there is none, readable for this user alone; a host that serves reads it again within a
second of the next login.

Examples:
  torsade passwd users alice                            alice's password, new or another
  pwgen 20 1 | torsade passwd users alice               … from another program
  torsade passwd users alice --certificate alice.pem    alice may log in by this certificate, too
  torsade passwd users alice --delete                   alice is no user any more

In torsade.toml: grants = { credentials = \"users\" }";

/// What can be said of a user.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The file of users
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The user's name
    #[arg(value_name = "NAME")]
    name: String,
    /// Take the user out of the file, with all certificates
    #[arg(long, conflicts_with_all = ["certificate", "stdin"])]
    delete: bool,
    /// Let the user log in by the certificate in this PEM file, the first there; the password stays
    #[arg(long, value_name = "FILE.pem", conflicts_with = "stdin")]
    certificate: Option<PathBuf>,
    /// Read the password from standard input, even if that is a terminal
    #[arg(long)]
    stdin: bool,
}

/// Changes what a user has.
pub(super) fn passwd(arguments: &Arguments, output: &Output) -> Result<()> {
    let Arguments { file, name, .. } = arguments;
    let (seed, random) = (random()?, random()?);
    let (done, password);
    let entry = match &arguments.certificate {
        Some(path) => {
            done = "has the certificate";
            Entry::Certificate(fingerprint(&pem::first_certificate(path)?))
        }
        None if arguments.delete => {
            done = "is no user any more";
            Entry::Nothing
        }
        None => {
            done = "has the password";
            password = ask(name, arguments.stdin)?;
            Entry::Password(password.as_bytes(), random)
        }
    };
    let was_there = change(file, name, entry, seed).map_err(|why| anyhow!(why))?;
    if !output.quiet {
        let new = if was_there { "" } else { ", and is new there" };
        // Where standard output is closed the status tells it.
        let _ = writeln!(io::stdout(), "{}: {name} {done}{new}", file.display());
    }
    Ok(())
}

/// Asks for a password: twice where a person types it.
fn ask(name: &str, from_stdin: bool) -> Result<Zeroizing<String>> {
    if from_stdin || !io::stdin().is_terminal() {
        return line(io::stdin().lock());
    }
    let typed = |prompt: &str| {
        rpassword::prompt_password(prompt)
            .map(Zeroizing::new)
            .context("can't ask for the password; --stdin reads a line of standard input")
    };
    let password = typed(&format!("Password of {name}: "))?;
    ensure!(!password.is_empty(), "the password is empty");
    match *typed("Once more: ")? == *password {
        true => Ok(password),
        false => bail!("these were two different passwords"),
    }
}

/// The first line, without its end.
fn line(input: impl BufRead) -> Result<Zeroizing<String>> {
    let mut line = Zeroizing::new(String::new());
    input
        .take(LINE_MAX)
        .read_line(&mut line)
        .context("can't read the password from standard input")?;
    let end = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(end);
    ensure!(!line.is_empty(), "standard input has no password; it takes one line");
    Ok(line)
}

fn random() -> Result<[u8; 32]> {
    let mut random = [0; 32];
    SysRng.try_fill_bytes(&mut random).context("the system has no random numbers")?;
    Ok(random)
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn a_password_is_a_line_without_its_end() {
        for input in ["pencil", "pencil\n", "pencil\r\nmore\n"] {
            assert_eq!(*line(input.as_bytes()).unwrap(), "pencil");
        }
        assert_eq!(*line(&b" two words \n"[..]).unwrap(), " two words ");
        assert!(
            line(&b"\nmore"[..]).is_err() && line(&b""[..]).is_err() && line(&b"\xff"[..]).is_err()
        );
    }
}
