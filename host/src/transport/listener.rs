//! Endpoints bound to sockets: one for each worker where the system deals connections out.

use std::io;

use super::endpoint::{Endpoint, Socket, UnixName};
use super::inherited::Inherited as Which;
use crate::net::os::{Inherited, OsListener};

/// The sockets of an endpoint.
pub(crate) struct Bound {
    /// One for each worker, or one whose worker deals connections out.
    pub(crate) sockets: Vec<OsListener>,
    /// What it listens on, with the port that the system picked.
    pub(crate) endpoint: Endpoint,
}

/// Binds `endpoint` for so many workers, or finds it among what the process was started with.
pub(crate) fn bind(
    endpoint: &Endpoint,
    workers: usize,
    inherited: &mut Inherited,
) -> io::Result<Bound> {
    match &endpoint.socket {
        Socket::Tcp { address, backlog } => {
            // Probed alone first: a shared socket would bind beside another process's.
            let address = OsListener::probe(*address)?;
            let share = workers > 1;
            let sockets = (0..workers).map(|_| OsListener::tcp(address, *backlog, share));
            Ok(Bound {
                sockets: sockets.collect::<io::Result<_>>()?,
                endpoint: Endpoint {
                    socket: Socket::Tcp { address, backlog: *backlog },
                    ..endpoint.clone()
                },
            })
        }
        Socket::Inherited(which) => {
            let descriptor = match which {
                Which::Descriptor(number) => inherited.descriptor(*number)?,
                Which::Index(index) => inherited.index(*index)?,
                Which::Name(name) => inherited.named(name)?,
            };
            Ok(Bound { sockets: vec![OsListener::adopt(descriptor)?], endpoint: endpoint.clone() })
        }
        Socket::Stdio => {
            let socket = OsListener::stdio(inherited.stdio()?);
            Ok(Bound { sockets: vec![socket], endpoint: endpoint.clone() })
        }
        Socket::Unix { name, mode, backlog } => {
            let socket = match name {
                UnixName::Path(path) => OsListener::unix(path, *mode, *backlog)?,
                UnixName::Abstract(name) => OsListener::abstract_unix(name.as_bytes(), *backlog)?,
            };
            Ok(Bound { sockets: vec![socket], endpoint: endpoint.clone() })
        }
    }
}
