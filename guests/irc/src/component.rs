//! Joins the server to the host: its connections, its clock, its users and its database.
//!
//! All clients are in one [`Server`], so what one of them sends is written to many transports in one
//! event.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use torsade_guest::credentials::{self, Progress};
use torsade_guest::timers::{self, DelayedCall};
use torsade_guest::tls::Side;
use torsade_guest::{
    Deferred, Failure, Origin, Plugin, Protocol, Reason, Transport, Waiting, clock, code, error,
    info, random, sql,
};

use crate::keeper::{Keeper, Step};
use crate::{Action, Answer, Client, Config, Now, Peer, Question, Server, store};

/// An instance: one server.
struct Irc {
    shared: Rc<RefCell<Shared>>,
}

/// What the connections of the server share.
struct Shared {
    server: Server,
    /// By the clients' indices.
    links: Vec<Option<Link>>,
    keeper: Keeper,
    /// Comes when the server is due, or before.
    alarm: Option<DelayedCall>,
    /// Whether the next turn goes on with what was too much for one event.
    is_going_on: bool,
}

/// Actions that are done in one event. Each is an effect, of which the host takes 10,000 where its
/// limit isn't set otherwise (`limits.effects`).
const ACTIONS_AN_EVENT: usize = 4_000;

/// Bytes that are sent in one event. The host takes 4 MiB (`limits.outbox`), of which the messages of
/// one transaction take their part.
const BYTES_AN_EVENT: usize = 2 * 1024 * 1024;

/// A client's connection.
struct Link {
    client: Client,
    transport: Transport<Guest>,
    /// The transport has room for so many bytes at least.
    room: u64,
}

impl Plugin for Irc {
    const SHARED_STATE: bool = true;

    type Config = Config;
    type Protocol = Guest;

    fn start(config: Config) -> Result<Self, String> {
        config.check()?;
        let keeper = Keeper::new(&config);
        let server = Server::new(config, random::number(), now());
        let shared = Shared { server, links: Vec::new(), keeper, alarm: None, is_going_on: false };
        Ok(Irc { shared: Rc::new(RefCell::new(shared)) })
    }

    fn ready(&mut self) -> Option<Waiting> {
        if !self.shared.borrow().keeper.keeps() {
            return None;
        }
        let made = Deferred::from(sql::query(&store::version())).then(|version| {
            if store::is_made(&version) {
                return Deferred::succeed(());
            }
            Deferred::from(sql::batch(&store::schema())).map(drop)
        });
        // Without a history the server serves all the same.
        let made = made.catch(|failure| {
            error!("the schema of the history can't be made: {failure}");
            Ok(())
        });
        Some(made.into())
    }

    fn build_protocol(&mut self, transport: Transport<Guest>, _: Origin) -> Option<Guest> {
        let peer = peer(&transport);
        let client = {
            let shared = &mut *self.shared.borrow_mut();
            let client = shared.server.connected(peer, now());
            if shared.links.len() <= client.index() {
                shared.links.resize_with(client.index() + 1, || None);
            }
            shared.links[client.index()] = Some(Link { client, transport, room: 0 });
            client
        };
        drive(&self.shared);
        Some(Guest { client, shared: Rc::clone(&self.shared) })
    }

    fn stopping(&mut self) {
        self.shared.borrow_mut().server.stopping(now());
        drive(&self.shared);
    }
}

/// What a transport tells of its peer.
fn peer(transport: &Transport<Guest>) -> Peer {
    let address = transport.peer_address();
    let session = transport.tls().ok();
    let certificate = session.as_ref().and_then(|session| {
        let mut certificates = session.peer_certificates().into_iter();
        certificates.next()
    });
    let fingerprint = certificate.map(|certificate| {
        certificate.fingerprint().iter().map(|byte| format!("{byte:02x}")).collect()
    });
    let is_network = address.kind == "tcp";
    Peer {
        host: if is_network { address.host } else { "localhost".into() },
        is_secure: session.is_some(),
        local: !is_network,
        fingerprint,
        mechanisms: credentials::mechanisms(transport),
    }
}

fn now() -> Now {
    let moment = clock::now();
    let milliseconds = u64::try_from(moment.seconds).unwrap_or(0).saturating_mul(1_000);
    Now {
        monotonic: clock::nanoseconds(),
        unix: milliseconds.saturating_add(u64::from(moment.nanoseconds) / 1_000_000),
    }
}

/// One client's protocol.
struct Guest {
    client: Client,
    shared: Rc<RefCell<Shared>>,
}

impl Guest {
    /// Runs an event of the server, and does what it says.
    fn event(&self, event: impl FnOnce(&mut Server, Client, Now)) {
        event(&mut self.shared.borrow_mut().server, self.client, now());
        drive(&self.shared);
    }
}

impl Protocol for Guest {
    fn data_received(&mut self, data: &[u8]) -> Option<Waiting> {
        self.event(|server, client, now| server.received(client, data, now));
        None
    }

    fn write_drained(&mut self) {
        self.event(Server::drained);
    }

    fn handshake_completed(&mut self, transport: &Transport<Self>) {
        let peer = peer(transport);
        self.event(|server, client, now| server.secured(client, peer, now));
    }

    fn connection_lost(&mut self, reason: Reason) {
        let why = match &*reason.code {
            code::ABORTED | code::CLOSED | code::DONE => "Connection closed",
            code::LOST => "Connection reset by peer",
            code::STOPPED => "Server is stopping",
            code::TIMED_OUT => "Connection timed out",
            code::TLS | code::TRUNCATED => "TLS failed",
            _ => "Connection lost",
        };
        self.event(|server, client, now| server.lost(client, why, now));
        self.shared.borrow_mut().unlink(self.client);
    }
}

impl Shared {
    fn link(&mut self, client: Client) -> Option<&mut Link> {
        let link = self.links.get_mut(client.index())?.as_mut()?;
        (link.client == client).then_some(link)
    }

    /// Takes a client's connection out, where it has one.
    fn unlink(&mut self, client: Client) -> Option<Transport<Guest>> {
        self.link(client)?;
        Some(self.links[client.index()].take()?.transport)
    }

    /// Sends some of the server's bytes to a client, and tells the server when that is all it takes.
    fn send(&mut self, to: Client, bytes: std::ops::Range<usize>) {
        let Some(Some(link)) = self.links.get_mut(to.index()) else { return };
        if link.client != to {
            return;
        }
        link.room = link.room.saturating_sub(bytes.len() as u64);
        link.transport.write(self.server.bytes(bytes));
        if link.room == 0 {
            link.room = link.transport.room();
            if link.room == 0 {
                self.server.full(to);
            }
        }
    }
}

/// Does what the server says, until it has nothing more to say, or this was enough for one event:
/// then it goes on in the next.
fn drive(shared: &Rc<RefCell<Shared>>) {
    let it = &mut *shared.borrow_mut();
    let (mut left, mut bytes_left) = (ACTIONS_AN_EVENT, BYTES_AN_EVENT);
    while let Some(action) = it.server.next_action() {
        match action {
            Action::Abort { of } => {
                if let Some(transport) = it.unlink(of) {
                    transport.abort_connection();
                }
            }
            Action::Ask { question, of, what } => ask(shared, it, question, of, *what),
            Action::Close { of } => {
                if let Some(transport) = it.unlink(of) {
                    transport.lose_connection();
                }
            }
            Action::Log(line) => info!("{line}"),
            Action::Pause { of } => {
                if let Some(link) = it.link(of) {
                    link.transport.pause_producing();
                }
            }
            Action::Resume { of } => {
                if let Some(link) = it.link(of) {
                    link.transport.resume_producing();
                }
            }
            Action::Send { to, bytes } => {
                bytes_left = bytes_left.saturating_sub(bytes.len());
                it.send(to, bytes);
            }
            Action::StartTls { of } => start_tls(it, of),
        }
        left -= 1;
        if left == 0 || bytes_left == 0 {
            go_on(shared, it);
            break;
        }
    }
    watch(shared, it);
}

/// Sees to it that the rest is done in the reactor's next turn.
fn go_on(shared: &Rc<RefCell<Shared>>, it: &mut Shared) {
    if it.is_going_on {
        return;
    }
    let owner = Rc::downgrade(shared);
    let turn = timers::after(Duration::ZERO).map(|turn| {
        let turn = turn.map(move |()| {
            if let Some(shared) = owner.upgrade() {
                shared.borrow_mut().is_going_on = false;
                drive(&shared);
            }
        });
        turn.detach();
    });
    // Without a timer the next event goes on.
    it.is_going_on = turn.is_ok();
}

/// Begins TLS. What came in clear the server has forgotten; `handshake_completed` follows, or the
/// connection ends.
fn start_tls(it: &mut Shared, of: Client) {
    let Some(link) = it.link(of) else { return };
    match link.transport.start_tls(&Side::Server, &[], &mut ()) {
        Ok(begun) => begun.catch(|_| Ok(())).detach(),
        Err(failure) => {
            error!("STARTTLS: {failure}");
            link.transport.abort_connection();
        }
    }
}

/// Sees to it that the server is called when it is due.
fn watch(shared: &Rc<RefCell<Shared>>, it: &mut Shared) {
    let Some(due) = it.server.deadline().map(Duration::from_nanos) else { return };
    let delay = due.saturating_sub(clock::monotonic());
    match &it.alarm {
        // One that comes too early is set again then.
        Some(alarm) if alarm.is_active() && alarm.time() <= due => return,
        Some(alarm) if alarm.is_active() && alarm.reset(delay).is_ok() => return,
        _ => {}
    }
    let owner = Rc::downgrade(shared);
    let alarm = timers::call_later(delay, move || {
        if let Some(shared) = owner.upgrade() {
            shared.borrow_mut().server.due(now());
            drive(&shared);
        }
    });
    // Without a timer this one is tried again with the next event.
    it.alarm = alarm.ok();
}

/// Has a question answered: by the host, at once or later.
fn ask(
    shared: &Rc<RefCell<Shared>>,
    it: &mut Shared,
    question: u64,
    of: Option<Client>,
    what: Question,
) {
    let transport = of.and_then(|of| it.link(of)).map(|link| link.transport.clone());
    let asked = match (what, &transport) {
        (Question::Authenticate { mechanism, initial }, Some(transport)) => {
            let step = credentials::authenticate(transport, &mechanism, initial.as_deref());
            step.map(|step| step.map(progress))
        }
        (Question::Respond { data }, Some(transport)) => {
            credentials::respond(transport, &data).map(|step| step.map(progress))
        }
        (Question::GiveUp, Some(transport)) => return credentials::give_up(transport),
        (Question::Verify { name, password }, Some(transport)) => {
            let verified = credentials::verify(transport, &name, &password);
            verified.map(|name| name.map(|name| Answer::Identity { name, data: None }))
        }
        (what @ (Question::Keep(_) | Question::History { .. } | Question::Targets { .. }), _) => {
            it.keeper.take(question, what);
            return keep_on(shared, it);
        }
        // Who asked has gone.
        (_, None) => return,
    };
    answer(shared, it, question, asked);
}

fn progress(progress: Progress) -> Answer {
    match progress {
        Progress::Challenge(data) => Answer::Challenge(data),
        Progress::Success(success) => {
            Answer::Identity { name: success.identity, data: success.data }
        }
    }
}

/// Tells the server what a question comes to: at once where it can't be asked, else once it is
/// answered.
fn answer(
    shared: &Rc<RefCell<Shared>>,
    it: &mut Shared,
    question: u64,
    asked: Result<Deferred<Answer>, Failure>,
) {
    let asked = match asked {
        Ok(asked) => asked,
        Err(failure) => return it.server.answered(question, refused(failure), now()),
    };
    let shared = Rc::downgrade(shared);
    let answered = asked.both(move |result| {
        let answer = result.unwrap_or_else(refused);
        if let Some(shared) = shared.upgrade() {
            shared.borrow_mut().server.answered(question, answer, now());
            drive(&shared);
        }
        Ok(())
    });
    answered.detach();
}

fn refused(failure: Failure) -> Answer {
    Answer::Refused { code: failure.code, message: failure.message }
}

/// Goes on with what the keeper has to do, in order.
fn keep_on(shared: &Rc<RefCell<Shared>>, it: &mut Shared) {
    while let Some(step) = it.keeper.next_step() {
        match step {
            Step::Ask { question, statement, read } => {
                let asked = sql::query(&statement);
                answer(shared, it, question, asked.map(|rows| rows.then(read)));
            }
            Step::Keep(statements) => match sql::batch(&statements) {
                Ok(kept) => return when_kept(shared, kept),
                Err(failure) => {
                    error!("messages are not kept: {failure}");
                    it.keeper.kept();
                }
            },
        }
    }
}

/// Goes on once messages are on the disk, or are not kept.
fn when_kept(shared: &Rc<RefCell<Shared>>, kept: Deferred<Vec<sql::Execution>>) {
    let shared = Rc::downgrade(shared);
    let done = kept.both(move |result| {
        if let Err(failure) = result {
            error!("messages are not kept: {failure}");
        }
        if let Some(shared) = shared.upgrade() {
            {
                let it = &mut *shared.borrow_mut();
                it.keeper.kept();
                keep_on(&shared, it);
            }
            drive(&shared);
        }
        Ok(())
    });
    done.detach();
}

// Without users it serves those who need not prove who they are.
torsade_guest::export!(
    Irc,
    serves = ["irc"],
    optional = ["credentials"],
    schema = include_str!("../config.schema.json"),
);
