//! Connections from many source addresses, so that neither ports nor a server's limit for each
//! peer address run short.

use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::os::fd::OwnedFd;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::net::sockopt::{Timeout, set_socket_timeout, set_tcp_nodelay};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with};

/// How many source addresses are used in turn: 127.0.0.2 and up.
const SOURCES: usize = 250;
/// The longest wait for a server's answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The `nth` connection to a port of 127.0.0.1.
pub(crate) fn dial(port: u16, nth: usize) -> Result<TcpStream> {
    let socket = prepare(nth)?;
    reach(&socket, port)?;
    Ok(socket.into())
}

/// A socket with a source address; the part of dialling that the server sees nothing of.
pub(super) fn prepare(nth: usize) -> Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    let host = 2 + u8::try_from(nth % SOURCES).context("sources fit into a byte")?;
    bind(&socket, &SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, host), 0)).context("bind")?;
    set_tcp_nodelay(&socket, true)?;
    set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE))?;
    set_socket_timeout(&socket, Timeout::Send, Some(PATIENCE))?;
    Ok(socket)
}

/// Connects a prepared socket.
pub(super) fn reach(socket: &OwnedFd, port: u16) -> Result<()> {
    connect(socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)).context("connect")
}
