//! Connections from many source addresses, so that neither ports nor a server's limit for each
//! peer address run short.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::os::fd::OwnedFd;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::net::sockopt::{Timeout, set_socket_timeout, set_tcp_nodelay};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// How many source addresses are used in turn: 127.0.0.2 and up.
const SOURCES: usize = 250;
/// The longest wait for a server's answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The `nth` connection to an address: to one of 127.0.0.0/8 from one of many sources.
pub fn dial(address: SocketAddr, nth: usize) -> Result<TcpStream> {
    let socket = prepare(address, nth)?;
    reach(&socket, address)?;
    Ok(socket.into())
}

/// A socket with a source address; the part of dialling that the server sees nothing of.
pub fn prepare(address: SocketAddr, nth: usize) -> Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC;
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    if let IpAddr::V4(ip) = address.ip()
        && ip.is_loopback()
    {
        bind(&socket, &SocketAddrV4::new(source(nth)?, 0)).context("bind")?;
    }
    set_tcp_nodelay(&socket, true)?;
    set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE))?;
    set_socket_timeout(&socket, Timeout::Send, Some(PATIENCE))?;
    Ok(socket)
}

/// Where the `nth` connection comes from.
pub fn source(nth: usize) -> Result<Ipv4Addr> {
    let host = 2 + u8::try_from(nth % SOURCES).context("sources fit into a byte")?;
    Ok(Ipv4Addr::new(127, 0, 0, host))
}

/// Connects a prepared socket.
pub fn reach(socket: &OwnedFd, address: SocketAddr) -> Result<()> {
    connect(socket, &address).context("connect")
}

/// Lets this process have as many connections as its user may have.
pub fn allow_many() -> Result<()> {
    let most = getrlimit(Resource::Nofile).maximum;
    Ok(setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most })?)
}
