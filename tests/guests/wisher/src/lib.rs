//! Asks the host for all that a service can grant: a line a wish, `VERB WORDS`, each answered by a
//! line, `ok VALUE` or `CODE MESSAGE`. [`Wisher::wish`] lists the verbs.
//!
//! Datagrams are sent, and groups joined, by the last socket that it listens on.
#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::net::SocketAddr;

use torsade_guest::datagrams::{
    Batch, DatagramPlugin, DatagramProtocol, DatagramTransport, Membership, Peer,
};
use torsade_guest::endpoints::{self, Listener};
use torsade_guest::jobs::{self, Jobs};
use torsade_guest::resolver::{self, Family};
use torsade_guest::sql::{self, Statement};
use torsade_guest::{
    Deferred, Failure, NoConfig, Origin, Plugin, Protocol, Transport, Waiting, code, credentials,
    files, key_value, services,
};

struct Server;

thread_local! {
    /// They listen for as long as the instance lives.
    static LISTENERS: RefCell<Vec<Listener>> = RefCell::default();
    static SOCKET: RefCell<Option<DatagramTransport<Socket>>> = RefCell::default();
}

impl Plugin for Server {
    type Config = NoConfig;
    type Protocol = Wisher;

    fn start(_config: NoConfig) -> Result<Self, String> {
        Ok(Server)
    }

    fn build_protocol(&mut self, transport: Transport<Wisher>, origin: Origin) -> Option<Wisher> {
        let obeys = matches!(origin, Origin::Accepted(_));
        Some(Wisher { transport, obeys, line: Vec::new(), asked: Vec::new() })
    }
}

impl DatagramPlugin for Server {
    type DatagramProtocol = Socket;

    fn build_datagram_protocol(
        &mut self,
        transport: DatagramTransport<Socket>,
        origin: Origin,
    ) -> Option<Socket> {
        if let Origin::Arrived(_) = origin {
            SOCKET.set(Some(transport));
        }
        Some(Socket)
    }
}

struct Socket;

impl DatagramProtocol for Socket {
    fn datagrams_received(&mut self, _batch: Batch<'_>) {}
}

/// One connection.
struct Wisher {
    transport: Transport<Self>,
    /// Whether what it gets are wishes.
    obeys: bool,
    /// A line that has not ended.
    line: Vec<u8>,
    asked: Vec<Waiting>,
}

impl Protocol for Wisher {
    fn data_received(&mut self, data: &[u8]) -> Option<Waiting> {
        self.line.extend_from_slice(data);
        while self.obeys
            && let Some(end) = self.line.iter().position(|byte| *byte == b'\n')
        {
            let line: Vec<u8> = self.line.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line[..end]).into_owned();
            let (verb, words) = line.split_once(' ').unwrap_or((&line, ""));
            match self.wish(verb, words) {
                Ok(answer) => self.asked.push(answer.call_on(&self.transport, Self::answered)),
                Err(failure) => drop(self.answered(Err(failure))),
            }
        }
        None
    }
}

impl Wisher {
    fn wish(&self, verb: &str, words: &str) -> Result<Deferred<String>, Failure> {
        Ok(match verb {
            "connect" => endpoints::connect(words)?.map(|()| String::new()),
            "get" => key_value::get(words.as_bytes())?.map(|value| format!("{}", value.is_some())),
            "join" => {
                let joined = socket()?.join(&Membership::of(words))?;
                joined.map(|()| String::new())
            }
            "list" => files::list(words)?.map(|entries| entries.len().to_string()),
            "listen" => endpoints::listen(words)?.map(|listener| {
                let address = listener.address();
                LISTENERS.with_borrow_mut(|listeners| listeners.push(listener));
                format!("{} {}", address.host, address.port)
            }),
            "lookup" => resolver::lookup(words, Family::Any)?.map(|all| all.len().to_string()),
            "open" => files::open(words)?.map(|file| file.metadata().size.to_string()),
            "query" => {
                let rows = sql::query(&Statement::new(words))?;
                rows.map(|rows| rows.rows.len().to_string())
            }
            "run" => {
                let output = jobs::run(words, b"")?;
                output.map(|output| String::from_utf8_lossy(&output).into_owned())
            }
            // ADDRESS TEXT
            "send" => {
                let (to, text) = words.split_once(' ').unwrap_or((words, ""));
                let to = match to.parse::<SocketAddr>() {
                    Ok(to) => Peer::from(to),
                    Err(_) => Peer::Unix(to.to_owned()),
                };
                socket()?.write(text.as_bytes(), &to);
                Deferred::succeed(String::new())
            }
            "services" => {
                let names = services::all().into_iter().map(|service| service.name);
                Deferred::succeed(names.collect::<Vec<_>>().join(" "))
            }
            // NAME PASSWORD
            "verify" => {
                let (name, password) = words.split_once(' ').unwrap_or((words, ""));
                credentials::verify(&self.transport, name, password.as_bytes())?
            }
            _ => return Err(Failure::new(code::UNSUPPORTED, "there is no such verb")),
        })
    }

    fn answered(&mut self, answer: Result<String, Failure>) -> Option<Waiting> {
        let line = match answer {
            Ok(value) => format!("ok {value}"),
            Err(Failure { code, message }) => format!("{code} {message}"),
        };
        // A message of several lines would be taken for several answers.
        self.transport.write(format!("{}\n", line.trim_end().replace('\n', " ")).as_bytes());
        None
    }
}

fn socket() -> Result<DatagramTransport<Socket>, Failure> {
    let none = || Failure::new(code::UNSUPPORTED, "it listens on no socket for datagrams");
    SOCKET.with_borrow(Clone::clone).ok_or_else(none)
}

struct Work;

impl Jobs for Work {
    fn run(_config: &str, name: &str, _input: Vec<u8>) -> Result<Vec<u8>, Failure> {
        Ok(name.as_bytes().to_vec())
    }
}

torsade_guest::export!(Server);
torsade_guest::export_datagrams!(Server);
torsade_guest::export_jobs!(Work);
