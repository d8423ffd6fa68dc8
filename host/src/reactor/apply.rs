//! Does what a plugin asked for in an event that is over. Calls no plugin.

use std::mem;
use std::time::Duration;

use super::conn::{Conn, ConnId};
use super::life::{Behind, Life};
use super::seen::Seen;
use super::{Answer, Due, Reactor};
use crate::arena::{Arena, Id};
use crate::capability::files::OpenFile;
use crate::capability::sql::{Database, Sql, Statement};
use crate::capability::{Failure, Outcome};
use crate::net::Net;
use crate::plugin::Effect;
use crate::pool::{Lane, Pool, Stopped};
use crate::transport::stream::End;

impl<N: Net, P: Pool<Answer>> Reactor<N, P> {
    /// Applies the effects that lie in the outbox, which are `life`'s.
    pub(super) fn apply(&mut self, life: Id<Life>) {
        let lent = self.lent();
        let (mut effects, bytes) = (mem::take(&mut lent.effects), mem::take(&mut lent.bytes));
        let all = mem::take(&mut lent.parts);
        for effect in effects.drain(..) {
            match effect {
                Effect::SendDatagrams { socket, data, parts } => {
                    self.send_datagrams(life, socket, &bytes[data], &all[parts]);
                }
                other => self.apply_one(life, other, &bytes),
            }
        }
        let lent = self.lent();
        (lent.effects, lent.bytes, lent.parts) = (effects, bytes, all);
        lent.clear();
    }

    fn apply_one(&mut self, life: Id<Life>, effect: Effect, bytes: &[u8]) {
        match effect {
            Effect::Abort { conn } => self.abort(life, conn),
            Effect::After { id, nanoseconds } => self.call_later(life, id, nanoseconds),
            Effect::Batch { id, statements } => {
                self.ask_sql((life, id), statements, Lane::Writes, batch);
            }
            Effect::Cancel { id } => self.cancel(life, id),
            Effect::Connect { id, endpoint } => self.ask(life, id, &bytes[endpoint], Self::dial),
            Effect::Execute { id, statement } => {
                self.ask_sql((life, id), vec![*statement], Lane::Writes, execute);
            }
            Effect::Forget { id } => self.forget(life, id),
            Effect::GiveUp { conn } => self.give_up_login(life, conn),
            Effect::Join { id, socket, membership } => {
                self.join_group(life, id, socket, membership);
            }
            Effect::KeepAlive { conn, on } => {
                self.set(life, conn, |net, stream| net.set_keep_alive(stream, on));
            }
            Effect::KeyValue { id, operation } => self.ask_keys((life, id), operation),
            Effect::Leave { socket, membership } => self.leave_group(life, socket, &membership),
            Effect::List { id, path } => self.ask(life, id, &bytes[path], Self::list),
            Effect::Listen { id, endpoint } => {
                self.ask(life, id, &bytes[endpoint], Self::listen_for);
            }
            Effect::LogIn { id, conn, question } => self.log_in((life, id), conn, *question),
            Effect::Lookup { id, name, family } => {
                self.ask(life, id, &bytes[name], |reactor, waiter, service, name| {
                    reactor.look_up_for(waiter, service, name, family);
                });
            }
            Effect::Lose { conn } => self.lose(life, conn),
            Effect::LoseSocket { socket } => self.lose_socket(life, socket),
            Effect::LoseWrite { conn } => self.lose_write(life, conn),
            Effect::NoDelay { conn, on } => {
                self.set(life, conn, |net, stream| net.set_no_delay(stream, on));
            }
            Effect::Open { id, path } => self.ask(life, id, &bytes[path], Self::open),
            Effect::Pause { conn } => self.pause(life, conn, true),
            Effect::Query { id, statement } => {
                self.ask_sql((life, id), vec![*statement], Lane::Reads, query);
            }
            Effect::Reschedule { id, nanoseconds } => self.reschedule(life, id, nanoseconds),
            Effect::Resume { conn } => self.pause(life, conn, false),
            Effect::Run { id, name, input } => {
                self.run_job((life, id), &bytes[name], &bytes[input]);
            }
            Effect::SendDatagrams { .. } => unreachable!("the caller has done it"),
            Effect::SendFile { conn, file, offset, length } => {
                self.send_file(life, conn, &file, offset, length);
            }
            Effect::SetSocket { socket, option } => self.set_socket(life, socket, option),
            Effect::StartTls { id, conn, side, alpn } => {
                self.start_tls(life, id, conn, &side, &alpn);
            }
            Effect::StopListening { listener } => self.stop_listening(life, listener),
            Effect::Write { conn, data } => self.write(life, conn, &bytes[data]),
        }
    }

    fn write(&mut self, life: Id<Life>, number: u64, data: &[u8]) {
        let id = Id::from_u64(number);
        let Some(conn) = of_life(&mut self.conns, life, id) else {
            return;
        };
        conn.stream.write(&mut self.net, data, &mut self.spares);
        conn.room = conn.room.saturating_sub(data.len());
        conn.owes_drained |= conn.room == 0;
        self.see(|| Seen::Wrote { conn: number, data: data.to_vec() });
        self.wrote(id);
    }

    fn send_file(
        &mut self,
        life: Id<Life>,
        number: u64,
        file: &OpenFile,
        offset: u64,
        length: u64,
    ) {
        // What is small is in memory, and goes out with what is around it.
        let small = file.content.as_deref();
        let part = small.and_then(|all| all.get(offset as usize..(offset + length) as usize));
        let id = Id::from_u64(number);
        let Some(conn) = of_life(&mut self.conns, life, id) else {
            return;
        };
        match part {
            Some(part) => conn.stream.write(&mut self.net, part, &mut self.spares),
            None => conn.stream.send_file(file.file.clone(), offset, length, &mut self.spares),
        }
        let size = file.metadata.size;
        self.see(|| Seen::SentFile { conn: number, size, offset, length });
        self.wrote(id);
    }

    /// Something was queued on a connection: it is flushed later, unless that is too much.
    fn wrote(&mut self, id: ConnId<N::Stream>) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        let settings = &self.services[conn.service()].settings;
        let unsent = conn.stream.unsent();
        if unsent > settings.unsent && conn.stream.ended().is_none() {
            let (name, most) = (&*settings.name, settings.unsent);
            let (peer, service) = (conn.peer(), conn.service());
            tracing::debug!(service = name, %peer, "limits.unsent: more than {most} bytes wait");
            conn.stream.end(End::Aborted("limits.unsent: the peer was too slow"));
            self.reached(service, "unsent");
            self.see(|| Seen::Aborted { conn: id.to_u64() });
        }
        self.touch(id);
    }

    fn lose(&mut self, life: Id<Life>, number: u64) {
        let id = Id::from_u64(number);
        if let Some(conn) = of_life(&mut self.conns, life, id) {
            conn.stream.lose();
            self.see(|| Seen::Lost { conn: number });
            self.touch(id);
        }
    }

    pub(super) fn abort(&mut self, life: Id<Life>, number: u64) {
        let id = Id::from_u64(number);
        if let Some(conn) = of_life(&mut self.conns, life, id) {
            conn.stream.end(End::Aborted("this side aborted the connection"));
            self.see(|| Seen::Aborted { conn: number });
            self.touch(id);
        }
    }

    fn lose_write(&mut self, life: Id<Life>, number: u64) {
        let id = Id::from_u64(number);
        if let Some(conn) = of_life(&mut self.conns, life, id) {
            conn.stream.lose_write(&mut self.spares);
            self.see(|| Seen::LostWrite { conn: number });
            self.touch(id);
        }
    }

    fn pause(&mut self, life: Id<Life>, number: u64, on: bool) {
        let id = Id::from_u64(number);
        let Some(conn) = of_life(&mut self.conns, life, id) else {
            return;
        };
        conn.paused = on;
        let may_read = conn.stream.may_read();
        self.see(|| match on {
            true => Seen::Paused { conn: number },
            false => Seen::Resumed { conn: number },
        });
        // No edge will come for what is there already.
        if !on && may_read {
            self.queue_again(id);
        }
    }

    /// Sets an option of a socket.
    fn set(
        &mut self,
        life: Id<Life>,
        number: u64,
        option: impl FnOnce(&mut N, &mut N::Stream) -> std::io::Result<()>,
    ) {
        if let Some(conn) = of_life(&mut self.conns, life, Id::from_u64(number))
            && let Err(e) = option(&mut self.net, conn.stream.io())
        {
            // It makes a connection better, and is no reason to end one.
            let name = &*self.services[conn.service()].settings.name;
            tracing::debug!(service = name, peer = %conn.peer(), "can't set an option: {e}");
        }
    }

    fn call_later(&mut self, life_id: Id<Life>, id: u64, nanoseconds: u64) {
        if self.asked(life_id, id, Behind::Timer(0)) {
            self.set_timer(life_id, id, 0, nanoseconds);
        }
    }

    fn reschedule(&mut self, life_id: Id<Life>, id: u64, nanoseconds: u64) {
        let life = self.lives.get_mut(life_id);
        let Some(behind) = life.and_then(|life| life.deferreds.behind(id)) else { return };
        if let Behind::Elapsed(moved) | Behind::Timer(moved) = *behind {
            let moved = moved.wrapping_add(1);
            *behind = Behind::Timer(moved);
            self.set_timer(life_id, id, moved, nanoseconds);
        }
    }

    fn set_timer(&mut self, life: Id<Life>, id: u64, moved: u32, nanoseconds: u64) {
        let delay = Duration::from_nanos(nanoseconds).min(FOREVER);
        let at = self.net.now() + delay;
        self.add_timer(at, Due::Fire(life, id, moved));
    }

    /// Asks what is answered by a deferred: about a path, a name, an endpoint.
    fn ask(
        &mut self,
        life_id: Id<Life>,
        id: u64,
        subject: &[u8],
        question: impl FnOnce(&mut Self, super::Waiter, usize, &str),
    ) {
        let service = self.lives.get(life_id).map(|life| life.service);
        if let (Some(service), true) = (service, self.asked(life_id, id, Behind::Answer)) {
            let subject = str::from_utf8(subject).expect("a wasm string was checked to be UTF-8");
            question(self, (life_id, id), service, subject);
        }
    }

    /// From now on `id` is waited for.
    pub(super) fn asked(&mut self, life_id: Id<Life>, id: u64, behind: Behind) -> bool {
        let Some(life) = self.lives.get_mut(life_id) else { return false };
        life.deferreds.add(id, behind);
        self.see(|| Seen::Asked { life: life_id.to_u64(), id });
        true
    }

    pub(super) fn cancel(&mut self, life_id: Id<Life>, id: u64) {
        let Some(life) = self.lives.get_mut(life_id) else { return };
        if life.deferreds.cancel(id) {
            let behind = life.deferreds.behind(id).map(|b| mem::replace(b, Behind::Answer));
            self.give_up((life_id, id), behind.as_ref());
            self.see(|| Seen::Cancelled { life: life_id.to_u64(), id });
            self.fire((life_id, id), Outcome::Failed(Failure::cancelled()));
        }
    }

    fn forget(&mut self, life_id: Id<Life>, id: u64) {
        let Some(life) = self.lives.get_mut(life_id) else { return };
        if let Some(pending) = life.deferreds.take(id) {
            life.instance.forget_deferred();
            self.give_up((life_id, id), Some(&pending.behind));
            self.see(|| Seen::Forgotten { life: life_id.to_u64(), id });
        }
    }

    /// Nobody waits for what stands behind a deferred. Dropping work tells it so.
    fn give_up(&mut self, waiter: super::Waiter, behind: Option<&Behind>) {
        match behind {
            Some(Behind::Dial) => drop(self.end_dial(waiter)),
            Some(Behind::Handshake(conn)) => self.abort(waiter.0, *conn),
            _ => {}
        }
    }
}

fn batch(of: &Database, all: &[Statement], stopped: &Stopped) -> Result<Outcome, Failure> {
    of.batch(all, stopped).map(Outcome::Batched)
}

fn execute(of: &Database, one: &[Statement], stopped: &Stopped) -> Result<Outcome, Failure> {
    of.execute(&one[0], stopped).map(Outcome::Executed)
}

fn query(of: &Database, one: &[Statement], stopped: &Stopped) -> Result<Outcome, Failure> {
    of.query(&one[0], stopped).map(Outcome::Rows)
}

/// A connection that is the life's own: a plugin acts on no other, whatever number it gives.
pub(super) fn of_life<S>(
    conns: &mut Arena<Conn<S>>,
    life: Id<Life>,
    id: ConnId<S>,
) -> Option<&mut Conn<S>> {
    conns.get_mut(id).filter(|conn| conn.life == Some(life))
}

/// A timer beyond this would overflow the clock, and nobody would notice that it doesn't fire.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
