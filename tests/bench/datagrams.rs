//! The bare loop that the echo of datagrams is measured against: one blocking socket, one
//! `recvmmsg` and one `sendmmsg` for each batch, and nothing else.

use std::array;
use std::io::{IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsRawFd;

use anyhow::Result;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg};

/// How many datagrams one call moves: as many as torsade's.
const BATCH: usize = 64;
/// Room for a datagram, in bytes.
const ROOM: usize = 2048;

/// Echoes on 127.0.0.1 until it is killed.
pub(crate) fn serve(port: u16) -> Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, port))?;
    let socket = socket.as_raw_fd();
    let mut buffers = vec![[0; ROOM]; BATCH];
    let mut receiving = MultiHeaders::<SockaddrIn>::preallocate(BATCH, None);
    let mut sending = MultiHeaders::<SockaddrIn>::preallocate(BATCH, None);
    loop {
        let mut peers = [None; BATCH];
        let mut lengths = [0; BATCH];
        let mut count = 0;
        {
            let mut rooms = buffers.iter_mut();
            let mut slices: [_; BATCH] = array::from_fn(|_| {
                [IoSliceMut::new(rooms.next().map_or(&mut [][..], |room| &mut room[..]))]
            });
            let flags = MsgFlags::MSG_WAITFORONE;
            for got in recvmmsg(socket, &mut receiving, slices.iter_mut(), flags, None)? {
                (peers[count], lengths[count]) = (got.address, got.bytes);
                count += 1;
            }
        }
        let slices: [_; BATCH] =
            array::from_fn(|nth| [IoSlice::new(&buffers[nth][..lengths[nth]])]);
        // What it takes no more of is lost, as ours is.
        let _ =
            sendmmsg(socket, &mut sending, slices.iter().take(count), peers, [], MsgFlags::empty());
    }
}
