//! Joins discovery to the host: its sockets, its clock and timers, and a stream for questions.

use std::cell::{Cell, RefCell};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use torsade_guest::datagrams::{
    Batch, DatagramPlugin, DatagramProtocol, DatagramTransport, Membership, Peer,
};
use torsade_guest::timers::{self, DelayedCall};
use torsade_guest::{
    Deferred, Failure, Line, LineReceiver, Origin, Plugin, Protocol, Reason, Transport, Waiting,
    clock, code, error, info, random, services, warn,
};

use crate::config::{Bound, Settings, Setup};
use crate::discovery::{Discovery, PORT, To};
use crate::lines;

/// The group of IPv4 (RFC 6762, section 3).
const GROUP_IPV4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);

/// The group of IPv6.
const GROUP_IPV6: Ipv6Addr = Ipv6Addr::new(0xFF02, 0, 0, 0, 0, 0, 0, 0xFB);

/// What messages of mDNS are sent with (RFC 6762, section 11).
const HOPS: u8 = 255;

/// How long is waited before a group is joined that could not be.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest question over a stream, in bytes.
const LINE_MAX: usize = 1000;

struct Server {
    node: Rc<Node>,
}

/// This host on its network. One for all sockets.
struct Node {
    setup: Setup,
    interface: Option<String>,
    /// From the first socket that is in its group.
    discovery: RefCell<Option<Discovery>>,
    sockets: RefCell<Vec<DatagramTransport<Socket>>>,
    timer: Cell<Option<DelayedCall>>,
}

impl Plugin for Server {
    /// All sockets of a host have the same names.
    const SHARED_STATE: bool = true;

    type Config = Settings;
    type Protocol = Asker;

    fn start(settings: Settings) -> Result<Self, String> {
        let bound = if settings.names_services() { services::all() } else { Vec::new() };
        let bound = bound.into_iter();
        let bound: Vec<_> = bound
            .map(|service| Bound { service: service.name, endpoints: service.endpoints })
            .collect();
        let node = Node {
            setup: settings.check(&bound)?,
            interface: settings.interface,
            discovery: RefCell::new(None),
            sockets: RefCell::new(Vec::new()),
            timer: Cell::new(None),
        };
        Ok(Server { node: Rc::new(node) })
    }

    fn build_protocol(&mut self, transport: Transport<Asker>, _: Origin) -> Option<Asker> {
        Some(Asker { transport, node: Rc::clone(&self.node), input: LineReceiver::new(LINE_MAX) })
    }

    fn stopping(&mut self) {
        self.node.with(Discovery::stop);
    }
}

impl DatagramPlugin for Server {
    type DatagramProtocol = Socket;

    fn build_datagram_protocol(
        &mut self,
        transport: DatagramTransport<Socket>,
        _: Origin,
    ) -> Option<Socket> {
        if let Err(failure) = set_up(&transport, self.node.interface.as_deref()) {
            error!("{failure}");
            return None;
        }
        self.node.join(transport.clone());
        Some(Socket { transport, node: Rc::clone(&self.node) })
    }
}

/// Has messages leave as those of mDNS do.
fn set_up(transport: &DatagramTransport<Socket>, interface: Option<&str>) -> Result<(), Failure> {
    transport.set_multicast_ttl(HOPS)?;
    interface.map_or(Ok(()), |name| transport.set_multicast_interface(name))
}

/// The group of a socket's family.
fn group(transport: &DatagramTransport<Socket>) -> SocketAddr {
    match transport.local_address().host.contains(':') {
        true => (GROUP_IPV6, PORT).into(),
        false => (GROUP_IPV4, PORT).into(),
    }
}

impl Node {
    /// Has a socket join its group, again and again where there is no network yet.
    fn join(self: &Rc<Self>, socket: DatagramTransport<Socket>) {
        let mut membership = Membership::of(group(&socket).ip().to_string());
        membership.interface.clone_from(&self.interface);
        let node = Rc::clone(self);
        let joined = Deferred::from(socket.join(&membership)).both(move |joined| {
            match joined {
                Ok(()) => node.add(socket),
                // Nothing but the network can become another.
                Err(failure) if !matches!(&*failure.code, code::IO | code::INVALID) => {
                    error!("can't join {}: {failure}", membership.group);
                }
                Err(failure) => {
                    let group = &membership.group;
                    warn!("can't join {group}, and will try again: {failure}");
                    let again = timers::call_later(PATIENCE, move || node.join(socket));
                    again.map_or_else(|failure| error!("{failure}"), DelayedCall::detach);
                }
            }
            Ok(())
        });
        joined.detach();
    }

    /// A socket is in its group.
    fn add(self: &Rc<Self>, socket: DatagramTransport<Socket>) {
        self.sockets.borrow_mut().push(socket);
        let now = clock::monotonic();
        match &mut *self.discovery.borrow_mut() {
            Some(discovery) => discovery.begin_again(now),
            none => *none = Some(Discovery::new(&self.setup, now, random::number())),
        }
        self.settle();
    }

    /// Has something happen, and sends what came of it.
    fn with(self: &Rc<Self>, event: impl FnOnce(&mut Discovery)) {
        if let Some(discovery) = self.discovery.borrow_mut().as_mut() {
            event(discovery);
        }
        self.settle();
    }

    /// Does what is due, sends what came of it, and sets the timer for what is due next.
    fn settle(self: &Rc<Self>) {
        let mut discovery = self.discovery.borrow_mut();
        let Some(discovery) = discovery.as_mut() else { return };
        let now = clock::monotonic();
        discovery.on_time(now);
        while let Some((to, message)) = discovery.take_message() {
            self.send(to, &message);
        }
        while let Some(event) = discovery.take_event() {
            info!("{event}");
        }
        let node = Rc::downgrade(self);
        let again = move || {
            if let Some(node) = node.upgrade() {
                node.settle();
            }
        };
        let wait = discovery.deadline().map(|deadline| deadline.saturating_sub(now));
        match wait.map(|wait| timers::call_later(wait, again)).transpose() {
            Ok(timer) => self.timer.set(timer),
            // What comes next sets it again.
            Err(failure) => warn!("{failure}"),
        }
    }

    fn send(&self, to: To, message: &[u8]) {
        for socket in self.sockets.borrow().iter() {
            let group = group(socket);
            match to {
                To::Group => socket.write(message, &group.into()),
                To::Peer(peer) if peer.is_ipv4() == group.is_ipv4() => {
                    return socket.write(message, &peer.into());
                }
                To::Peer(_) => {}
            }
        }
    }
}

/// One socket.
struct Socket {
    transport: DatagramTransport<Socket>,
    node: Rc<Node>,
}

impl DatagramProtocol for Socket {
    fn datagrams_received(&mut self, batch: Batch<'_>) {
        let now = clock::monotonic();
        self.node.with(|discovery| {
            for (peer, datagram) in batch {
                if let Some(from) = peer.socket_addr() {
                    discovery.received(now, from, datagram);
                }
            }
        });
    }

    fn connection_refused(&mut self, peer: &Peer, why: Failure) {
        torsade_guest::debug!("{peer}: {why}");
    }

    fn closed(&mut self, _: Reason) {
        let mut sockets = self.node.sockets.borrow_mut();
        sockets.retain(|socket| *socket != self.transport);
    }
}

/// One who asks by lines what is known.
struct Asker {
    transport: Transport<Asker>,
    node: Rc<Node>,
    input: LineReceiver,
}

impl Protocol for Asker {
    fn data_received(&mut self, data: &[u8]) -> Option<Waiting> {
        self.input.extend(data);
        self.answer();
        None
    }

    fn write_drained(&mut self) {
        self.transport.resume_producing();
        self.answer();
    }
}

impl Asker {
    /// Answers the lines that are whole, as long as the peer takes the answers.
    fn answer(&mut self) {
        while self.transport.room() > 0 {
            let line = match self.input.next() {
                Some(Line::Whole(line)) => line,
                Some(Line::TooLong(_)) => {
                    self.transport.write(b"error: the line is too long\n.\n");
                    return self.transport.lose_connection();
                }
                None => return,
            };
            let line = String::from_utf8_lossy(&line);
            let discovery = self.node.discovery.borrow();
            match discovery.as_ref() {
                Some(discovery) => self.transport.write(lines::answer(discovery, &line).as_bytes()),
                None => self.transport.write(b"error: no network is joined yet\n.\n"),
            }
        }
        self.transport.pause_producing();
    }
}

torsade_guest::export!(
    Server,
    serves = ["mdns", "dns-sd"],
    schema = include_str!("../config.schema.json"),
);
torsade_guest::export_datagrams!(Server);
