//! Datagrams in bursts, of every size, from many sockets.

use std::net::{Ipv4Addr, UdpSocket};

use anyhow::Result;

use super::attack::Attack;
use crate::dial;

/// How many sockets send.
const SOCKETS: usize = 50;
/// How many datagrams there are in a burst.
const BURST: u64 = 20;
/// The longest that there can be over IPv4, in bytes.
const LONGEST: usize = 65_507;

/// Sends empty ones, small ones and the largest, and reads no answer.
pub(super) fn flood(attack: &Attack<'_>) -> Result<u64> {
    let socket = |nth| -> Result<UdpSocket> {
        let from = if attack.address.ip().is_loopback() {
            dial::source(nth)?
        } else {
            Ipv4Addr::UNSPECIFIED
        };
        let socket = UdpSocket::bind((from, 0))?;
        socket.connect(attack.address)?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    };
    let sockets: Vec<_> = (0..SOCKETS).map(socket).collect::<Result<_>>()?;
    let data = vec![b'd'; LONGEST];
    let bursts = attack.repeat(1_000, |nth| {
        let socket = &sockets[nth as usize % SOCKETS];
        let length = [0, 1, 64, 1200, LONGEST][(nth / 7) as usize % 5];
        let burst = if length == LONGEST { 1 } else { BURST };
        for _ in 0..burst {
            // What isn't taken is lost, as datagrams are.
            let _ = socket.send(&data[..length]);
        }
        Ok(true)
    })?;
    Ok(bursts * BURST)
}
