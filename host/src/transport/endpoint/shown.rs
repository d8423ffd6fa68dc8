//! From an endpoint to its string.

use std::fmt;
use std::net::{SocketAddr, SocketAddrV6};

use super::super::pieces::Escaped;
use super::{BACKLOG_DEFAULT, Endpoint, Identity, Socket};

/// The shortest string that means the same endpoint.
impl fmt::Display for Endpoint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.proxied {
            out.write_str("haproxy:")?;
        }
        let backlog = match &self.socket {
            Socket::Tcp { address, backlog } => {
                let kind = if self.tls.is_some() { "tls" } else { "tcp" };
                write!(out, "{kind}:{}", address.port())?;
                write_interface(out, address)?;
                backlog
            }
            Socket::Inherited(inherited) => {
                write!(out, "{inherited}")?;
                if self.tls.as_ref().is_some_and(|tls| tls.cert.is_none()) {
                    out.write_str(":tls=yes")?;
                }
                &BACKLOG_DEFAULT
            }
            Socket::Stdio => return out.write_str("stdio:"),
            Socket::Udp { address, dual: true, reuse, .. } => {
                write!(out, "udp6:{}{}:dual=yes", address.port(), Flag("reuse", *reuse))?;
                return Ok(());
            }
            Socket::Udp { address, reuse, broadcast, .. } => {
                write!(out, "udp:{}", address.port())?;
                write_interface(out, address)?;
                return write!(out, "{}{}", Flag("reuse", *reuse), Flag("broadcast", *broadcast));
            }
            Socket::UnixDatagram { name, mode } => {
                write!(out, "unix-datagram:{name}")?;
                return mode.map_or(Ok(()), |mode| write!(out, ":mode={mode:o}"));
            }
            Socket::Unix { name, mode, backlog } => {
                write!(out, "unix:{name}")?;
                if let Some(mode) = mode {
                    write!(out, ":mode={mode:o}")?;
                }
                backlog
            }
        };
        if *backlog != BACKLOG_DEFAULT {
            write!(out, ":backlog={backlog}")?;
        }
        let Some(Identity { cert, key }) = &self.tls else { return Ok(()) };
        for (name, path) in [("cert", cert), ("key", key)] {
            if let Some(path) = path {
                write!(out, ":{name}={}", Escaped(&path.to_string_lossy()))?;
            }
        }
        Ok(())
    }
}

fn write_interface(out: &mut fmt::Formatter<'_>, address: &SocketAddr) -> fmt::Result {
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => Ok(()),
        SocketAddr::V4(v4) => write!(out, ":interface={}", v4.ip()),
        SocketAddr::V6(v6) => write!(out, ":interface=[{}{}]", v6.ip(), Scope(v6)),
    }
}

/// `:key=yes`, where it is on.
struct Flag(&'static str, bool);

impl fmt::Display for Flag {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self(key, true) => write!(out, ":{key}=yes"),
            Self(_, false) => Ok(()),
        }
    }
}

/// `%N` behind an IPv6 address that has a scope.
pub(in crate::transport) struct Scope<'a>(pub(in crate::transport) &'a SocketAddrV6);

impl fmt::Display for Scope<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.scope_id() {
            0 => Ok(()),
            scope => write!(out, "%{scope}"),
        }
    }
}
