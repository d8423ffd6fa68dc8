//! Groups of IP multicast, and what else can be set on a socket for datagrams.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsFd;

use rustix::io::Errno;
use rustix::net::{netdevice, sockopt};

use super::datagram::{DatagramSocket, Family, OsDatagrams};
use super::membership::{self, Change};
use crate::net::datagram::{DatagramOption, Membership};

impl OsDatagrams {
    /// See [`Net::set_datagrams`](crate::net::Net::set_datagrams).
    pub(super) fn set(&self, option: &DatagramOption) -> io::Result<()> {
        let family = self.family()?;
        let (v4, v6) = (family != Family::V6, family != Family::V4);
        match option {
            DatagramOption::Broadcast(_) if v6 => return Err(ErrorKind::Unsupported.into()),
            DatagramOption::Broadcast(on) => sockopt::set_socket_broadcast(self, *on)?,
            DatagramOption::MulticastTtl(hops) => {
                if v4 {
                    sockopt::set_ip_multicast_ttl(self, u32::from(*hops))?;
                }
                if v6 {
                    sockopt::set_ipv6_multicast_hops(self, u32::from(*hops))?;
                }
            }
            DatagramOption::MulticastLoopback(on) => {
                if v4 {
                    sockopt::set_ip_multicast_loop(self, *on)?;
                }
                if v6 {
                    sockopt::set_ipv6_multicast_loop(self, *on)?;
                }
            }
            DatagramOption::MulticastInterface(name) => {
                let index = interface(self, name.as_deref())?;
                if v4 {
                    let any = Ipv4Addr::UNSPECIFIED;
                    sockopt::set_ip_multicast_if_with_ifindex(self, &any, &any, index)?;
                }
                if v6 {
                    sockopt::set_ipv6_multicast_if(self, index)?;
                }
            }
        }
        Ok(())
    }

    /// See [`Net::join`](crate::net::Net::join).
    pub(super) fn join(&self, of: &Membership) -> io::Result<()> {
        let index = interface(self, of.interface.as_deref())?;
        let any = Ipv4Addr::UNSPECIFIED;
        match (of.group, of.source, self.family()?) {
            (group, ..) if !group.is_multicast() => Err(ErrorKind::InvalidInput.into()),
            (IpAddr::V4(group), None, Family::V4 | Family::Both) => {
                Ok(sockopt::set_ip_add_membership_with_ifindex(self, &group, &any, index)?)
            }
            (group @ IpAddr::V4(_), Some(source @ IpAddr::V4(_)), Family::V4 | Family::Both)
            | (group @ IpAddr::V6(_), Some(source @ IpAddr::V6(_)), Family::V6 | Family::Both) => {
                membership::change(self, Change::Join, index, group, source)
            }
            (IpAddr::V6(group), None, Family::V6 | Family::Both) => {
                Ok(sockopt::set_ipv6_add_membership(self, &group, index)?)
            }
            _ => Err(ErrorKind::InvalidInput.into()),
        }
    }

    /// See [`Net::leave`](crate::net::Net::leave).
    pub(super) fn leave(&self, of: &Membership) -> io::Result<()> {
        let index = interface(self, of.interface.as_deref())?;
        let any = Ipv4Addr::UNSPECIFIED;
        match (of.group, of.source) {
            (IpAddr::V4(group), None) => {
                Ok(sockopt::set_ip_drop_membership_with_ifindex(self, &group, &any, index)?)
            }
            (group, Some(source)) => membership::change(self, Change::Leave, index, group, source),
            (IpAddr::V6(group), None) => {
                Ok(sockopt::set_ipv6_drop_membership(self, &group, index)?)
            }
        }
    }

    fn family(&self) -> io::Result<Family> {
        match &self.socket {
            DatagramSocket::Udp { family, .. } => Ok(*family),
            DatagramSocket::Unix(_) => Err(ErrorKind::Unsupported.into()),
        }
    }
}

/// The number of an interface; 0 stands for the one that the system picks.
fn interface(socket: impl AsFd, name: Option<&str>) -> io::Result<u32> {
    let Some(name) = name else { return Ok(0) };
    match netdevice::name_to_index(socket, name) {
        Err(Errno::NODEV) => Err(io::Error::new(
            ErrorKind::InvalidInput,
            format!("this machine has no interface {name:?}"),
        )),
        other => Ok(other?),
    }
}
