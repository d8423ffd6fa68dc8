//! What no crate wraps of multicast: groups with one source by the number of an interface (RFC 3678,
//! section 5.1.2), and sockets that get no group but those that they have joined themselves.
#![allow(unsafe_code, reason = "see `set`")]

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd};

use nix::libc::{self, c_int, socklen_t};

/// `struct group_source_req`.
#[repr(C)]
struct Request {
    /// The number of the interface; 0 lets the system pick one.
    interface: u32,
    group: Storage,
    source: Storage,
}

/// `struct sockaddr_storage` with a `struct sockaddr_in` or a `struct sockaddr_in6` in it.
#[repr(C, align(8))]
struct Storage {
    family: u16,
    port: u16,
    /// The address of IPv4, and the flow of IPv6.
    first: [u8; 4],
    /// The address of IPv6.
    address: [u8; 16],
    scope: u32,
    rest: [u8; 100],
}

impl Storage {
    fn of(address: IpAddr) -> Self {
        let (family, first, address) = match address {
            IpAddr::V4(v4) => (libc::AF_INET, v4.octets(), [0; 16]),
            IpAddr::V6(v6) => (libc::AF_INET6, [0; 4], v6.octets()),
        };
        Self { family: family as u16, port: 0, first, address, scope: 0, rest: [0; 100] }
    }
}

/// What is to become of a membership.
#[derive(Clone, Copy)]
pub(super) enum Change {
    Join,
    Leave,
}

/// Joins or leaves a group as far as one source, of the same family, sends to it.
pub(super) fn change(
    socket: impl AsFd,
    change: Change,
    interface: u32,
    group: IpAddr,
    source: IpAddr,
) -> io::Result<()> {
    let name = match change {
        Change::Join => libc::MCAST_JOIN_SOURCE_GROUP,
        Change::Leave => libc::MCAST_LEAVE_SOURCE_GROUP,
    };
    let level = if group.is_ipv4() { libc::IPPROTO_IP } else { libc::IPPROTO_IPV6 };
    let request = Request { interface, group: Storage::of(group), source: Storage::of(source) };
    set(socket, level, name, &request)
}

/// Has a socket get nothing of groups that others on this machine have joined, as it would by
/// itself where it has the port: not those of IPv4, or not those of IPv6.
pub(super) fn get_only_joined(socket: impl AsFd, v6: bool) -> io::Result<()> {
    let (level, name) = match v6 {
        false => (libc::IPPROTO_IP, libc::IP_MULTICAST_ALL),
        true => (libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_ALL),
    };
    match set::<c_int>(socket, level, name, &0) {
        // Linux has IPv6's since 4.20, and there it is no worse than it was.
        Err(e) if e.raw_os_error() == Some(libc::ENOPROTOOPT) => Ok(()),
        set => set,
    }
}

/// Sets an option. `T` is what the system has for it.
fn set<T>(socket: impl AsFd, level: c_int, name: c_int, value: &T) -> io::Result<()> {
    let length = size_of::<T>() as socklen_t;
    // SAFETY: the descriptor is open as long as `socket` is borrowed; the kernel reads `length` bytes
    // of `value`, which has them, laid out as it wants them, and keeps no pointer.
    let done: c_int = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            level,
            name,
            std::ptr::from_ref(value).cast(),
            length,
        )
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// As the system has it on all 64-bit kernels: the addresses are aligned to 8.
const _: () = assert!(size_of::<Storage>() == 128 && size_of::<Request>() == 264);
