//! A client: it keeps a connection to one peer up, and asks another, over connections of a pool,
//! for what each of its own peers sends. No service of it has to listen.
#![forbid(unsafe_code)]

use std::time::Duration;

use serde::Deserialize;
use torsade_guest::{BackOff, ConnectionPool, Deferred, Failure, Origin, Plugin, Pooled};
use torsade_guest::{PoolLimits, Protocol, Queue, ReconnectingClient, Transport, Waiting};
use torsade_guest::{code, endpoints};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Config {
    /// The peer to which a connection is kept up.
    kept: String,
    /// The peer that is asked.
    asked: String,
    /// Milliseconds.
    initial_delay: u64,
    /// Milliseconds.
    max_delay: u64,
}

struct Client {
    kept: ReconnectingClient<Transport<Line>>,
    pool: ConnectionPool<Transport<Line>>,
    asked: String,
}

/// A connection.
enum Line {
    /// One of a peer of this service.
    Front { transport: Transport<Line>, pool: ConnectionPool<Transport<Line>>, asked: String },
    /// The one that is kept up, which sends back what it gets.
    Kept(Transport<Line>),
    /// One of the pool, of one reply to each request.
    Asked { replies: Queue<Vec<u8>> },
}

impl Plugin for Client {
    type Config = Config;
    type Protocol = Line;

    fn start(config: Config) -> Result<Self, String> {
        let back_off = BackOff {
            initial_delay: Duration::from_millis(config.initial_delay),
            max_delay: Duration::from_millis(config.max_delay),
            ..BackOff::default()
        };
        let kept = config.kept;
        let client = ReconnectingClient::with_back_off(back_off, move || {
            let greet = |transport: Transport<Line>| {
                transport.write(b"hello\n");
                Line::Kept(transport)
            };
            Deferred::from(endpoints::connect_protocol(&kept, greet))
        });
        client.start_service().map_err(|failure| failure.to_string())?;
        let limits = PoolLimits { per_endpoint: 1, ..PoolLimits::default() };
        let pool = ConnectionPool::new(limits, |endpoint| {
            let asked = |_| Line::Asked { replies: Queue::bounded(1, 1) };
            Deferred::from(endpoints::connect_protocol(endpoint, asked))
        });
        Ok(Client { kept: client, pool, asked: config.asked })
    }

    fn build_protocol(&mut self, transport: Transport<Line>, origin: Origin) -> Option<Line> {
        // What is dialled has a factory of its own.
        let is_accepted = matches!(origin, Origin::Accepted(_));
        let (pool, asked) = (self.pool.clone(), self.asked.clone());
        is_accepted.then_some(Line::Front { transport, pool, asked })
    }

    fn stopping(&mut self) {
        self.kept.stop_service().detach();
        self.pool.close().detach();
    }
}

impl Protocol for Line {
    fn data_received(&mut self, data: &[u8]) -> Option<Waiting> {
        match self {
            Line::Front { transport, pool, asked } => {
                let question = ask(pool.connection(asked), data.to_vec());
                Some(transport.run(|front| async move {
                    match question.await {
                        Ok(reply) => front.write(&reply),
                        Err(failure) => front.write(format!("{}\n", failure.code).as_bytes()),
                    }
                    Ok(())
                }))
            }
            Line::Kept(transport) => {
                transport.write(data);
                None
            }
            Line::Asked { replies } => {
                // One more than was asked for is dropped.
                let _ = replies.put(data.to_vec());
                None
            }
        }
    }
}

async fn ask(
    connection: Deferred<Pooled<Transport<Line>>>,
    question: Vec<u8>,
) -> Result<Vec<u8>, Failure> {
    let connection = connection.await?;
    let replies = connection.with_protocol(|line| match line {
        Line::Asked { replies } => replies.pop(),
        _ => Err(Failure::new(code::INVALID, "another kind of connection")),
    });
    let lost = || Err(Failure::new(code::LOST, "it was lost before"));
    let reply = Deferred::from(replies.unwrap_or_else(lost)).map(Some);
    let gone = connection.when_lost().map(|()| None);
    connection.write(&question);
    let (_, reply) = Deferred::race([reply, gone]).await?;
    let reply = reply.ok_or_else(|| Failure::new(code::LOST, "it was lost"))?;
    connection.put_back();
    Ok(reply)
}

torsade_guest::export!(Client);
