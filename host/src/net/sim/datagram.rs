//! Datagrams of the simulated network: what is sent may be lost, doubled, and overtaken.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::io::{self, ErrorKind};
use std::mem;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use super::listen::near_host;
use super::{SimNet, Source, amount};
use crate::net::datagram::{
    Batch, DATAGRAMS_A_BATCH, DatagramOption, Membership, Part, Place, Refusal,
};
use crate::net::{Address, Ready};

/// A socket of the near side.
#[derive(Debug)]
pub struct SimDatagrams(pub(super) usize);

/// All sockets for datagrams, and what is under way between them and the far side.
#[derive(Default)]
pub(super) struct Post {
    pub(super) sockets: Vec<Mailbox>,
    /// What arrives when; those of one moment in the order sent.
    under_way: BTreeMap<(Instant, u64), Letter>,
    sent: u64,
    /// What has reached the far side: whence, whereto, and the bytes.
    delivered: VecDeque<(Address, Address, Vec<u8>)>,
    /// Where nobody stands, and the near side hears of it.
    refusing: HashSet<Address>,
}

/// A socket, and what has arrived for it.
pub(super) struct Mailbox {
    local: Address,
    peer: Option<Address>,
    pub(super) token: Option<u64>,
    pub(super) edge: bool,
    closed: bool,
    arrived: VecDeque<(Address, Vec<u8>)>,
    refused: VecDeque<Address>,
    groups: Vec<Membership>,
    /// What was set last, each property once.
    options: Vec<DatagramOption>,
}

#[derive(Clone)]
enum Letter {
    ToFar { from: Address, to: Address, data: Vec<u8> },
    ToNear { from: Address, socket: usize, data: Vec<u8> },
    Refused { socket: usize, peer: Address },
}

impl SimNet {
    /// Sends a datagram from the far side to whoever has the address `to`, and to all that have
    /// joined it where it is a group. Nobody may: then it is lost.
    pub fn post(&mut self, from: &Address, to: &Address, data: &[u8]) {
        for socket in 0..self.post.sockets.len() {
            if self.post.sockets[socket].takes(from, to) {
                let (from, data) = (from.clone(), data.to_vec());
                self.send_letter(&Letter::ToNear { from, socket, data });
            }
        }
    }

    /// The next datagram that has reached the far side: whence, whereto, and its bytes.
    pub fn posted(&mut self) -> Option<(Address, Address, Vec<u8>)> {
        self.post.delivered.pop_front()
    }

    /// From now on nobody stands at `address`, and who sends there is told so.
    pub fn refuse_datagrams(&mut self, address: Address) {
        self.post.refusing.insert(address);
    }

    /// How many sockets for datagrams are not closed yet.
    pub fn open_datagrams(&self) -> usize {
        self.post.sockets.iter().filter(|socket| !socket.closed).count()
    }

    /// How many datagrams have arrived that nobody has received.
    pub fn unread_datagrams(&self) -> usize {
        let open = self.post.sockets.iter().filter(|socket| !socket.closed);
        open.map(|socket| socket.arrived.len()).sum()
    }

    /// What was set last of sockets that are not closed, each property once.
    pub fn datagram_options(&self) -> Vec<DatagramOption> {
        let open = self.post.sockets.iter().filter(|socket| !socket.closed);
        open.flat_map(|socket| socket.options.clone()).collect()
    }

    /// The groups that sockets are members of.
    pub fn groups(&self) -> usize {
        let open = self.post.sockets.iter().filter(|socket| !socket.closed);
        open.map(|socket| socket.groups.len()).sum()
    }

    /// Nothing is under way, or lies unread.
    pub(super) fn no_letters(&self) -> bool {
        self.post.under_way.is_empty()
    }

    pub(super) fn next_letter(&self) -> Option<Instant> {
        self.post.under_way.first_key_value().map(|((at, _), _)| *at)
    }

    pub(super) fn deliver_letters(&mut self) {
        while let Some(first) = self.post.under_way.first_entry()
            && first.key().0 <= self.now
        {
            let edge = match first.remove() {
                Letter::ToFar { from, to, data } => {
                    self.post.delivered.push_back((from, to, data));
                    continue;
                }
                Letter::ToNear { from, socket, data } => {
                    self.post.sockets[socket].arrived.push_back((from, data));
                    socket
                }
                Letter::Refused { socket, peer } => {
                    self.post.sockets[socket].refused.push_back(peer);
                    socket
                }
            };
            self.edge(Source::Datagrams(edge));
        }
    }

    pub(super) fn ready_datagrams(&mut self, socket: usize) -> Option<Ready> {
        let socket = &mut self.post.sockets[socket];
        socket.edge = false;
        let failed = !socket.refused.is_empty();
        let token = socket.token.filter(|_| !socket.closed)?;
        let readable = failed || !socket.arrived.is_empty();
        readable.then_some(Ready { token, readable, failed, ..Ready::default() })
    }

    pub(super) fn bind_datagrams(&mut self, place: &Place) -> io::Result<SimDatagrams> {
        let (local, shared) = match place {
            Place::Udp { at, reuse, .. } => (Address::Udp(self.picked(*at)), *reuse),
            Place::Unix { name, .. } => (Address::Unix(name.clone()), false),
        };
        let taken = |other: &Mailbox| !other.closed && other.local == local && !shared;
        if self.post.sockets.iter().any(taken) {
            return Err(ErrorKind::AddrInUse.into());
        }
        Ok(self.add_socket(local, None))
    }

    pub(super) fn pair(
        &mut self,
        peer: &Address,
        from: Option<IpAddr>,
    ) -> io::Result<SimDatagrams> {
        let local = match (peer, from) {
            (Address::Udp(to), _) => {
                let host = from.unwrap_or(near_host(to.is_ipv4()));
                if host.is_ipv4() != to.is_ipv4() {
                    return Err(ErrorKind::InvalidInput.into());
                }
                Address::Udp(self.picked(SocketAddr::new(host, 0)))
            }
            (Address::Unix(_), None) => {
                Address::Unix(format!("@{}", self.post.sockets.len()).into())
            }
            _ => return Err(ErrorKind::InvalidInput.into()),
        };
        Ok(self.add_socket(local, Some(peer.clone())))
    }

    fn picked(&self, mut at: SocketAddr) -> SocketAddr {
        if at.port() == 0 {
            at.set_port(FIRST_PORT + self.post.sockets.len() as u16);
        }
        at
    }

    fn add_socket(&mut self, local: Address, peer: Option<Address>) -> SimDatagrams {
        self.post.sockets.push(Mailbox {
            local,
            peer,
            token: None,
            edge: false,
            closed: false,
            arrived: VecDeque::new(),
            refused: VecDeque::new(),
            groups: Vec::new(),
            options: Vec::new(),
        });
        SimDatagrams(self.post.sockets.len() - 1)
    }

    pub(super) fn datagrams_local(&self, socket: &SimDatagrams) -> Address {
        self.post.sockets[socket.0].local.clone()
    }

    /// At most a batch, and less where the seed wants it so.
    pub(super) fn receive_datagrams(
        &mut self,
        socket: usize,
        batch: &mut Batch,
    ) -> io::Result<bool> {
        self.tick();
        let arrived = &mut self.post.sockets[socket].arrived;
        if arrived.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        let most = arrived.len().min(DATAGRAMS_A_BATCH);
        let taken = amount(&mut self.seed, self.conditions.cut, most);
        for (from, data) in arrived.drain(..taken) {
            batch.push(from, &data);
        }
        let more = !arrived.is_empty();
        self.note(b'R', socket as u64, &batch.data);
        Ok(more)
    }

    pub(super) fn send_datagrams(
        &mut self,
        socket: usize,
        mut data: &[u8],
        parts: &[Part],
    ) -> usize {
        self.tick();
        self.note(b'W', socket as u64, data);
        let from = self.post.sockets[socket].local.clone();
        let most = amount(&mut self.seed, self.conditions.cut, parts.len());
        let mut taken = 0;
        for Part { peer: to, length } in parts {
            let (one, behind) = data.split_at(*length);
            data = behind;
            if taken == most || !reaches(&from, to) {
                continue;
            }
            taken += 1;
            if self.post.refusing.contains(to) {
                self.send_letter(&Letter::Refused { socket, peer: to.clone() });
            } else {
                let (from, to, data) = (from.clone(), to.clone(), one.to_vec());
                self.send_letter(&Letter::ToFar { from, to, data });
            }
        }
        taken
    }

    pub(super) fn take_refusals(&mut self, socket: usize, refusals: &mut Vec<Refusal>) {
        let refused = mem::take(&mut self.post.sockets[socket].refused);
        refusals.extend(
            refused
                .into_iter()
                .map(|peer| Refusal { peer, error: ErrorKind::ConnectionRefused.into() }),
        );
    }

    pub(super) fn set_option(&mut self, socket: usize, option: &DatagramOption) -> io::Result<()> {
        let Mailbox { local, options, .. } = &mut self.post.sockets[socket];
        match (local, option) {
            (Address::Udp(at), DatagramOption::Broadcast(_)) if at.is_ipv6() => {
                return Err(ErrorKind::Unsupported.into());
            }
            (Address::Udp(_), _) => {}
            _ => return Err(ErrorKind::Unsupported.into()),
        }
        options.retain(|other| mem::discriminant(other) != mem::discriminant(option));
        options.push(option.clone());
        Ok(())
    }

    pub(super) fn join_group(&mut self, socket: usize, of: &Membership) -> io::Result<()> {
        let Mailbox { groups, local, .. } = &mut self.post.sockets[socket];
        match local {
            Address::Udp(at) if at.is_ipv4() == of.group.is_ipv4() && of.group.is_multicast() => {}
            Address::Udp(_) => return Err(ErrorKind::InvalidInput.into()),
            _ => return Err(ErrorKind::Unsupported.into()),
        }
        if groups.contains(of) {
            return Err(ErrorKind::AddrInUse.into());
        }
        groups.push(of.clone());
        Ok(())
    }

    pub(super) fn leave_group(&mut self, socket: usize, of: &Membership) -> io::Result<()> {
        let groups = &mut self.post.sockets[socket].groups;
        let place = groups.iter().position(|group| group == of);
        groups.remove(place.ok_or(ErrorKind::AddrNotAvailable)?);
        Ok(())
    }

    pub(super) fn close_socket(&mut self, socket: usize) {
        self.note(b'C', socket as u64, &[]);
        self.post.sockets[socket].closed = true;
    }

    /// Each finds its own way: it may be lost, come twice, or overtake others.
    fn send_letter(&mut self, letter: &Letter) {
        if self.seed.chance(self.conditions.lost) {
            return;
        }
        let copies = if self.seed.chance(self.conditions.doubled) { 2 } else { 1 };
        for _ in 0..copies {
            let at = self.now + self.seed.up_to(self.conditions.delay);
            let copy = letter.clone();
            self.post.sent += 1;
            self.post.under_way.insert((at, self.post.sent), copy);
        }
    }
}

impl Mailbox {
    fn takes(&self, from: &Address, to: &Address) -> bool {
        if self.closed || self.peer.as_ref().is_some_and(|peer| peer != from) {
            return false;
        }
        match (&self.local, to) {
            (Address::Udp(local), Address::Udp(to)) => {
                let wanted = |group: &Membership| {
                    group.group == to.ip()
                        && group.source.is_none_or(|source| {
                            *from == Address::Udp(SocketAddr::new(source, port(from)))
                        })
                };
                let here = local.ip() == to.ip()
                    || !to.ip().is_multicast()
                        && local.ip().is_unspecified()
                        && local.is_ipv4() == to.is_ipv4()
                    || self.groups.iter().any(wanted);
                here && local.port() == to.port()
            }
            (local, to) => local == to,
        }
    }
}

/// Whether a socket can have such a peer.
fn reaches(from: &Address, to: &Address) -> bool {
    match (from, to) {
        (Address::Udp(from), Address::Udp(to)) => from.is_ipv4() == to.is_ipv4(),
        (Address::Unix(_), Address::Unix(to)) => !to.is_empty(),
        _ => false,
    }
}

fn port(of: &Address) -> u16 {
    match of {
        Address::Udp(address) => address.port(),
        _ => 0,
    }
}

/// The port that the first socket gets which asks for none.
const FIRST_PORT: u16 = 50_000;
