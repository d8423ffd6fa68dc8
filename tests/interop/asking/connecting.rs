//! Connections that a plugin asks for.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use rustix::net::{AddressFamily, SocketType, bind, getsockname, listen, socket};
use tempfile::TempDir;
use torsade_tests::host::Host;

use super::listening::own_address;
use super::{HEAD, Lines, ends_well, folder, inquirer, trial};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("asking::connecting::a_protocol_is_built_for_it", a_protocol_is_built_for_it),
        trial("asking::connecting::what_is_no_endpoint_is_invalid", what_is_no_endpoint_is_invalid),
        trial("asking::connecting::nobody_listens", nobody_listens),
        trial("asking::connecting::nobody_answers", nobody_answers),
        trial("asking::connecting::it_comes_from_where_it_says", it_comes_from_where_it_says),
        trial("asking::connecting::a_unix_socket_is_reached", a_unix_socket_is_reached),
        trial("asking::connecting::a_name_is_granted_as_a_name", a_name_is_granted_as_a_name),
        trial("asking::connecting::so_many_and_no_more", so_many_and_no_more),
        trial("asking::connecting::who_gives_up_gets_none", who_gives_up_gets_none),
        trial("asking::connecting::a_plugin_may_refuse_it", a_plugin_may_refuse_it),
        trial("asking::connecting::an_instance_is_ready_once_it_is", ready_once_it_is_connected),
        trial("asking::connecting::a_service_may_only_dial", a_service_may_only_dial),
    ]
}

/// A service that may connect to all ports of `ip`.
fn connecting(ip: Ipv4Addr, more: &str) -> Result<(TempDir, Host)> {
    inquirer(&format!("{}{more}", grants(ip)))
}

fn grants(ip: Ipv4Addr) -> String {
    format!(
        "grants = {{ connect = [\"tcp:{ip}:*\", \"unix:peer.sock\", \"unix:none.sock\"], \
         jobs = true, listen = [\"tcp:1\"] }}\n"
    )
}

/// The next connection that arrives, which the plugin greets as `tag`'s.
fn dialled(listener: &TcpListener, tag: &str) -> Result<(Lines, SocketAddr)> {
    let (stream, peer) = listener.accept()?;
    let mut lines = Lines::new(stream)?;
    lines.expect(&format!("dialled {tag}"))?;
    Ok((lines, peer))
}

fn a_protocol_is_built_for_it() -> Result<()> {
    let ip = own_address();
    let listener = TcpListener::bind((ip, 0))?;
    let port = listener.local_addr()?.port();
    let (_folder, host) = connecting(ip, "")?;
    let mut lines = Lines::asking(&host)?;
    let mut open = Vec::new();
    for tag in ["a", "b"] {
        lines.ask(&format!("{tag} connect tcp:{ip}:{port}"), &format!("{tag} ok"))?;
        open.push(dialled(&listener, tag)?.0);
    }
    for peer in &mut open {
        peer.ask("it echoes", "it echoes")?;
    }
    // They belong to the instance, which lives on with them.
    drop(lines);
    for peer in &mut open {
        peer.ask("it still echoes", "it still echoes")?;
    }
    ends_well(host)
}

fn what_is_no_endpoint_is_invalid() -> Result<()> {
    let ip = own_address();
    let (_folder, host) = connecting(ip, "")?;
    let mut lines = Lines::asking(&host)?;
    for invalid in ["", "tcp", "tcp:a", "tcp:127.0.0.1:0", "tcp:127.0.0.1:x", "sctp:127.0.0.1:1"] {
        lines.ask_with(&format!("a connect {invalid}"), "a invalid", "")?;
    }
    for option in ["timeout=x", "bindAddress=here", "port=3"] {
        lines.ask_with(&format!("a connect tcp:{ip}:80:{option}"), "a invalid", "")?;
    }
    ends_well(host)
}

fn nobody_listens() -> Result<()> {
    let ip = own_address();
    let (folder, host) = connecting(ip, "limits = { outgoing = 1 }\n")?;
    let mut lines = Lines::asking(&host)?;
    drop(UnixListener::bind(folder.path().join("peer.sock"))?);
    for _ in 0..3 {
        lines.ask_with(&format!("a connect tcp:{ip}:40000"), "a refused", "")?;
        lines.ask_with("b connect unix:peer.sock", "b refused", "peer.sock")?;
        lines.ask_with("c connect unix:none.sock", "c not-found", "none.sock")?;
    }
    ends_well(host)
}

/// A socket that listens and takes no connection: its backlog is full.
pub(super) struct Busy {
    pub(super) address: SocketAddr,
    /// It, and what fills its backlog.
    _open: (OwnedFd, Vec<TcpStream>),
}

impl Busy {
    pub(super) fn new(ip: Ipv4Addr) -> Result<Self> {
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
        bind(&socket, &SocketAddr::from((ip, 0)))?;
        listen(&socket, 0)?;
        let address = SocketAddr::try_from(getsockname(&socket)?)?;
        let mut waiting = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
            waiting.push(stream);
            ensure!(waiting.len() < 100, "the backlog of {address} has no end");
        }
        Ok(Self { address, _open: (socket, waiting) })
    }
}

fn nobody_answers() -> Result<()> {
    let ip = own_address();
    let busy = Busy::new(ip)?;
    let (_folder, host) = connecting(ip, "limits = { outgoing = 1 }\n")?;
    let mut lines = Lines::asking(&host)?;
    let connect = format!("a connect tcp:{ip}:{}:timeout=0.2", busy.address.port());
    for _ in 0..2 {
        lines.ask_with(&connect, "a timed-out", &ip.to_string())?;
    }
    // The sockets are open until here, so that nobody answered.
    drop(busy);
    ends_well(host)
}

fn it_comes_from_where_it_says() -> Result<()> {
    let (ip, own) = (own_address(), own_address());
    let listener = TcpListener::bind((ip, 0))?;
    let port = listener.local_addr()?.port();
    let (_folder, host) = connecting(ip, "")?;
    let mut lines = Lines::asking(&host)?;
    lines.ask(&format!("a connect tcp:{ip}:{port}:bindAddress={own}"), "a ok")?;
    let (_peer, from) = dialled(&listener, "a")?;
    ensure!(from.ip() == own, "{from}");
    // Not an address of this machine's.
    let foreign = format!("b connect tcp:{ip}:{port}:bindAddress=192.0.2.1");
    lines.ask_with(&foreign, "b io", "")?;
    ends_well(host)
}

fn a_unix_socket_is_reached() -> Result<()> {
    let (folder, host) = connecting(own_address(), "")?;
    let listener = UnixListener::bind(folder.path().join("peer.sock"))?;
    let mut lines = Lines::asking(&host)?;
    lines.ask("a connect unix:peer.sock", "a ok")?;
    let (mut peer, _) = listener.accept()?;
    let mut greeting = [0; 10];
    std::io::Read::read_exact(&mut peer, &mut greeting)?;
    ensure!(greeting == *b"dialled a\n", "{:?}", greeting.escape_ascii());
    crate::interop::streams::echoes(&mut peer, b"it echoes")?;
    ends_well(host)
}

fn a_name_is_granted_as_a_name() -> Result<()> {
    // The name may have an address at which nobody listens, too.
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    let other = if port == 1 { 2 } else { 1 };
    let (_folder, host) = inquirer(&format!(
        "grants = {{ connect = [\"tcp:localhost:{port}\", \"tcp:192.0.2.0/24:{other}\"], \
         jobs = true, listen = [\"tcp:1\"] }}\n"
    ))?;
    let mut lines = Lines::asking(&host)?;
    for name in ["localhost", "LocalHost"] {
        lines.ask(&format!("a connect tcp:{name}:{port}"), "a ok")?;
        dialled(&listener, "a")?.0.ask("it echoes", "it echoes")?;
    }
    for denied in [
        format!("127.0.0.1:{port}"),
        format!("localhost.example:{port}"),
        // The port is granted, but not at the addresses that this name has.
        format!("localhost:{other}"),
    ] {
        lines.ask_with(&format!("a connect tcp:{denied}"), "a denied", "grants.connect")?;
    }
    ends_well(host)
}

fn so_many_and_no_more() -> Result<()> {
    let ip = own_address();
    let listener = TcpListener::bind((ip, 0))?;
    let port = listener.local_addr()?.port();
    let (_folder, host) = connecting(ip, "limits = { outgoing = 2 }\n")?;
    let mut lines = Lines::asking(&host)?;
    let mut open = Vec::new();
    for tag in ["a", "b"] {
        lines.ask(&format!("{tag} connect tcp:{ip}:{port}"), &format!("{tag} ok"))?;
        open.push(dialled(&listener, tag)?.0);
    }
    let third = format!("c connect tcp:{ip}:{port}");
    lines.ask_with(&third, "c limit", "limits.outgoing")?;
    // One that ends makes room.
    open.pop();
    lines.ask_until(&third, "c limit", "c ok")?;
    dialled(&listener, "c")?.0.ask("it echoes", "it echoes")?;
    ends_well(host)
}

fn who_gives_up_gets_none() -> Result<()> {
    let ip = own_address();
    let busy = Busy::new(ip)?;
    let listener = TcpListener::bind((ip, 0))?;
    let port = listener.local_addr()?.port();
    let (_folder, host) = connecting(ip, "limits = { outgoing = 1 }\n")?;
    let mut lines = Lines::asking(&host)?;
    let hangs = format!("connect tcp:{}", busy.address);
    for _ in 0..3 {
        lines.send(&format!("a {hangs}"))?;
        lines.ask_with(&format!("b {hangs}"), "b limit", "limits.outgoing")?;
        lines.ask_with("a cancel", "a cancelled", "")?;
        lines.send(&format!("a {hangs}"))?;
        lines.send("a drop")?;
        lines.synchronise()?;
    }
    // All in one event, where it may have been made already.
    lines.send(&format!("c connect tcp:{ip}:{port}\nc cancel"))?;
    lines.expect_with("c cancelled", "")?;
    lines.ask(&format!("d connect tcp:{ip}:{port}"), "d ok").context("there is room again")?;
    drop(busy);
    ends_well(host)
}

fn a_plugin_may_refuse_it() -> Result<()> {
    let ip = own_address();
    let listener = TcpListener::bind((ip, 0))?;
    let port = listener.local_addr()?.port();
    let more = "limits = { outgoing = 1 }\nconfig = { refuse-dialled = true }\n";
    let (_folder, host) = connecting(ip, more)?;
    let mut lines = Lines::asking(&host)?;
    for _ in 0..3 {
        lines.ask_with(&format!("a connect tcp:{ip}:{port}"), "a refused", "build-protocol")?;
        Lines::new(listener.accept()?.0)?.ends()?;
    }
    ends_well(host)
}

/// A configuration of a plugin that dials at its start.
fn dialling(listener: &TcpListener) -> Result<String> {
    let SocketAddr::V4(to) = listener.local_addr()? else { anyhow::bail!("bound to IPv4") };
    let config = format!("config = {{ dial = \"tcp:{to}\" }}\n");
    Ok(format!("instances = \"per-worker\"\n{}{config}", grants(*to.ip())))
}

fn ready_once_it_is_connected() -> Result<()> {
    let listener = TcpListener::bind((own_address(), 0))?;
    let (_folder, host) = inquirer(&dialling(&listener)?)?;
    let (mut start, _) = dialled(&listener, "start")?;
    let mut lines = Lines::new(host.connect("inquirer")?)?;
    lines.send("a echo on")?;
    // The chain that it waits for goes on with what its peer says.
    start.ask("begin", "begin")?;
    lines.expect("hello, all is ready")?;
    lines.expect("a ok on")?;
    ends_well(host)
}

fn a_service_may_only_dial() -> Result<()> {
    let listener = TcpListener::bind((own_address(), 0))?;
    let more = dialling(&listener)?.replace("instances = \"per-worker\"\n", "");
    let folder = folder(&format!("{HEAD}{more}"))?;
    let host = Host::up(folder.path(), 0)?;
    let (mut peer, _) = dialled(&listener, "start")?;
    peer.ask("begin", "begin")?;
    peer.ask("go on", "go on")?;
    ends_well(host)?;
    peer.ends()?;
    listener.set_nonblocking(true)?;
    ensure!(listener.accept().is_err(), "there was more than one instance");
    Ok(())
}
