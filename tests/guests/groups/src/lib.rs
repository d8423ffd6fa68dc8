//! A member of a group of IP multicast: sends back what it gets, tells the log, and does what three
//! words ask for.
//!
//! `tell TEXT` sends the text to the group, at the port beside it in the configuration; `leave`
//! leaves the group, and `join` joins it again.
#![forbid(unsafe_code)]

use std::net::SocketAddr;
use std::rc::Rc;

use serde::Deserialize;
use torsade_guest::datagrams::{
    Batch, DatagramPlugin, DatagramProtocol, DatagramTransport, Membership, NoStreams, Peer,
};
use torsade_guest::{Deferred, Failure, Origin, Plugin, Transport, info, warn};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The group, and the port to which it is told something.
    group: SocketAddr,
    interface: String,
    source: Option<String>,
}

struct Server {
    config: Rc<Config>,
}

impl Plugin for Server {
    type Config = Config;
    type Protocol = NoStreams;

    fn start(config: Config) -> Result<Self, String> {
        Ok(Server { config: Rc::new(config) })
    }

    fn build_protocol(&mut self, _: Transport<NoStreams>, _: Origin) -> Option<NoStreams> {
        None
    }
}

impl DatagramPlugin for Server {
    type DatagramProtocol = Member;

    fn build_datagram_protocol(
        &mut self,
        transport: DatagramTransport<Member>,
        _: Origin,
    ) -> Option<Member> {
        let member = Member { transport, config: Rc::clone(&self.config) };
        if let Err(failure) = member.transport.set_multicast_interface(&self.config.interface) {
            warn!("{failure}");
        }
        member.join();
        Some(member)
    }
}

struct Member {
    transport: DatagramTransport<Member>,
    config: Rc<Config>,
}

impl Member {
    fn membership(&self) -> Membership {
        let Config { group, interface, source } = &*self.config;
        let group = group.ip().to_string();
        Membership { group, interface: Some(interface.clone()), source: source.clone() }
    }

    fn join(&self) {
        let joined = Deferred::from(self.transport.join(&self.membership()));
        let told = joined.map(|()| info!("joined"));
        let told = told.catch(|failure| {
            warn!("not joined: {failure}");
            Ok(())
        });
        told.detach();
    }
}

impl DatagramProtocol for Member {
    fn datagrams_received(&mut self, batch: Batch<'_>) {
        for (peer, datagram) in batch {
            let text = String::from_utf8_lossy(datagram);
            let text = text.trim_end();
            info!("{text:?} from {peer}");
            match text.split_once(' ').unwrap_or((text, "")) {
                ("tell", what) => {
                    self.transport.write(what.as_bytes(), &Peer::from(self.config.group));
                }
                ("leave", _) => self.transport.leave(&self.membership()),
                ("join", _) => self.join(),
                _ => {}
            }
        }
        self.transport.send(batch);
    }

    fn connection_refused(&mut self, peer: &Peer, why: Failure) {
        info!("{peer} refused: {why}");
    }
}

torsade_guest::export_ground!(Server);
torsade_guest::export_datagrams!(Server);
