//! A host in a simulated network, with the peers and the checkers around it.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use torsade::figures::{Count, Figures};
use torsade::net::Net;
use torsade::net::faulty::Faulty;
use torsade::net::sim::{SimListener, SimNet};
use torsade::plugin::LogLevel;
use torsade::pool::{FaultyPool, SimPool};
use torsade::reactor::{Answer, Counts, Reactor, Seen, ServiceSettings};

use super::asking::Asking;
use super::checker::Checker;
use super::choices::Choices;
use super::http;
use super::peer::Peer;
use super::script::TAME;
use super::site::{self, Kind, SERVICES, Settings};
use super::story::{brief, kind};

/// A network that is a simulated one, behind whatever else.
pub(crate) trait Simulated: Net<Listener = SimListener> {
    /// The simulated network.
    fn sim(&mut self) -> &mut SimNet;
}

impl Simulated for SimNet {
    fn sim(&mut self) -> &mut SimNet {
        self
    }
}

impl Simulated for Faulty<SimNet> {
    fn sim(&mut self) -> &mut SimNet {
        self.net()
    }
}

/// A simulation that is over.
pub(crate) struct Played {
    /// A hash of all that happened.
    pub(crate) trace: u64,
    /// Each kind of thing that happened.
    pub(crate) happened: BTreeSet<String>,
}

/// A host and its peers.
pub(crate) struct World<N: Simulated> {
    pub(crate) reactor: Reactor<N, FaultyPool<SimPool<Answer>>>,
    pub(crate) peers: Vec<Peer>,
    checker: Checker,
    asking: Asking,
    /// Connections that an instance may dial.
    most: usize,
    /// Each with the network's number for its listener.
    services: Vec<(Kind, usize)>,
    /// Instances that connections share.
    shared: usize,
    trace: u64,
    happened: BTreeSet<String>,
    refuses: bool,
    /// New connections may have to wait for others to end.
    may_wait: bool,
    stopped: bool,
    abandoned: bool,
    /// Prints what happens.
    tells: bool,
}

impl<N: Simulated> World<N> {
    /// Serves all services.
    pub(crate) fn new(net: N, seed: u64, settings: &Settings, tells: bool) -> Result<Self> {
        let service =
            |(kind, per_connection)| (kind, site::service(kind, per_connection, settings));
        Self::serving(SERVICES.map(service).into(), net, seed, settings, tells)
    }

    /// Serves these services, whose settings were made of `settings`.
    pub(crate) fn serving(
        wanted: Vec<(Kind, ServiceSettings)>,
        net: N,
        seed: u64,
        settings: &Settings,
        tells: bool,
    ) -> Result<Self> {
        let waker = net.waker();
        let pool = FaultyPool::new(SimPool::new(seed, move || waker.wake()));
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let mut reactor = Reactor::new(net, pool, bytes, LogLevel::Error);
        reactor.observe();
        let shared = wanted.iter().filter(|(_, service)| !service.per_connection).count();
        let mut services = Vec::new();
        for (kind, service) in wanted {
            let service = reactor.serve(service);
            // One listener deals, as a Unix socket's does.
            let deals = service == 0;
            let first = reactor.net().sim().listener();
            let mut listener = first.index();
            if reactor.listen(first, service, 0, deals).is_err() {
                let second = reactor.net().sim().listener();
                listener = second.index();
                reactor.listen(second, service, 0, deals).context("a second fault")?;
            }
            services.push((kind, listener));
        }
        let may_wait = settings.connections < Settings::CALM.connections;
        let refuses = settings.stumbles > 0 || may_wait;
        Ok(Self {
            reactor,
            peers: Vec::new(),
            checker: Checker::default(),
            asking: Asking::default(),
            most: settings.most,
            services,
            shared,
            trace: 0xcbf2_9ce4_8422_2325,
            happened: BTreeSet::new(),
            refuses,
            may_wait,
            stopped: false,
            abandoned: false,
            tells,
        })
    }

    /// A new peer of a service.
    pub(crate) fn connect(&mut self, service: usize) -> usize {
        let (kind, listener) = self.services[service];
        let sim = self.reactor.net().sim();
        let refuses = sim.conditions().refusals > 0;
        let far = sim.connect(listener);
        let mut peer = if kind == Kind::Echo {
            let (peer, header) = Peer::proxied(far, kind);
            sim.send(far, &header);
            peer
        } else {
            Peer::new(far, kind)
        };
        peer.may_refuse = refuses || self.refuses || self.stopped;
        self.peers.push(peer);
        self.peers.len() - 1
    }

    /// A new peer of a listener that a plugin made, if there is one.
    pub(crate) fn arrive(&mut self, listener: usize) {
        let open = self.checker.listening();
        if !open.is_empty() {
            let far = self.reactor.net().sim().connect_to(&open[listener % open.len()]);
            // The plugin may stop listening at any time.
            self.peers.push(Peer { may_refuse: true, ..Peer::new(far, Kind::Asker) });
        }
    }

    /// A peer sends `data`, if it still can.
    pub(crate) fn send(&mut self, peer: usize, data: &[u8]) {
        let peer = &mut self.peers[peer];
        if peer.is_active() {
            self.reactor.net().sim().send(peer.far, data);
            peer.sent.extend(data);
        }
    }

    /// A peer sends something that its service understands.
    pub(crate) fn say(&mut self, peer: usize, choices: &mut Choices, commands: &[u8]) {
        match self.peers[peer].kind {
            Kind::Asker => {
                let sim = self.reactor.net().sim();
                let lines = self.asking.lines(sim, choices, commands != TAME);
                self.send(peer, &lines);
            }
            Kind::Datagrams => unreachable!("it serves no streams"),
            Kind::Irc | Kind::Login => unreachable!("its peers have scripts of their own"),
            Kind::Echo => {
                let length = 1 + choices.size(40_000);
                let data = choices.bytes(length, b"echo the bytes\n");
                self.send(peer, &data);
            }
            Kind::Http => {
                let count = 1 + choices.below(3);
                for _ in 0..count {
                    let request = http::request(choices);
                    self.send(peer, request.text.as_bytes());
                    self.peers[peer].requests.push(request);
                }
            }
            Kind::Stranger | Kind::Unruly => {
                let length = 1 + choices.below(12);
                let data = choices.bytes(length, commands);
                self.send(peer, &data);
            }
        }
    }

    /// A peer reads on, or does not.
    pub(crate) fn set_reading(&mut self, peer: usize, reading: bool) {
        let far = self.peers[peer].far;
        self.reactor.net().sim().set_reading(far, reading);
    }

    /// A peer ends its half in order.
    pub(crate) fn shut_down(&mut self, peer: usize) {
        let peer = &mut self.peers[peer];
        peer.has_ended = true;
        self.reactor.net().sim().shut_down(peer.far);
    }

    /// A peer goes away: in order as far as it can, or with a reset.
    pub(crate) fn leave(&mut self, peer: usize, reset: bool) {
        let peer = &mut self.peers[peer];
        peer.is_rude = true;
        let sim = self.reactor.net().sim();
        if reset { sim.reset(peer.far) } else { sim.hang_up(peer.far) }
    }

    /// A turn of the reactor, and a look at what came of it.
    pub(crate) fn turn(&mut self, most: Option<Duration>) -> Result<()> {
        if let Err(e) = self.reactor.turn(most) {
            // The network's own fault, which leaves all as it was.
            ensure!(e.kind() == std::io::ErrorKind::Interrupted, "a turn failed: {e}");
        }
        for accepted in self.reactor.take_dealt() {
            self.reactor.adopt(accepted);
        }
        self.look()?;
        let busy = self.reactor.counts().queued > 0;
        let next = self.reactor.next_deadline();
        let now = self.reactor.net().now();
        ensure!(!busy || next.is_some_and(|at| at <= now), "it would sleep with work to do");
        let aside = self.reactor.counts().aside > 0;
        ensure!(!aside || next.is_some(), "it would sleep for ever with work to do");
        Ok(())
    }

    /// Turns until so much time has passed.
    pub(crate) fn pass(&mut self, time: Duration) -> Result<()> {
        let until = self.reactor.net().now() + time;
        for _ in 0..TURNS {
            let left = until.saturating_duration_since(self.reactor.net().now());
            if left.is_zero() {
                return Ok(());
            }
            self.turn(Some(left))?;
        }
        bail!("{TURNS} turns take less than {time:?}: {:?}", self.reactor.counts())
    }

    /// Lets all peers read and time pass: then everything must have been answered.
    pub(crate) fn rest(&mut self) -> Result<()> {
        for peer in 0..self.peers.len() {
            if !self.peers[peer].is_stuck {
                self.set_reading(peer, true);
            }
        }
        let mut seen = 0;
        while self.progress() > seen {
            seen = self.progress();
            self.pass(REST)?;
        }
        for number in 0..self.peers.len() {
            let stalled =
                || format!("peer {number}, a client of {:?}, stalls", self.peers[number].kind);
            self.answered(number).with_context(stalled)?;
        }
        Ok(())
    }

    /// Everything that a peer sent was answered, as far as anybody owes it.
    fn answered(&self, number: usize) -> Result<()> {
        let peer = &self.peers[number];
        let Some(conn) = self.checker.conn_of(peer) else {
            let excused = peer.is_rude || peer.has_reset || self.may_wait || peer.is_dialled;
            ensure!(excused, "it was neither accepted nor refused");
            return Ok(());
        };
        if peer.is_rude || peer.is_stuck || conn.closing || !self.checker.is_alive(conn) {
            return Ok(());
        }
        let (delivered, sent) = (conn.delivered, peer.sent.len());
        ensure!(delivered == sent, "{delivered} of {sent} bytes were delivered");
        let (got, promised) = (peer.got.len(), conn.promised.len());
        ensure!(got == promised, "{got} of {promised} bytes arrived");
        peer.check_answers(true)
    }

    /// Grows with each byte that arrives anywhere.
    fn progress(&self) -> usize {
        let arrived = |peer: &Peer| {
            let delivered = self.checker.conn_of(peer).map_or(0, |conn| conn.delivered);
            1 + peer.got.len() + delivered
        };
        self.peers.iter().map(arrived).sum()
    }

    /// The host stops accepting.
    pub(crate) fn stop(&mut self) -> Result<()> {
        for peer in &mut self.peers {
            peer.may_refuse |= peer.conn.is_none() && !peer.has_reset;
            peer.may_be_cut_short = true;
        }
        self.stopped = true;
        self.reactor.stop();
        for accepted in self.reactor.take_dealt() {
            self.reactor.adopt(accepted);
        }
        self.look()
    }

    /// The host closes what is open.
    pub(crate) fn abandon(&mut self) -> Result<()> {
        self.abandoned = true;
        self.reactor.abandon();
        self.look()
    }

    /// Ends all conversations and the host, and judges what became of each peer. `most_wronged` says how
    /// many may have been, by faults that hit them.
    pub(crate) fn finish(&mut self, most_wronged: impl FnOnce(&mut N) -> usize) -> Result<()> {
        self.settle()?;
        let sim = self.reactor.net().sim();
        for (number, peer) in self.peers.iter().enumerate() {
            let taken = peer.conn.is_some() || peer.has_reset || peer.is_rude || self.abandoned;
            // What was dealt out is closed where the service has become full meanwhile.
            let turned_away = self.may_wait && sim.far_saw_end(peer.far);
            let served = taken || turned_away || peer.is_dialled;
            ensure!(served, "peer {number}, a client of {:?}, was not accepted", peer.kind);
        }
        let listeners = self.reactor.counts().listeners;
        let own = if self.stopped { 0 } else { self.services.len() };
        ensure!(listeners == own, "{listeners} listeners are open, and {own} serve");
        self.stop()?;
        self.settle()?;
        self.at_rest()?;
        let most_wronged = most_wronged(self.reactor.net());
        let sim = self.reactor.net().sim();
        let mut wronged = Vec::new();
        for (number, peer) in self.peers.iter().enumerate() {
            if let Err(e) = self.checker.verdict(peer, sim, self.abandoned) {
                wronged.push(format!("peer {number}, a client of {:?}: {e:#}", peer.kind));
            }
        }
        ensure!(wronged.len() <= most_wronged, "{}", wronged.join("\n"));
        self.figures_agree()
    }

    /// What happened.
    pub(crate) fn played(mut self) -> Played {
        let net = self.reactor.net().sim().trace();
        self.mix(&net.to_le_bytes());
        Played { trace: self.trace, happened: self.happened }
    }

    /// All peers end what they have to say; what was dialled late brings new ones.
    fn end_conversations(&mut self) {
        for peer in 0..self.peers.len() {
            if self.peers[peer].is_active() {
                self.shut_down(peer);
            }
        }
    }

    /// Ends all conversations, and turns until there is nothing left to do.
    fn settle(&mut self) -> Result<()> {
        for peer in 0..self.peers.len() {
            if !self.peers[peer].is_stuck {
                self.set_reading(peer, true);
            }
        }
        for _ in 0..TURNS {
            self.end_conversations();
            self.turn(None)?;
            let Counts { connections, dials, queued, tickets, timers, .. } = self.reactor.counts();
            let busy = connections + dials + queued + tickets + timers > 0;
            if !busy && self.reactor.net().sim().idle() {
                return Ok(());
            }
        }
        bail!("it does not come to rest: {:?}", self.reactor.counts())
    }

    /// Nothing is left of what was, but the instances that services share.
    fn at_rest(&mut self) -> Result<()> {
        let counts = self.reactor.counts();
        ensure!(counts.lives <= self.shared, "{} instances are left", counts.lives);
        let Counts { lives, services, traps, .. } = counts;
        let left = Counts { lives, services, traps, ..Counts::default() };
        ensure!(counts == left, "something is left: {counts:?}");
        self.checker.all_are_answered()?;
        let trapped = self.checker.trapped();
        ensure!(counts.traps == trapped, "{trapped} lives trapped, and {} count", counts.traps);
        let sim = self.reactor.net().sim();
        let (streams, listeners) = (sim.open_streams(), sim.open_listeners());
        ensure!((streams, listeners) == (0, 0), "{streams} and {listeners} sockets are left open");
        ensure!(sim.connecting() == 0, "{} sockets still connect", sim.connecting());
        ensure!(self.reactor.pool().pool().pending() == 0, "the pool has results that nobody took");
        Ok(())
    }

    /// What was counted for others to see is what happened.
    fn figures_agree(&mut self) -> Result<()> {
        let lives = self.reactor.counts().lives as u64;
        let mut all = Figures::default();
        for account in self.reactor.tell().services {
            all.add(&account.figures);
        }
        let sim = self.reactor.net().sim();
        let written = self.peers.iter().map(|peer| sim.written(peer.far)).sum();
        for (count, wanted) in [
            (Count::BytesReceived, self.checker.delivered()),
            (Count::BytesSent, written),
            (Count::DialledOpen, 0),
            (Count::Open, 0),
            (Count::Sandboxes, lives),
        ] {
            ensure!(all[count] == wanted, "{count:?} is {}, and not {wanted}", all[count]);
        }
        ensure!((all[Count::Memory] == 0) == (lives == 0), "{} bytes", all[Count::Memory]);
        let traps: u64 = all.traps.values().sum();
        let trapped = self.checker.trapped();
        ensure!(traps >= trapped, "{trapped} lives trapped, and {traps} count");
        Ok(())
    }

    /// Looks at what happened and at what arrived.
    fn look(&mut self) -> Result<()> {
        while let Some((far, address)) = self.reactor.net().sim().dialled() {
            let is_rude = self.asking.resets(&address);
            self.peers.push(Peer::dialled(far, address, is_rude));
        }
        for seen in self.reactor.take_seen() {
            if self.tells {
                self.tell(&seen);
            }
            self.hash(&seen);
            self.happened.insert(kind(&seen));
            let checked = self.checker.see(&seen, &mut self.peers);
            checked.with_context(|| format!("at {}", brief(&seen)))?;
        }
        let counts = self.reactor.counts();
        self.checker.within_limits(&counts, self.most)?;
        let sim = self.reactor.net().sim();
        for (number, peer) in self.peers.iter_mut().enumerate() {
            let arrived = sim.received(peer.far);
            peer.has_reset = sim.far_saw_reset(peer.far);
            let promised = self.checker.conn_of(peer).map(|conn| &*conn.promised);
            peer.take(&arrived, promised).with_context(|| format!("peer {number}"))?;
        }
        Ok(())
    }

    fn tell(&mut self, seen: &Seen) {
        let at = self.reactor.net().sim().elapsed();
        eprintln!("{at:>14?} {}", brief(seen));
    }

    fn hash(&mut self, seen: &Seen) {
        self.mix(brief(seen).as_bytes());
        if let Seen::DataReceived { data, .. } | Seen::Wrote { data, .. } = seen {
            self.mix(data);
        }
    }

    /// Adds to the trace (FNV-1a).
    fn mix(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.trace = (self.trace ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

/// More turns than any simulation takes.
const TURNS: usize = 20_000;

/// Where nothing arrives for so long, something stalls: it is beyond all delays, and beyond what
/// plugins wait for, which is 30 seconds for a connection.
const REST: Duration = Duration::from_secs(32);
