//! Sockets for datagrams: how they are bound, and what they receive and send in batches.

use std::array;
use std::fs;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use mio::net as sockets;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrIn, SockaddrIn6, SockaddrLike, recvmmsg,
    recvmsg, setsockopt, sockopt as options,
};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, MMsgHdr, SendAncillaryBuffer, SendFlags, SocketAddrAny, SocketAddrUnix,
    SocketFlags, SocketType, sendmmsg, sockopt,
};

use super::listener::remove_stale;
use super::membership::get_only_joined;
use super::socket::{unix_address, unix_name, unix_socket, unmapped};
use crate::net::Address;
use crate::net::datagram::{Batch, DATAGRAMS_A_BATCH, Part, Place, Refusal};

/// A bound or connected socket for datagrams.
pub struct OsDatagrams {
    pub(super) socket: DatagramSocket,
    /// The one peer of a connected socket.
    peer: Option<Address>,
    /// What to remove when it closes.
    path: Option<PathBuf>,
    /// How many datagrams the next call may bring, so that it prepares for no more.
    expected: usize,
}

pub(super) enum DatagramSocket {
    Udp { socket: sockets::UdpSocket, family: Family },
    Unix(sockets::UnixDatagram),
}

/// Which peers a UDP socket can have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Family {
    V4,
    V6,
    Both,
}

/// What a worker lends to the socket that receives or sends.
#[derive(Default)]
pub(super) struct Scratch {
    /// Room for a batch; only what datagrams were received into was ever touched.
    slots: Vec<u8>,
    addresses: Vec<SocketAddrAny>,
}

impl OsDatagrams {
    /// A socket at `place`. With `share`, any number of UDP sockets of this process may have the
    /// address, and the kernel deals datagrams out by their senders (`SO_REUSEPORT`).
    ///
    /// # Errors
    /// `AddrInUse` where somebody else has the address.
    pub fn bind(place: &Place, share: bool) -> io::Result<Self> {
        match place {
            Place::Udp { at, dual, reuse, broadcast } => {
                let (socket, family) = udp_socket(*at, *dual)?;
                sockopt::set_socket_reuseport(&socket, share)?;
                sockopt::set_socket_reuseaddr(&socket, *reuse)?;
                sockopt::set_socket_broadcast(&socket, *broadcast)?;
                rustix::net::bind(&socket, at)?;
                Ok(Self::udp(socket, family, None))
            }
            Place::Unix { name, mode } => Self::bind_unix(name, *mode),
        }
    }

    /// The same place, with the port that the system picks where it is 0; fails where the address
    /// isn't free. A socket that shares its address can't tell.
    ///
    /// # Errors
    /// As [`OsDatagrams::bind`].
    pub fn probe(place: &Place) -> io::Result<Place> {
        let mut place = place.clone();
        let alone = Self::bind(&place, false)?;
        if let Place::Udp { at, .. } = &mut place
            && let Address::Udp(bound) = alone.address()?
        {
            at.set_port(bound.port());
        }
        Ok(place)
    }

    /// A socket for one peer: see [`Net::pair_with`](crate::net::Net::pair_with).
    pub(super) fn pair_with(peer: &Address, from: Option<IpAddr>) -> io::Result<Self> {
        match (peer, from) {
            (Address::Udp(to), from) => {
                let (socket, family) = udp_socket(*to, false)?;
                match from {
                    Some(from) if from.is_ipv4() != to.is_ipv4() => {
                        return Err(ErrorKind::InvalidInput.into());
                    }
                    Some(from) => rustix::net::bind(&socket, &SocketAddr::new(from, 0))?,
                    None => {}
                }
                rustix::net::connect(&socket, to)?;
                Ok(Self::udp(socket, family, Some(peer.clone())))
            }
            (Address::Unix(name), None) => {
                let socket = unix_socket(SocketType::DGRAM)?;
                rustix::net::bind(&socket, &SocketAddrUnix::new_unnamed())?;
                rustix::net::connect(&socket, &unix_address(name)?)?;
                Ok(Self::unix(socket, Some(peer.clone()), None))
            }
            _ => Err(ErrorKind::InvalidInput.into()),
        }
    }

    fn bind_unix(name: &str, mode: Option<u32>) -> io::Result<Self> {
        let address = unix_address(name)?;
        let path = (!name.starts_with('@')).then(|| Path::new(name));
        if let Some(path) = path {
            remove_stale(path, SocketType::DGRAM)?;
        }
        let socket = unix_socket(SocketType::DGRAM)?;
        rustix::net::bind(&socket, &address)?;
        // From here on the file is its own, and is removed with it.
        let bound = Self::unix(socket, None, path.map(Path::to_owned));
        if let (Some(path), Some(mode)) = (path, mode) {
            fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        }
        Ok(bound)
    }

    fn udp(socket: OwnedFd, family: Family, peer: Option<Address>) -> Self {
        let socket = sockets::UdpSocket::from_std(socket.into());
        let socket = DatagramSocket::Udp { socket, family };
        Self { socket, peer, path: None, expected: EXPECTED_MIN }
    }

    fn unix(socket: OwnedFd, peer: Option<Address>, path: Option<PathBuf>) -> Self {
        let socket = DatagramSocket::Unix(sockets::UnixDatagram::from_std(socket.into()));
        Self { socket, peer, path, expected: EXPECTED_MIN }
    }

    /// Its address, with the port that the system picked.
    pub fn address(&self) -> io::Result<Address> {
        Ok(match &self.socket {
            DatagramSocket::Udp { socket, .. } => Address::Udp(socket.local_addr()?),
            DatagramSocket::Unix(socket) => Address::Unix(unix_name(&socket.local_addr()?)),
        })
    }

    /// See [`Net::receive`](crate::net::Net::receive).
    pub(super) fn receive(&mut self, scratch: &mut Scratch, batch: &mut Batch) -> io::Result<bool> {
        // Pages that nothing is received into stay the kernel's.
        if scratch.slots.is_empty() {
            scratch.slots = vec![0; DATAGRAMS_A_BATCH * SLOT];
        }
        let (asked, slots) = (self.expected, &mut scratch.slots);
        let received = match &self.socket {
            DatagramSocket::Udp { socket, family: Family::V4 } => {
                receive_udp::<SockaddrIn>(socket.as_raw_fd(), asked, slots, batch)
            }
            DatagramSocket::Udp { socket, .. } => {
                receive_udp::<SockaddrIn6>(socket.as_raw_fd(), asked, slots, batch)
            }
            DatagramSocket::Unix(socket) => receive_unix(socket, asked, &mut slots[..SLOT], batch),
        };
        match received {
            Ok(()) => {}
            Err(e) if is_of_a_peer(&e) => return Ok(true),
            Err(e) => return Err(e),
        }
        let received = batch.parts.len();
        self.expected = (2 * received).clamp(EXPECTED_MIN, DATAGRAMS_A_BATCH);
        Ok(received == asked)
    }

    /// See [`Net::send`](crate::net::Net::send).
    pub(super) fn send(&mut self, scratch: &mut Scratch, data: &[u8], parts: &[Part]) -> usize {
        match &self.socket {
            DatagramSocket::Udp { socket, family } => {
                let to_one = self.peer.is_some();
                send_udp(socket.as_fd(), *family, to_one, &mut scratch.addresses, (data, parts))
            }
            DatagramSocket::Unix(socket) => {
                let mut rest = data;
                let sent = parts.iter().filter(|Part { peer, length }| {
                    let (data, behind) = rest.split_at(*length);
                    rest = behind;
                    let Address::Unix(name) = peer else { return false };
                    let sent = match self.peer {
                        _ if name.is_empty() => return false,
                        Some(_) => rustix::net::send(socket, data, SendFlags::NOSIGNAL),
                        None => match unix_address(name) {
                            Ok(to) => rustix::net::sendto(socket, data, SendFlags::NOSIGNAL, &to),
                            Err(_) => return false,
                        },
                    };
                    sent.is_ok()
                });
                sent.count()
            }
        }
    }

    /// See [`Net::refusals`](crate::net::Net::refusals).
    pub(super) fn refusals(&self, refusals: &mut Vec<Refusal>) {
        let DatagramSocket::Udp { socket, family } = &self.socket else { return };
        for _ in 0..DATAGRAMS_A_BATCH {
            let refusal = match family {
                Family::V4 => refusal::<SockaddrIn>(socket.as_raw_fd()),
                Family::V6 | Family::Both => refusal::<SockaddrIn6>(socket.as_raw_fd()),
            };
            match refusal {
                Some(found) => refusals.extend(found),
                None => return,
            }
        }
    }
}

impl AsFd for OsDatagrams {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.socket {
            DatagramSocket::Udp { socket, .. } => socket.as_fd(),
            DatagramSocket::Unix(socket) => socket.as_fd(),
        }
    }
}

/// However it ends, it leaves no socket behind.
impl Drop for OsDatagrams {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // Somebody else may have removed it, or put another there: then there's nothing to do.
            let _ = fs::remove_file(path);
        }
    }
}

fn udp_socket(at: SocketAddr, dual: bool) -> io::Result<(OwnedFd, Family)> {
    let (domain, family) = match at {
        SocketAddr::V4(_) => (AddressFamily::INET, Family::V4),
        SocketAddr::V6(_) if dual => (AddressFamily::INET6, Family::Both),
        SocketAddr::V6(_) => (AddressFamily::INET6, Family::V6),
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(domain, SocketType::DGRAM, flags, None)?;
    if family != Family::V4 {
        sockopt::set_ipv6_v6only(&socket, !dual)?;
        setsockopt(&socket, options::Ipv6RecvErr, &true)?;
        get_only_joined(&socket, true)?;
    }
    if family != Family::V6 {
        setsockopt(&socket, options::Ipv4RecvErr, &true)?;
        get_only_joined(&socket, false)?;
    }
    Ok((socket, family))
}

fn receive_udp<S: SockaddrLike + Copy + Into<SocketAddr>>(
    socket: RawFd,
    asked: usize,
    slots: &mut [u8],
    batch: &mut Batch,
) -> io::Result<()> {
    let mut slots = slots.chunks_exact_mut(SLOT);
    let mut slices: [_; DATAGRAMS_A_BATCH] =
        array::from_fn(|_| [IoSliceMut::new(slots.next().unwrap_or_default())]);
    // For each call anew, as it doesn't fit into what a worker owns: its pointers stay on a thread.
    let mut headers = MultiHeaders::<S>::preallocate(asked, None);
    let slices = slices.iter_mut().take(asked);
    for received in recvmmsg(socket, &mut headers, slices, MsgFlags::MSG_DONTWAIT, None)? {
        let Some(peer) = received.address else { continue };
        batch.push(Address::Udp(peer_of(peer.into())), received.iovs().next().unwrap_or_default());
    }
    Ok(())
}

fn receive_unix(
    socket: &sockets::UnixDatagram,
    asked: usize,
    slot: &mut [u8],
    batch: &mut Batch,
) -> io::Result<()> {
    for _ in 0..asked {
        match socket.recv_from(slot) {
            Ok((length, peer)) => batch.push(Address::Unix(unix_name(&peer)), &slot[..length]),
            Err(_) if !batch.parts.is_empty() => break,
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

fn send_udp(
    socket: BorrowedFd<'_>,
    family: Family,
    connected: bool,
    addresses: &mut Vec<SocketAddrAny>,
    (mut rest, parts): (&[u8], &[Part]),
) -> usize {
    let mut taken = 0;
    for parts in parts.chunks(DATAGRAMS_A_BATCH) {
        let mut slices = [[IoSlice::new(&[])]; DATAGRAMS_A_BATCH];
        addresses.clear();
        for Part { peer, length } in parts {
            let (data, behind) = rest.split_at(*length);
            rest = behind;
            if let Some(to) = family.address(peer) {
                slices[addresses.len()] = [IoSlice::new(data)];
                addresses.push(to.into());
            }
        }
        let mut controls: [_; DATAGRAMS_A_BATCH] =
            array::from_fn(|_| SendAncillaryBuffer::default());
        let mut messages = Vec::with_capacity(addresses.len());
        for ((to, slice), control) in addresses.iter().zip(&slices).zip(&mut controls) {
            messages.push(match connected {
                true => MMsgHdr::new(slice, control),
                false => MMsgHdr::new_with_addr(to, slice, control),
            });
        }
        taken += send_all(socket, &mut messages);
    }
    taken
}

/// Sends what the system takes, and says how much that is.
fn send_all(socket: BorrowedFd<'_>, messages: &mut [MMsgHdr<'_>]) -> usize {
    let (mut next, mut taken, mut told) = (0, 0, false);
    while next < messages.len() {
        match sendmmsg(socket, &mut messages[next..], SendFlags::NOSIGNAL) {
            Ok(sent) => {
                (next, taken, told) = (next + sent, taken + sent, false);
            }
            Err(Errno::AGAIN | Errno::NOBUFS | Errno::NOMEM) => break,
            // The first error may be an earlier datagram's, which the system tells so.
            Err(_) if !told => told = true,
            Err(_) => (next, told) = (next + 1, false),
        }
    }
    taken
}

/// What the error queue tells next: `Some(None)` where it is about something else.
fn refusal<S: SockaddrLike + Copy + Into<SocketAddr>>(socket: RawFd) -> Option<Option<Refusal>> {
    let mut space = [0; REFUSAL_SPACE];
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    // Of the datagram itself nothing is wanted.
    let told = recvmsg::<S>(socket, &mut [], Some(&mut space), flags).ok()?;
    let code = told.cmsgs().ok()?.find_map(|message| match message {
        ControlMessageOwned::Ipv4RecvErr(error, _) | ControlMessageOwned::Ipv6RecvErr(error, _) => {
            Some((error.ee_errno, error.ee_origin))
        }
        _ => None,
    });
    let Some((code, ICMP | ICMP6)) = code else { return Some(None) };
    let error = io::Error::from_raw_os_error(i32::try_from(code).ok()?);
    let refusal = |to: S| Refusal { peer: Address::Udp(peer_of(to.into())), error };
    Some(told.address.map(refusal))
}

impl Family {
    /// A peer's address as a socket of the family takes it.
    fn address(self, peer: &Address) -> Option<SocketAddr> {
        match (self, peer) {
            (Self::V4, Address::Udp(to @ SocketAddr::V4(_))) => Some(*to),
            (Self::V6 | Self::Both, Address::Udp(to @ SocketAddr::V6(_))) => Some(*to),
            (Self::Both, Address::Udp(SocketAddr::V4(to))) => {
                Some((to.ip().to_ipv6_mapped(), to.port()).into())
            }
            _ => None,
        }
    }
}

/// A peer as the other parts know it: IPv4's as such, and without the label of a flow.
fn peer_of(address: SocketAddr) -> SocketAddr {
    match unmapped(address) {
        SocketAddr::V6(v6) => {
            SocketAddr::V6(SocketAddrV6::new(*v6.ip(), v6.port(), 0, v6.scope_id()))
        }
        v4 => v4,
    }
}

/// Whether an error of a UDP socket tells of something that was sent before, by ICMP
/// (`icmp_err_convert` and `icmpv6_err_convert` of Linux), and not of the socket itself.
fn is_of_a_peer(error: &io::Error) -> bool {
    let code = Errno::from_io_error(error);
    matches!(
        code,
        Some(
            Errno::ACCESS
                | Errno::CONNREFUSED
                | Errno::CONNRESET
                | Errno::HOSTDOWN
                | Errno::HOSTUNREACH
                | Errno::MSGSIZE
                | Errno::NETUNREACH
                | Errno::NONET
                | Errno::NOPROTOOPT
                | Errno::OPNOTSUPP
                | Errno::PERM
                | Errno::PROTO
        )
    )
}

/// Room for one datagram. Not a power of two, so that the first bytes of a batch lie in different
/// sets of the processor's cache.
const SLOT: usize = 64 * 1024 + 64;

/// How many datagrams a call prepares for where the last brought few.
const EXPECTED_MIN: usize = 8;

/// Room for one message of the error queue, in bytes: `sock_extended_err` and an address.
const REFUSAL_SPACE: usize = 128;

/// `SO_EE_ORIGIN_ICMP` and `SO_EE_ORIGIN_ICMP6` of Linux.
const ICMP: u8 = 2;
const ICMP6: u8 = 3;
