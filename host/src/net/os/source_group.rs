//! Groups of IPv6 with one source (RFC 3678, section 5.1.2): the one call that no crate wraps.
#![allow(unsafe_code, reason = "see `change`")]

use std::io;
use std::net::Ipv6Addr;
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

/// `struct sockaddr_storage` with a `struct sockaddr_in6` in it.
#[repr(C, align(8))]
struct Storage {
    family: u16,
    port: u16,
    flow: u32,
    address: [u8; 16],
    scope: u32,
    rest: [u8; 100],
}

impl Storage {
    fn of(address: Ipv6Addr) -> Self {
        let family = libc::AF_INET6 as u16;
        let address = address.octets();
        Self { family, port: 0, flow: 0, address, scope: 0, rest: [0; 100] }
    }
}

/// What is to become of a membership.
#[derive(Clone, Copy)]
pub(super) enum Change {
    Join,
    Leave,
}

/// Joins or leaves a group as far as one source sends to it.
pub(super) fn change(
    socket: impl AsFd,
    change: Change,
    interface: u32,
    group: Ipv6Addr,
    source: Ipv6Addr,
) -> io::Result<()> {
    let name = match change {
        Change::Join => libc::MCAST_JOIN_SOURCE_GROUP,
        Change::Leave => libc::MCAST_LEAVE_SOURCE_GROUP,
    };
    let request = Request { interface, group: Storage::of(group), source: Storage::of(source) };
    let length = size_of::<Request>() as socklen_t;
    // SAFETY: the descriptor is open as long as `socket` is borrowed; the kernel reads `length` bytes
    // of `request`, which has them, laid out as it wants them, and keeps no pointer.
    let done: c_int = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::IPPROTO_IPV6,
            name,
            (&raw const request).cast(),
            length,
        )
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// As the system has it on all 64-bit kernels: the addresses are aligned to 8.
const _: () = assert!(size_of::<Storage>() == 128 && size_of::<Request>() == 264);
