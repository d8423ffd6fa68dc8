//! Does with datagrams what its peers say, a word first: sends to others, joins groups, connects,
//! listens, traps. What is no word comes back.
#![forbid(unsafe_code)]

use std::net::SocketAddr;

use torsade_guest::datagrams::{
    Batch, DatagramPlugin, DatagramProtocol, DatagramTransport, Membership, NoStreams, Peer,
};
use torsade_guest::endpoints;
use torsade_guest::{Deferred, Failure, NoConfig, Origin, Plugin, Reason, Transport};

struct Server;

impl Plugin for Server {
    type Config = NoConfig;
    type Protocol = NoStreams;

    fn start(_config: NoConfig) -> Result<Self, String> {
        Ok(Server)
    }

    fn build_protocol(&mut self, _: Transport<NoStreams>, _: Origin) -> Option<NoStreams> {
        None
    }
}

impl DatagramPlugin for Server {
    type DatagramProtocol = Socket;

    fn build_datagram_protocol(
        &mut self,
        transport: DatagramTransport<Socket>,
        origin: Origin,
    ) -> Option<Socket> {
        if let (Origin::Dialled(_), Some(peer)) = (origin, transport.peer_address()) {
            // Who is connected to has to hear of it first.
            if let Ok(ip) = peer.host.parse() {
                transport.write(b"hello", &Peer::from(SocketAddr::new(ip, peer.port)));
            } else {
                transport.write(b"hello", &Peer::Unix(peer.host));
            }
        }
        Some(Socket { transport, heard: 0, last: None })
    }
}

struct Socket {
    transport: DatagramTransport<Socket>,
    /// How many datagrams it has got.
    heard: u64,
    /// Who sent the last one.
    last: Option<Peer>,
}

impl DatagramProtocol for Socket {
    fn datagrams_received(&mut self, batch: Batch<'_>) {
        for (from, data) in batch.iter() {
            self.heard += 1;
            self.last = Some(from.clone());
            let text = String::from_utf8_lossy(data).into_owned();
            if let Some(answer) = self.obey(&text, from) {
                self.transport.write(answer.as_bytes(), from);
            }
        }
    }

    fn connection_refused(&mut self, peer: &Peer, why: Failure) {
        torsade_guest::info!("refused by {peer}: {}", why.code);
        if let Some(last) = &self.last {
            self.transport.write(format!("refused {peer} {}", why.code).as_bytes(), last);
        }
    }

    fn closed(&mut self, reason: Reason) {
        torsade_guest::info!("closed: {}", reason.code);
    }
}

impl Socket {
    /// Does what the text says, and answers now, or later, or not at all.
    fn obey(&self, text: &str, from: &Peer) -> Option<String> {
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        match word {
            "trap" => panic!("as it was told"),
            "heard" => Some(self.heard.to_string()),
            "where" => {
                let address = self.transport.local_address();
                Some(format!("{} {} {}", address.kind, address.host, address.port))
            }
            "to" => {
                let (to, text) = rest.split_once(' ')?;
                let to = match to.parse::<SocketAddr>() {
                    Ok(to) => Peer::from(to),
                    Err(_) => Peer::Unix(to.to_owned()),
                };
                self.transport.write(text.as_bytes(), &to);
                Some("sent".to_owned())
            }
            "broadcast" => Some(outcome(self.transport.set_broadcast(true))),
            "close" => {
                self.transport.lose_socket();
                None
            }
            "join" => self.later(from, self.transport.join(&membership(rest))),
            "leave" => {
                self.transport.leave(&membership(rest));
                Some("left".to_owned())
            }
            "connect" => self.later(from, endpoints::connect(rest)),
            "listen" => {
                let listening = endpoints::listen(rest);
                let (transport, from) = (self.transport.clone(), from.clone());
                match listening {
                    Err(failure) => Some(failure.code),
                    Ok(listening) => {
                        let told = listening.both(move |listening| {
                            let answer = match listening {
                                Err(failure) => failure.code,
                                Ok(listener) => {
                                    let port = listener.address().port.to_string();
                                    // It listens for as long as the instance lives.
                                    std::mem::forget(listener);
                                    port
                                }
                            };
                            transport.write(answer.as_bytes(), &from);
                            Ok(())
                        });
                        told.detach();
                        None
                    }
                }
            }
            _ => Some(text.to_owned()),
        }
    }

    fn later(&self, from: &Peer, asked: Result<Deferred<()>, Failure>) -> Option<String> {
        let (transport, from) = (self.transport.clone(), from.clone());
        match asked {
            Err(failure) => Some(failure.code),
            Ok(asked) => {
                let told = asked.both(move |done| {
                    transport.write(outcome(done).as_bytes(), &from);
                    Ok(())
                });
                told.detach();
                None
            }
        }
    }
}

/// `GROUP [INTERFACE [SOURCE]]`
fn membership(text: &str) -> Membership {
    let mut words = text.split(' ');
    let mut membership = Membership::of(words.next().unwrap_or_default());
    if let Some(interface) = words.next().filter(|interface| *interface != "-") {
        membership = membership.on(interface);
    }
    match words.next() {
        Some(source) => membership.from_source(source),
        None => membership,
    }
}

fn outcome(done: Result<(), Failure>) -> String {
    match done {
        Ok(()) => "ok".to_owned(),
        Err(failure) => failure.code,
    }
}

torsade_guest::export_ground!(Server);
torsade_guest::export_datagrams!(Server);
