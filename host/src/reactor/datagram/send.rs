//! What plugins send, and to whom they may.

use std::mem;

use super::of_life;
use super::peer::address_of;
use crate::arena::Id;
use crate::figures::Count;
use crate::grants::Verdict;
use crate::net::Net;
use crate::net::datagram::Part;
use crate::plugin;
use crate::pool::Pool;
use crate::reactor::granted::WOULD;
use crate::reactor::life::Life;
use crate::reactor::seen::Seen;
use crate::reactor::service::Service;
use crate::reactor::{Answer, Reactor};

impl<N: Net, P: Pool<Answer>> Reactor<N, P> {
    /// Sends what a plugin wants sent, as far as it may and the system takes it.
    pub(in crate::reactor) fn send_datagrams(
        &mut self,
        life: Id<Life>,
        id: u64,
        data: &[u8],
        parts: &[plugin::Part],
    ) {
        let Some(socket) = of_life(&mut self.sockets.all, life, id) else { return };
        let Service { settings, account, denied: dropped, dry_runs, .. } =
            &mut self.services[socket.service];
        let grants = &*settings.grants;
        let going = &mut self.sockets.going;
        let (mut denied, mut denials) = (None, 0);
        for part in parts {
            let mut peer = address_of(&part.peer);
            // They often go in bursts.
            let allowed = match (&socket.peer, going.last()) {
                (Some(one), _) => *one == peer,
                (None, Some(last)) if last.peer == peer => peer != Part::nobody(),
                (None, _) if socket.correspondents.know(&peer) => true,
                (None, _) => match grants.send(&peer) {
                    Verdict::Granted(None) => true,
                    Verdict::Granted(Some(opened)) => {
                        peer = opened;
                        true
                    }
                    Verdict::DryRun(opened, wish) => {
                        dry_runs.tell((&settings.name, grants), &wish, WOULD, self.told);
                        peer = opened.unwrap_or(peer);
                        true
                    }
                    Verdict::Refused(_) => false,
                },
            };
            if !allowed {
                denied = Some(mem::replace(&mut peer, Part::nobody()));
                denials += 1;
            }
            going.push(Part { peer, length: part.length as usize });
        }
        if let Some(peer) = denied
            && let Some(count) = dropped.happened(denials, self.told)
        {
            let name = &*settings.name;
            tracing::warn!(
                service = name,
                "a datagram to {peer} is dropped: grants.connect does not cover it, and it is none of \
                 the last correspondents; {count} were dropped so"
            );
        }
        let to_somebody = going.iter().filter(|part| part.peer != Part::nobody());
        let (count, bytes) =
            to_somebody.fold((0, 0), |(count, bytes), part| (count + 1, bytes + part.length));
        let taken = self.net.send(&mut socket.io, data, going);
        let lost = usize::saturating_sub(count, taken) as u64;
        self.sockets.dropped += lost;
        let figures = &mut self.accounts[*account].figures;
        figures[Count::DatagramsDropped] += lost;
        figures[Count::DatagramsSent] += taken as u64;
        figures[Count::BytesSent] += bytes as u64;
        if let Some(seen) = &mut self.seen {
            let mut rest = data;
            let datagrams = going.iter().map(|part| {
                let (one, behind) = rest.split_at(part.length);
                rest = behind;
                (part.peer.clone(), one.to_vec())
            });
            let datagrams = datagrams.filter(|(to, _)| *to != Part::nobody()).collect();
            seen.push(Seen::DatagramsSent { socket: id, datagrams });
        }
        going.clear();
    }
}
