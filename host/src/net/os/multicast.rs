//! Groups of IP multicast, and what else can be set on a socket for datagrams.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsFd;

use nix::ifaddrs::getifaddrs;
use rustix::io::Errno;
use rustix::net::{netdevice, sockopt};

use super::datagram::{DatagramSocket, Family, OsDatagrams};
use super::source_group::{self, Change};
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
                let index = interface(self, Some(name))?;
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
            (IpAddr::V4(group), Some(IpAddr::V4(source)), Family::V4 | Family::Both) => {
                let at = first_address(of.interface.as_deref())?;
                Ok(sockopt::set_ip_add_source_membership(self, &group, &at, &source)?)
            }
            (IpAddr::V6(group), None, Family::V6 | Family::Both) => {
                Ok(sockopt::set_ipv6_add_membership(self, &group, index)?)
            }
            (IpAddr::V6(group), Some(IpAddr::V6(source)), Family::V6 | Family::Both) => {
                source_group::change(self, Change::Join, index, group, source)
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
            (IpAddr::V4(group), Some(IpAddr::V4(source))) => {
                let at = first_address(of.interface.as_deref())?;
                Ok(sockopt::set_ip_drop_source_membership(self, &group, &at, &source)?)
            }
            (IpAddr::V6(group), None) => {
                Ok(sockopt::set_ipv6_drop_membership(self, &group, index)?)
            }
            (IpAddr::V6(group), Some(IpAddr::V6(source))) => {
                source_group::change(self, Change::Leave, index, group, source)
            }
            _ => Err(ErrorKind::InvalidInput.into()),
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

/// The first IPv4 address of an interface: some calls name it so.
fn first_address(name: Option<&str>) -> io::Result<Ipv4Addr> {
    let Some(name) = name else { return Ok(Ipv4Addr::UNSPECIFIED) };
    let mut of_it = getifaddrs()?.filter(|found| found.interface_name == name);
    of_it
        .find_map(|found| Some(found.address?.as_sockaddr_in()?.ip()))
        .ok_or_else(|| io::Error::new(ErrorKind::InvalidInput, "the interface has no IPv4 address"))
}
