//! Endpoints bound to sockets: one for each worker where the system deals out what comes.

use std::io;

use super::endpoint::{Endpoint, Socket, UnixName};
use super::inherited::Inherited as Which;
use crate::net::Address;
use crate::net::datagram::Place;
use crate::net::os::{Inherited, OsDatagrams, OsListener};

/// The sockets of an endpoint.
pub(crate) struct Bound {
    /// One for each worker, or one: its worker deals connections out, and keeps datagrams.
    pub(crate) sockets: Vec<BoundSocket>,
    /// What it listens on, with the port that the system picked.
    pub(crate) endpoint: Endpoint,
}

/// A socket of an endpoint.
pub(crate) enum BoundSocket {
    /// It accepts connections.
    Listener(OsListener),
    /// It receives datagrams.
    Datagrams(OsDatagrams),
}

/// Binds `endpoint` for so many workers, or finds it among what the process was started with.
pub(crate) fn bind(
    endpoint: &Endpoint,
    workers: usize,
    inherited: &mut Inherited,
) -> io::Result<Bound> {
    if let Some(place) = endpoint.place() {
        return bind_datagrams(endpoint, place, workers);
    }
    let share = workers > 1;
    let mut endpoint = endpoint.clone();
    let sockets: io::Result<_> = match &mut endpoint.socket {
        Socket::Tcp { address, backlog } => {
            // Probed alone first: a shared socket would bind beside another process's.
            *address = OsListener::probe(*address)?;
            (0..workers).map(|_| OsListener::tcp(*address, *backlog, share)).collect()
        }
        Socket::Inherited(which) => {
            let descriptor = match which {
                Which::Descriptor(number) => inherited.descriptor(*number)?,
                Which::Index(index) => inherited.index(*index)?,
                Which::Name(name) => inherited.named(name)?,
            };
            Ok(vec![OsListener::adopt(descriptor)?])
        }
        Socket::Stdio => Ok(vec![OsListener::stdio(inherited.stdio()?)]),
        Socket::Unix { name, mode, backlog } => Ok(vec![match name {
            UnixName::Path(path) => OsListener::unix(path, *mode, *backlog)?,
            UnixName::Abstract(name) => OsListener::abstract_unix(name.as_bytes(), *backlog)?,
        }]),
        // Only a path that isn't UTF-8 has no place.
        Socket::Udp { .. } | Socket::UnixDatagram { .. } => Err(io::ErrorKind::InvalidInput.into()),
    };
    let sockets: Vec<OsListener> = sockets?;
    Ok(Bound { sockets: sockets.into_iter().map(BoundSocket::Listener).collect(), endpoint })
}

/// Binds an endpoint once more that was bound by [`bind`], and whose socket has been closed since:
/// other sockets of this process may still be there where it is to `share` it. `None` where it was
/// not bound here.
pub(crate) fn bind_again(endpoint: &Endpoint, share: bool) -> io::Result<Option<BoundSocket>> {
    if let Some(place) = endpoint.place() {
        let share = share && matches!(place, Place::Udp { reuse: false, .. });
        return OsDatagrams::bind(&place, share).map(BoundSocket::Datagrams).map(Some);
    }
    let listener = match &endpoint.socket {
        Socket::Tcp { address, backlog } => OsListener::tcp(*address, *backlog, share)?,
        Socket::Unix { name: UnixName::Path(path), mode, backlog } => {
            OsListener::unix(path, *mode, *backlog)?
        }
        Socket::Unix { name: UnixName::Abstract(name), backlog, .. } => {
            OsListener::abstract_unix(name.as_bytes(), *backlog)?
        }
        _ => return Ok(None),
    };
    Ok(Some(BoundSocket::Listener(listener)))
}

fn bind_datagrams(endpoint: &Endpoint, place: Place, workers: usize) -> io::Result<Bound> {
    let mut endpoint = endpoint.clone();
    // What is sent to a group comes to all that share the port, and would be handled more than once.
    let alone = !matches!(place, Place::Udp { reuse: false, .. });
    let count = if alone { 1 } else { workers };
    let place = if alone { place } else { OsDatagrams::probe(&place)? };
    let sockets = (0..count).map(|_| OsDatagrams::bind(&place, count > 1));
    let sockets: Vec<_> = sockets.collect::<io::Result<_>>()?;
    if let (Socket::Udp { address, .. }, Some(socket)) = (&mut endpoint.socket, sockets.first())
        && let Address::Udp(bound) = socket.address()?
    {
        address.set_port(bound.port());
    }
    Ok(Bound { sockets: sockets.into_iter().map(BoundSocket::Datagrams).collect(), endpoint })
}
