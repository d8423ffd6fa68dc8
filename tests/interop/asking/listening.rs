//! Listening at run time, as FTP's passive mode does it.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process;
use std::sync::atomic::{AtomicU8, Ordering};

use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use tempfile::TempDir;
use torsade_tests::host::{Host, PATIENCE};

use super::{Lines, ends_well, inquirer, trial, until};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("asking::listening::ports_of_the_range_are_bound", ports_of_the_range_are_bound),
        trial("asking::listening::what_is_no_endpoint_is_invalid", what_is_no_endpoint_is_invalid),
        trial("asking::listening::so_many_listeners_and_no_more", so_many_listeners),
        trial("asking::listening::a_listener_that_is_dropped_is_closed", a_dropped_one_is_closed),
        trial("asking::listening::who_gives_a_listener_up_gets_none", who_gives_up_gets_none),
        trial("asking::listening::a_unix_socket_is_bound", a_unix_socket_is_bound),
        trial("asking::listening::listeners_end_with_their_instance", they_end_with_their_instance),
        trial("asking::listening::listeners_end_with_the_host", they_end_with_the_host),
    ]
}

/// An address of this machine that no other test uses.
pub(in crate::interop) fn own_address() -> Ipv4Addr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [high, low, ..] = process::id().to_le_bytes();
    Ipv4Addr::new(127, high.max(1), low, NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A service that may listen on ports 40000 and 40001 of `ip`.
fn listening(ip: Ipv4Addr, more: &str) -> Result<(TempDir, Host)> {
    inquirer(&format!(
        "grants = {{ connect = [\"tcp:192.0.2.1:1\"], jobs = true, listen = [\
         \"tcp:40000-40001:interface={ip}\", \"unix:asked.sock\"] }}\n{more}"
    ))
}

fn ports_of_the_range_are_bound() -> Result<()> {
    let ip = own_address();
    let (_folder, host) = listening(ip, "")?;
    let mut lines = Lines::asking(&host)?;
    lines.ask(&format!("a listen tcp:40000:interface={ip}"), &format!("a ok {ip} 40000"))?;
    lines.ask_with(&format!("b listen tcp:40000:interface={ip}"), "b in-use", "40000")?;
    // The only one that is left.
    lines.ask(&format!("c listen tcp:0:interface={ip}"), &format!("c ok {ip} 40001"))?;
    lines.ask_with(&format!("d listen tcp:0:interface={ip}"), "d in-use", "")?;
    for (port, tag) in [(40000, "a"), (40001, "c"), (40000, "a")] {
        let mut arrived = Lines::new(TcpStream::connect((ip, port))?)?;
        arrived.expect(&format!("arrived {tag}"))?;
        arrived.ask("and it echoes", "and it echoes")?;
    }
    drop(lines);
    ends_well(host)
}

fn what_is_no_endpoint_is_invalid() -> Result<()> {
    let (_folder, host) = listening(own_address(), "")?;
    let mut lines = Lines::asking(&host)?;
    for invalid in ["", "tcp", "tcp:", "tcp:-1", "tcp:65536", "tcp:x", "sctp:40000", "tcp:1:a=b"] {
        lines.ask_with(&format!("a listen {invalid}"), "a invalid", "")?;
    }
    ends_well(host)
}

fn so_many_listeners() -> Result<()> {
    let ip = own_address();
    let (_folder, host) = listening(ip, "limits = { listeners = 1 }\n")?;
    let mut lines = Lines::asking(&host)?;
    for tag in ["a", "b", "c"] {
        let bound = lines.ask_with(&format!("{tag} listen tcp:0:interface={ip}"), tag, " ok ")?;
        lines.ask_with("z listen unix:asked.sock", "z limit", "limits.listeners")?;
        ensure!(bound.contains(&ip.to_string()), "{bound}");
        lines.send(&format!("{tag} close"))?;
        lines.synchronise()?;
    }
    ends_well(host)
}

fn a_dropped_one_is_closed() -> Result<()> {
    let ip = own_address();
    let (_folder, host) = listening(ip, "")?;
    let mut lines = Lines::asking(&host)?;
    lines.ask(&format!("a listen tcp:40000:interface={ip}"), &format!("a ok {ip} 40000"))?;
    let mut arrived = Lines::new(TcpStream::connect((ip, 40000))?)?;
    arrived.expect("arrived a")?;
    lines.send("a close")?;
    lines.synchronise()?;
    refuses(ip)?;
    // What it accepted goes on, and the port is free.
    arrived.ask("still here", "still here")?;
    let own = TcpListener::bind((ip, 40001))?;
    lines.ask(&format!("b listen tcp:0:interface={ip}"), &format!("b ok {ip} 40000"))?;
    let mut second = Lines::new(TcpStream::connect((ip, 40000))?)?;
    second.expect("arrived b")?;
    arrived.ask("and still", "and still")?;
    drop(own);
    ends_well(host)
}

fn who_gives_up_gets_none() -> Result<()> {
    let ip = own_address();
    let (_folder, host) = listening(ip, "limits = { listeners = 1 }\n")?;
    let mut lines = Lines::asking(&host)?;
    // In one event: it is bound, and nobody wants it.
    lines.send(&format!("a listen tcp:40000:interface={ip}\na cancel"))?;
    lines.expect_with("a cancelled", "")?;
    lines.send(&format!("a listen tcp:40000:interface={ip}\na drop"))?;
    lines.synchronise()?;
    refuses(ip)?;
    lines.ask(&format!("b listen tcp:40000:interface={ip}"), &format!("b ok {ip} 40000"))?;
    ends_well(host)
}

fn a_unix_socket_is_bound() -> Result<()> {
    let (folder, host) = listening(own_address(), "")?;
    let mut lines = Lines::asking(&host)?;
    let path = folder.path().join("asked.sock");
    lines.ask_with("a listen unix:asked.sock", "a ok", "asked.sock 0")?;
    greets(&path, "arrived a\n")?;
    lines.ask_with("b listen unix:asked.sock", "b in-use", "")?;
    lines.send("a close")?;
    lines.synchronise()?;
    ensure!(!path.exists(), "its file is still there");
    lines.ask_with("c listen unix:asked.sock", "c ok", "asked.sock 0")?;
    greets(&path, "arrived c\n")?;
    ends_well(host)?;
    ensure!(!path.exists(), "its file is still there");
    Ok(())
}

fn greets(path: &Path, wanted: &str) -> Result<()> {
    use std::io::Read;
    let mut stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut greeting = vec![0; wanted.len()];
    stream.read_exact(&mut greeting)?;
    ensure!(greeting == wanted.as_bytes(), "{:?}", greeting.escape_ascii());
    Ok(())
}

fn they_end_with_their_instance() -> Result<()> {
    let ip = own_address();
    let (_folder, host) = listening(ip, "")?;
    let mut lines = Lines::asking(&host)?;
    let listen = format!("a listen tcp:40000:interface={ip}");
    lines.ask(&listen, &format!("a ok {ip} 40000"))?;
    // An instance lives as long as any connection of it: the listener, too.
    let mut arrived = Lines::new(TcpStream::connect((ip, 40000))?)?;
    arrived.expect("arrived a")?;
    drop(lines);
    arrived.ask("still here", "still here")?;
    Lines::new(TcpStream::connect((ip, 40000))?)?.expect("arrived a")?;
    drop(arrived);
    until(|| Ok(refuses(ip).is_ok()))?;
    let mut lines = Lines::asking(&host)?;
    lines.ask(&listen, &format!("a ok {ip} 40000"))?;
    ends_well(host)
}

fn they_end_with_the_host() -> Result<()> {
    let ip = own_address();
    let folder = super::folder(&format!(
        "workers = 1\ngrace = \"60s\"\n[service.inquirer]\nplugin = \"@inquirer\"\n\
         listen = [\"tcp:0:interface=127.0.0.1\"]\ngrants = {{ connect = [\"tcp:192.0.2.1:1\"], \
         jobs = true, listen = [\"tcp:40000:interface={ip}\"] }}\n"
    ))?;
    let mut host = Host::up(folder.path(), 1)?;
    let mut lines = Lines::asking(&host)?;
    lines.ask(&format!("a listen tcp:40000:interface={ip}"), &format!("a ok {ip} 40000"))?;
    host.signal("TERM")?;
    // It accepts no more, wherever it listens; what is open goes on.
    until(|| Ok(refuses(ip).is_ok()))?;
    lines.ask_with(&format!("b listen tcp:40000:interface={ip}"), "b io", "stopping")?;
    lines.ask("c echo on", "c ok on")?;
    drop(lines);
    let status = host.wait()?;
    ensure!(status.success(), "{status}: {}", host.log());
    Ok(())
}

/// Nobody listens on port 40000.
pub(super) fn refuses(ip: Ipv4Addr) -> Result<()> {
    match TcpStream::connect((ip, 40000)) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(()),
        other => anyhow::bail!("it listens: {other:?}"),
    }
}
