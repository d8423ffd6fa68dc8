//! Users of a service: by the command that makes them, over real transports, and what the log is not
//! told.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use tempfile::TempDir;
use torsade_tests::certificates::{Authority, Identity};
use torsade_tests::host::{self, Host, PATIENCE};
use torsade_tests::scram::{Client, from_hexadecimal, to_hexadecimal};

use super::bad_configuration::message;
use super::{configure, folder, trial};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("logins::what_the_command_sets_lets_in", what_the_command_sets_lets_in),
        trial("logins::the_command_tells_what_is_wrong", the_command_tells_what_is_wrong),
        trial("logins::a_certificate_lets_its_owner_in", a_certificate_lets_its_owner_in),
        trial("logins::a_password_is_not_said_in_clear", a_password_is_not_said_in_clear),
        trial("logins::users_are_made_at_the_first_start", users_are_made_at_the_first_start),
        trial("logins::a_broken_file_is_told_by_its_line", a_broken_file_is_told_by_its_line),
        trial("logins::who_guesses_is_told_to_wait", who_guesses_is_told_to_wait),
        trial("logins::no_secret_reaches_the_log", no_secret_reaches_the_log),
    ]
}

/// A service with users, which are alice and her password, and with more lines.
fn serving(password: &str, lines: &str) -> Result<(TempDir, Host)> {
    let folder = tempfile::tempdir()?;
    set(folder.path(), "alice", password)?;
    let text = format!("grace = \"0s\"\n{HEAD}{lines}");
    configure(folder.path(), &text)?;
    let host = Host::up(folder.path(), 1)?;
    Ok((folder, host))
}

const HEAD: &str = "[service.login]\nplugin = \"@login\"\ninstances = \"per-worker\"\n";

const LOOPBACK: &str = "listen = [\"tcp:0:interface=127.0.0.1\"]\n\
                        grants = { credentials = { users = \"users\", plain = \"loopback\" } }\n";

/// Has `torsade passwd` read a password.
fn set(folder: &Path, name: &str, password: &str) -> Result<String> {
    said(folder, &["users", name], &format!("{password}\n"))
}

/// What `torsade passwd` says, which has to succeed.
fn said(folder: &Path, arguments: &[&str], input: &str) -> Result<String> {
    let (success, said) = passwd(folder, arguments, input)?;
    ensure!(success, "torsade passwd {arguments:?}: {said}");
    Ok(said)
}

fn passwd(folder: &Path, arguments: &[&str], input: &str) -> Result<(bool, String)> {
    let mut command = host::command()?;
    command.arg("passwd").args(arguments).current_dir(folder);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    // One that refuses its arguments reads nothing.
    let _ = child.stdin.take().context("stdin is a pipe")?.write_all(input.as_bytes());
    let output = child.wait_with_output()?;
    let said = [output.stdout, output.stderr].concat();
    Ok((output.status.success(), String::from_utf8(said)?))
}

/// A connection to the plugin that lets its peer log in.
struct Peer<S>(BufReader<S>);

impl<S: Read + Write> Peer<S> {
    fn new(stream: S) -> Self {
        Self(BufReader::new(stream))
    }

    fn ask(&mut self, line: &str) -> Result<String> {
        self.0.get_mut().write_all(format!("{line}\n").as_bytes())?;
        self.0.get_mut().flush()?;
        let mut answer = String::new();
        self.0.read_line(&mut answer)?;
        ensure!(answer.ends_with('\n'), "{line}: the connection ended");
        Ok(answer.trim_end().to_owned())
    }

    fn expect(&mut self, line: &str, answer: &str) -> Result<()> {
        let said = self.ask(line)?;
        ensure!(said.starts_with(answer), "{line}: {answer:?} was expected, not {said:?}");
        Ok(())
    }

    fn verify(&mut self, name: &str, password: &str) -> Result<String> {
        self.ask(&format!("verify {name} {}", to_hexadecimal(password.as_bytes())))
    }

    fn plain(&mut self, name: &str, password: &str) -> Result<String> {
        let said = format!("\0{name}\0{password}");
        self.ask(&format!("begin PLAIN {}", to_hexadecimal(said.as_bytes())))
    }

    fn scram(&mut self, name: &str, password: &str) -> Result<String> {
        let (mut client, first) = Client::new(name, password.as_bytes());
        let begun = self.ask(&format!("begin SCRAM-SHA-256 {}", to_hexadecimal(&first)))?;
        let Some(challenge) = begun.strip_prefix("ok challenge ") else { return Ok(begun) };
        let proof = client.prove(&from_hexadecimal(challenge)?)?;
        let said = self.ask(&format!("say {}", to_hexadecimal(&proof)))?;
        if let Some(data) = said.strip_prefix(&format!("ok success {name} ")) {
            client.check(&from_hexadecimal(data)?)?;
        }
        Ok(said)
    }
}

fn connect(host: &Host) -> Result<Peer<TcpStream>> {
    Ok(Peer::new(host.connect("login")?))
}

fn what_the_command_sets_lets_in() -> Result<()> {
    let (folder, host) = serving("one", LOOPBACK)?;
    let mut peer = connect(&host)?;
    peer.expect("mechanisms", "ok SCRAM-SHA-256 PLAIN")?;
    ensure!(peer.verify("alice", "one")? == "ok alice");
    ensure!(peer.plain("alice", "one")? == "ok success alice -");
    ensure!(peer.scram("alice", "one")?.starts_with("ok success alice "));
    for wrong in [peer.plain("alice", "two")?, peer.scram("alice", "two")?] {
        ensure!(wrong.starts_with("denied the name, or"), "{wrong}");
    }
    let told = set(folder.path(), "alice", "two")?;
    ensure!(told == "users: alice has the password\n", "{told}");
    let told = set(folder.path(), "bob b.", "three")?;
    ensure!(told == "users: bob b. has the password, and is new there\n", "{told}");
    // It is read again within a second.
    let until = Instant::now() + PATIENCE;
    while peer.verify("alice", "two")? != "ok alice" {
        ensure!(Instant::now() < until, "the new password does not let in: {}", host.log());
        thread::sleep(Duration::from_millis(1100));
    }
    ensure!(peer.scram("alice", "two")?.starts_with("ok success alice "));
    ensure!(peer.plain("bob b.", "three")? == "ok success bob b. -");
    let mode = folder.path().join("users").metadata()?.permissions().mode();
    ensure!(mode & 0o777 == 0o600, "{mode:o}");
    let told = said(folder.path(), &["users", "alice", "--delete"], "")?;
    ensure!(told == "users: alice is no user any more\n", "{told}");
    thread::sleep(Duration::from_millis(1100));
    ensure!(peer.verify("alice", "two")?.starts_with("denied"));
    host.log_with(&["users has changed, and was read again"])?;
    Ok(())
}

fn the_command_tells_what_is_wrong() -> Result<()> {
    let folder = tempfile::tempdir()?;
    set(folder.path(), "alice", "one")?;
    fs::write(folder.path().join("open"), "")?;
    fs::set_permissions(folder.path().join("open"), fs::Permissions::from_mode(0o644))?;
    for (arguments, input, told) in [
        (&["users", "alice"][..], "", "standard input has no password"),
        (&["users", "alice"], "\n", "standard input has no password"),
        (&["users", "alice"], "\u{7}\n", "the password has characters that no password may have"),
        (&["users", "a:b"], "x\n", "the name has a colon"),
        (&["users", "bob", "--delete"], "", "there is no user bob"),
        (&["users", "bob", "--certificate", "none.pem"], "", "none.pem: there is no such file"),
        (&["users", "bob", "--certificate", "users"], "", "users: has no certificate"),
        (&["open", "alice"], "x\n", "its mode is 644); `chmod 600 open` is right"),
        (&["none/users", "alice"], "x\n", "none: can't be opened"),
        (&["users"], "x\n", "<NAME>"),
    ] {
        let (success, said) = passwd(folder.path(), arguments, input)?;
        ensure!(!success && said.contains(told), "{arguments:?}: {told:?} is not in {said:?}");
    }
    Ok(())
}

type Secure = StreamOwned<ClientConnection, TcpStream>;

/// A connection that is encrypted, and shows a certificate, if there is one.
fn secure(authority: &Authority, stream: TcpStream, shown: Option<&Identity>) -> Result<Secure> {
    let config = Arc::new(authority.client(shown)?);
    let side = ClientConnection::new(config, ServerName::try_from("127.0.0.1")?)?;
    Ok(StreamOwned::new(side, stream))
}

fn a_certificate_lets_its_owner_in() -> Result<()> {
    let (folder, authority) = (tempfile::tempdir()?, Authority::new("tests")?);
    authority.sign(&["127.0.0.1"])?.write(folder.path(), "own")?;
    let (carols, others) = (authority.sign(&["carol"])?, authority.sign(&["carol"])?);
    carols.write(folder.path(), "carol")?;
    fs::write(folder.path().join("ca.pem"), authority.pem())?;
    let told = said(folder.path(), &["users", "carol", "--certificate", "carol.pem"], "")?;
    ensure!(told == "users: carol has the certificate, and is new there\n", "{told}");
    configure(
        folder.path(),
        &format!(
            "grace = \"0s\"\n{HEAD}listen = [\"tls:0:interface=127.0.0.1\"]\n\
             grants = {{ credentials = \"users\" }}\ntls = {{ cert = \"own.pem\", key = \
             \"own-key.pem\", clients = \"optional\", client-ca = \"ca.pem\" }}\n"
        ),
    )?;
    let host = Host::up(folder.path(), 1)?;
    let (_, endpoint) = host.endpoints.first().context("it has an endpoint")?;
    let port: u16 = endpoint.split(':').nth(1).context("it has a port")?.parse()?;
    let connect = |shown| -> Result<Peer<Secure>> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Peer::new(secure(&authority, stream, shown)?))
    };
    let mut carol = connect(Some(&carols))?;
    carol.expect("mechanisms", "ok EXTERNAL SCRAM-SHA-256 PLAIN")?;
    carol.expect("begin EXTERNAL ", "ok success carol -")?;
    carol.expect("begin EXTERNAL 6361726f6c", "ok success carol -")?;
    carol.expect("begin EXTERNAL 616c696365", "denied the name, or")?;
    carol.expect("begin EXTERNAL -", "ok challenge")?;
    carol.expect("say", "ok success carol -")?;
    // The same name, and another certificate.
    let mut other = connect(Some(&others))?;
    other.expect("begin EXTERNAL ", "denied the name, or")?;
    let mut nobody = connect(None)?;
    nobody.expect("mechanisms", "ok SCRAM-SHA-256 PLAIN")?;
    nobody.expect("begin EXTERNAL ", "unsupported")
}

fn a_password_is_not_said_in_clear() -> Result<()> {
    let authority = Authority::new("tests")?;
    let folder = tempfile::tempdir()?;
    authority.sign(&["127.0.0.1"])?.write(folder.path(), "own")?;
    set(folder.path(), "alice", "one")?;
    configure(
        folder.path(),
        &format!(
            "grace = \"0s\"\n{HEAD}listen = [\"tcp:0:interface=127.0.0.1\", \"unix:s.sock\"]\n\
             grants = {{ credentials = \"users\" }}\n\
             tls = {{ cert = \"own.pem\", key = \"own-key.pem\" }}\n"
        ),
    )?;
    let host = Host::up(folder.path(), 2)?;
    let mut peer = connect(&host)?;
    peer.expect("mechanisms", "ok SCRAM-SHA-256")?;
    ensure!(peer.ask("mechanisms")? == "ok SCRAM-SHA-256");
    for refused in [peer.verify("alice", "one")?, peer.plain("alice", "one")?] {
        ensure!(refused.starts_with("unsupported "), "{refused}");
    }
    ensure!(peer.scram("alice", "one")?.starts_with("ok success alice "));
    // Encrypted it may be said.
    peer.0.get_mut().write_all(b"secure\n")?;
    ensure!(peer.0.buffer().is_empty());
    let mut peer = Peer::new(secure(&authority, peer.0.into_inner(), None)?);
    let mut secured = String::new();
    peer.0.read_line(&mut secured)?;
    ensure!(secured == "ok secured\n", "{secured}");
    peer.expect("mechanisms", "ok SCRAM-SHA-256 PLAIN")?;
    ensure!(peer.plain("alice", "one")? == "ok success alice -");
    // And where nobody can listen.
    let unix = UnixStream::connect(folder.path().join("s.sock"))?;
    unix.set_read_timeout(Some(PATIENCE))?;
    let mut near = Peer::new(unix);
    near.expect("mechanisms", "ok SCRAM-SHA-256 PLAIN")?;
    ensure!(near.verify("alice", "one")? == "ok alice");
    Ok(())
}

fn users_are_made_at_the_first_start() -> Result<()> {
    let text = format!(
        "grace = \"0s\"\n{HEAD}listen = [\"tcp:0:interface=127.0.0.1\"]\n[service.login.grants]\n\
         credentials = {{ users = \"state/users\", create = [\"alice\", \"bob\"], plain = \
         \"loopback\" }}\n"
    );
    let folder = folder(&text)?;
    let users = folder.path().join("state/users");
    let checked = host::run(&["check", "."], folder.path())?;
    ensure!(checked.status.success() && !users.exists(), "{checked:?}");
    let mut host = Host::up(folder.path(), 1)?;
    let log = host.log_with(&["this is said once:", "  bob  "])?;
    let password = |name: &str| {
        let line = log.lines().find_map(|line| line.strip_prefix(&format!("  {name:5}  ")));
        line.map(str::to_owned).with_context(|| format!("{name} has no password in {log}"))
    };
    let (alices, bobs) = (password("alice")?, password("bob")?);
    ensure!(alices != bobs && alices.len() == 19, "{alices} {bobs}");
    let mode = users.metadata()?.permissions().mode();
    ensure!(mode & 0o777 == 0o600, "{mode:o}");
    let mut peer = connect(&host)?;
    ensure!(peer.verify("alice", &alices)? == "ok alice");
    ensure!(peer.scram("bob", &bobs)?.starts_with("ok success bob "));
    ensure!(peer.verify("alice", &bobs)?.starts_with("denied"));
    ensure!(host.terminate()?.success());
    let before = fs::read(&users)?;
    let mut again = Host::up(folder.path(), 1)?;
    ensure!(connect(&again)?.verify("alice", &alices)? == "ok alice");
    ensure!(again.terminate()?.success());
    ensure!(!again.log().contains("said once") && fs::read(&users)? == before);
    Ok(())
}

fn a_broken_file_is_told_by_its_line() -> Result<()> {
    let text = format!("{HEAD}listen = [\"tcp:0\"]\ngrants = {{ credentials = \"users\" }}\n");
    let folder = folder(&text)?;
    let users = folder.path().join("users");
    let both = |told: &[&str]| -> Result<()> {
        for command in ["check", "up"] {
            let said = message(command, folder.path())?;
            for told in told {
                ensure!(said.contains(told), "{command}: {told:?} is not in {said}");
            }
            ensure!(!said.contains("s3cret"), "{command}: {said}");
        }
        Ok(())
    };
    both(&[
        "service.login: grants.credentials: ",
        "users: there is no such file; `torsade passwd",
    ])?;
    fs::write(&users, "# users\nalice:s3cret\n\nbob:SCRAM-SHA-256$s3cret\n")?;
    both(&["others may read or change it", "chmod 600"])?;
    fs::set_permissions(&users, fs::Permissions::from_mode(0o600))?;
    both(&["users:2: alice: behind the name stands neither", "users:4: bob: its keys are not"])
}

fn who_guesses_is_told_to_wait() -> Result<()> {
    let limits = "limits = { logins-per-peer = 3 }\n";
    let (_folder, mut host) = serving("one", &format!("{LOOPBACK}{limits}"))?;
    let mut peer = connect(&host)?;
    for _ in 0..5 {
        ensure!(peer.verify("alice", "one")? == "ok alice");
    }
    let mut denied = 0;
    let waits = loop {
        let said = peer.verify("alice", "guess")?;
        if !said.starts_with("denied") {
            break said;
        }
        denied += 1;
        ensure!(denied < 100, "nobody has to wait");
    };
    let told = "limit limits.logins-per-peer: too many logins have failed; the next may be in ";
    ensure!(waits.starts_with(told) && waits.ends_with(" s"), "{waits}");
    ensure!((3..=6).contains(&denied), "{denied} guesses were looked at");
    // Neither another connection nor the right password helps, and nothing is hashed any more.
    let mut other = connect(&host)?;
    let began = Instant::now();
    for _ in 0..200 {
        let said = other.plain("alice", "one")?;
        ensure!(said.starts_with("limit") || said.starts_with("ok"), "{said}");
    }
    ensure!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    ensure!(host.terminate()?.success());
    let log = host.log();
    ensure!(log.contains("limits.logins-per-peer is reached"), "{log}");
    ensure!(log.contains("how often: limits.logins-per-peer "), "{log}");
    Ok(())
}

fn no_secret_reaches_the_log() -> Result<()> {
    let password = "Tr0ub4dor-and-3";
    let folder = tempfile::tempdir()?;
    set(folder.path(), "alice", password)?;
    configure(folder.path(), &format!("grace = \"0s\"\nlog = \"trace\"\n{HEAD}{LOOPBACK}"))?;
    let mut host = Host::up(folder.path(), 1)?;
    let mut peer = connect(&host)?;
    let guess = "c0rrect-horse";
    for (name, password) in [("alice", password), ("alice", guess), (guess, password)] {
        for said in
            [peer.verify(name, password)?, peer.plain(name, password)?, peer.scram(name, password)?]
        {
            ensure!(
                said.starts_with("ok success alice")
                    || said == "ok alice"
                    || name == guess
                    || password == guess,
                "{said}"
            );
        }
    }
    peer.ask(&format!("say {}", to_hexadecimal(guess.as_bytes())))?;
    let lines = fs::read_to_string(folder.path().join("users"))?;
    // A broken file is told of, and nothing of it.
    fs::write(folder.path().join("users"), format!("alice:{guess}\n{guess}\n"))?;
    thread::sleep(Duration::from_millis(1100));
    ensure!(peer.verify("alice", password)? == "ok alice");
    host.log_with(&["the users stay who they were", "a login has failed"])?;
    ensure!(host.terminate()?.success());
    let log = host.log();
    let kept = lines.lines().filter(|line| !line.starts_with('#'));
    let kept = kept.flat_map(|line| line.split([':', '$'])).filter(|part| part.len() > 16);
    for secret in kept.chain([password, guess]) {
        ensure!(!log.contains(secret), "{secret} is in the log");
        let hexadecimal = to_hexadecimal(secret.as_bytes());
        ensure!(!log.contains(&hexadecimal), "{secret} is in the log as {hexadecimal}");
    }
    Ok(())
}
