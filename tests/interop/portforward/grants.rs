//! Where a plugin may connect to is the service's word, not the plugin's.

use std::io::{ErrorKind, Read, Write};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use torsade_tests::host::Host;

use super::super::bad_configuration::message;
use super::super::{folder, trial};
use super::{Target, hop};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("portforward::only_what_is_granted_is_reached", only_what_is_granted_is_reached),
        trial("portforward::without_a_grant_it_is_not_served", without_a_grant_it_is_not_served),
        trial("portforward::a_target_that_is_none_is_not_served", a_target_that_is_none),
    ]
}

/// Grant, target and whether the one covers the other; `PORT` is where somebody listens.
const CASES: &[(&str, &str, bool)] = &[
    ("tcp:127.0.0.1:PORT", "tcp:127.0.0.1:PORT", true),
    ("tcp:127.0.0.0/8:*", "tcp:127.0.0.1:PORT", true),
    ("tcp:*:PORT", "tcp:127.0.0.1:PORT", true),
    // Another host.
    ("tcp:127.0.0.2:PORT", "tcp:127.0.0.1:PORT", false),
    ("tcp:10.0.0.0/8:*", "tcp:127.0.0.1:PORT", false),
    ("unix:PORT", "tcp:127.0.0.1:PORT", false),
    // Another port.
    ("tcp:127.0.0.1:1-79", "tcp:127.0.0.1:PORT", false),
    ("tcp:*:79", "tcp:127.0.0.1:PORT", false),
    // A name is granted wherever it leads, an address by whatever name one comes there.
    ("tcp:localhost:PORT", "tcp:localhost:PORT", true),
    ("tcp:127.0.0.0/8:PORT", "tcp:localhost:PORT", true),
    ("tcp:localhost:PORT", "tcp:127.0.0.1:PORT", false),
    ("tcp:10.0.0.0/8:*", "tcp:localhost:PORT", false),
    ("tcp:*.localhost:PORT", "tcp:localhost:PORT", false),
    ("tcp:localhost:79", "tcp:localhost:PORT", false),
];

fn only_what_is_granted_is_reached() -> Result<()> {
    let target = Target::new()?;
    let port = target.0.local_addr()?.port().to_string();
    let mut text = "workers = 1\n".to_owned();
    for (number, (grant, to, _)) in CASES.iter().enumerate() {
        let (grant, to) = (grant.replace("PORT", &port), to.replace("PORT", &port));
        let name = format!("case-{number}");
        let listen = "tcp:0:interface=127.0.0.1";
        let service = hop(&name, listen, &to, "per-connection");
        let granted = format!("connect = [\"{to}\"]");
        text += &service.replace(&granted, &format!("connect = [\"{grant}\"]"));
    }
    let folder = folder(&text)?;
    let mut host = Host::up(folder.path(), CASES.len())?;
    for (number, (grant, to, granted)) in CASES.iter().enumerate() {
        let mut client = host.connect(&format!("case-{number}"))?;
        // It may be refused by now.
        let sent = client.write_all(b"hello");
        if *granted {
            sent?;
            let mut far = target.accept()?;
            far.read_exact(&mut [0; 5]).with_context(|| format!("{grant} for {to}"))?;
            continue;
        }
        let error = sent.and_then(|()| client.read(&mut [0; 5])).err().map(|error| error.kind());
        let is_reset = matches!(error, Some(ErrorKind::ConnectionReset | ErrorKind::BrokenPipe));
        ensure!(is_reset, "{grant} for {to}: {error:?}");
    }
    target.0.set_nonblocking(true)?;
    std::thread::sleep(Duration::from_millis(20));
    ensure!(target.0.accept().is_err(), "one that was denied is there all the same");
    let denied = CASES.iter().filter(|(.., granted)| !granted).count();
    host.log_with(&["grants.connect does not cover"])?;
    ensure!(host.terminate()?.success(), "{}", host.log());
    let log = host.log();
    ensure!(log.matches("(denied)").count() == denied, "{log}");
    Ok(())
}

fn without_a_grant_it_is_not_served() -> Result<()> {
    let text = hop("one", "tcp:0", "tcp:127.0.0.1:1", "per-worker");
    let folder = folder(&text.replace("grants = { connect = [\"tcp:127.0.0.1:1\"] }\n", ""))?;
    let message = message("up", folder.path())?;
    ensure!(message.contains("service.one") && message.contains("connect"), "{message}");
    Ok(())
}

fn a_target_that_is_none() -> Result<()> {
    for to in ["", "127.0.0.1:80", "udp:127.0.0.1:53"] {
        let text = hop("one", "tcp:0", "tcp:127.0.0.1:1", "per-worker");
        let folder = folder(&text.replace("to = \"tcp:127.0.0.1:1\"", &format!("to = \"{to}\"")))?;
        let message = message("up", folder.path())?;
        ensure!(message.contains("service.one") && message.contains("`to`"), "{message}");
    }
    // And one that only the host can judge.
    let text = hop("one", "tcp:0", "tcp:127.0.0.1", "per-worker");
    let message = message("up", folder(&text)?.path())?;
    ensure!(message.contains("grants.connect"), "{message}");
    Ok(())
}
