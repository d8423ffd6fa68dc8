//! Sockets before they listen or are connected, and their names.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net as unix;

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, sockopt};

/// A socket of the family that `address` has.
pub(super) fn tcp_socket(address: SocketAddr) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    if address.is_ipv6() {
        // What an endpoint says is what it gets: IPv4 has its own, and `::ffff:10.0.0.1` leads
        // nowhere.
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    Ok(socket)
}

/// A Unix socket.
pub(super) fn unix_socket(kind: SocketType) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(rustix::net::socket_with(AddressFamily::UNIX, kind, flags, None)?)
}

/// An IPv4 peer of an IPv6 socket, as the IPv4 address that it is.
pub(super) fn unmapped(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V6(v6) => SocketAddr::new(v6.to_canonical(), address.port()),
        IpAddr::V4(_) => address,
    }
}

/// What [`Address::Unix`](crate::net::Address::Unix) stands for, to the kernel.
pub(super) fn unix_address(name: &str) -> io::Result<SocketAddrUnix> {
    Ok(match name.strip_prefix('@') {
        // The kernel would pick a name itself.
        _ if matches!(name, "" | "@") => return Err(ErrorKind::InvalidInput.into()),
        Some(name) => SocketAddrUnix::new_abstract_name(name.as_bytes())?,
        None => SocketAddrUnix::new(name)?,
    })
}

/// The name that [`Address::Unix`](crate::net::Address::Unix) has.
pub(super) fn unix_name(address: &unix::SocketAddr) -> Box<str> {
    let name = match (address.as_pathname(), address.as_abstract_name()) {
        (Some(path), _) => path.to_string_lossy().into_owned(),
        (_, Some(name)) => format!("@{}", String::from_utf8_lossy(name)),
        _ => String::new(),
    };
    name.into()
}
