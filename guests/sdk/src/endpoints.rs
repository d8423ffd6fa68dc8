//! Connections and listeners that a plugin asks for, by Twisted's endpoint strings.

use std::cell::Cell;
use std::rc::Rc;

use crate::bindings::torsade::plugin::{client_endpoints, server_endpoints};
use crate::deferred::Deferred;
use crate::factories;
use crate::protocol::Protocol;
use crate::testing::Question;
use crate::transport::Transport;
use crate::types::{Address, Failure, code};

/// Connects to an endpoint: `tcp:HOST:PORT`, with `timeout=SECONDS` (30) and `bindAddress=IP`,
/// `tls:HOST:PORT` with these and `name=NAME` and `alpn=A,B`, or `unix:PATH`. A plugin that calls it
/// needs the grant `connect`, which names targets. Over TLS the server's certificate and its name
/// are always checked, and the protocol is built once the handshake is over.
///
/// On success [`Plugin::build_protocol`](crate::Plugin::build_protocol) is called with
/// [`Origin::Dialled`](crate::Origin::Dialled) and the number of this deferred
/// ([`Deferred::number`]), and then the deferred fires. Cancelling or dropping it gives up what is
/// under way.
///
/// The deferred fails with [`INVALID`](crate::code::INVALID), [`DENIED`](crate::code::DENIED),
/// [`NOT_FOUND`](crate::code::NOT_FOUND), [`REFUSED`](crate::code::REFUSED),
/// [`TIMED_OUT`](crate::code::TIMED_OUT), [`UNREACHABLE`](crate::code::UNREACHABLE),
/// [`TLS`](crate::code::TLS), [`LIMIT`](crate::code::LIMIT) or [`IO`](crate::code::IO).
///
/// ```no_run
/// use torsade_guest::{NoConfig, Origin, Plugin, Protocol, Transport, Waiting, endpoints, warn};
///
/// /// Greets the peer that it connects to, and hears what those say who connect to it.
/// struct Greeter;
///
/// struct Peer;
///
/// impl Plugin for Greeter {
///     type Config = NoConfig;
///     type Protocol = Peer;
///
///     fn start(_: NoConfig) -> Result<Self, String> {
///         let connected = endpoints::connect("tcp:10.0.0.7:80:timeout=5");
///         let connected = connected.map_err(|failure| failure.to_string())?;
///         connected.catch(|failure| Ok(warn!("{failure}"))).detach();
///         Ok(Greeter)
///     }
///
///     fn build_protocol(&mut self, transport: Transport<Peer>, origin: Origin) -> Option<Peer> {
///         if let Origin::Dialled(_) = origin {
///             transport.write(b"hello");
///         }
///         Some(Peer)
///     }
/// }
///
/// impl Protocol for Peer {
///     fn data_received(&mut self, data: &[u8]) -> Option<Waiting> {
///         torsade_guest::info!("{} bytes", data.len());
///         None
///     }
/// }
/// ```
///
/// # Errors
/// [`LIMIT`](crate::code::LIMIT) where the service's `deferreds` are all in flight.
pub fn connect(endpoint: &str) -> Result<Deferred<()>, Failure> {
    let question = || Question::Connect(endpoint.to_owned());
    let host = || client_endpoints::connect(endpoint);
    Deferred::ask(question, host, client_endpoints::connected)
}

/// Connects to an endpoint, as [`connect`] does, and has a factory build the protocol of that one
/// connection in the stead of [`Plugin::build_protocol`](crate::Plugin::build_protocol): Twisted's
/// `endpoint.connect(factory)`. The deferred fires with the connection's transport, by which
/// [`Transport::with_protocol`] reaches the protocol.
///
/// All protocols of a plugin are of one type, an enum where there are several. A factory of any
/// other type builds nothing: that is logged, and the deferred fails
/// [`REFUSED`](crate::code::REFUSED). The factory is dropped uncalled where the connection can't be
/// made, or is given up.
///
/// ```no_run
/// use torsade_guest::{Deferred, Protocol, Transport, Waiting, endpoints};
///
/// enum Either {
///     /// A connection that arrived: what it sends goes to the other one.
///     Front(Transport<Either>),
///     /// The one that was made for it: what it sends goes back.
///     Back { front: Transport<Either> },
/// }
///
/// impl Protocol for Either {
///     fn data_received(&mut self, data: &[u8]) -> Option<Waiting> {
///         let Either::Front(front) = self else {
///             let Either::Back { front } = self else { return None };
///             front.write(data);
///             return None;
///         };
///         let (front, data) = (front.clone(), data.to_vec());
///         let back = endpoints::connect_protocol("tcp:10.0.0.7:80", |_| Either::Back { front });
///         Some(Deferred::from(back).map(move |back| back.write(&data)).into())
///     }
/// }
/// ```
///
/// # Errors
/// [`LIMIT`](crate::code::LIMIT) where the service's `deferreds` are all in flight.
#[track_caller]
pub fn connect_protocol<P: Protocol>(
    endpoint: &str,
    factory: impl FnOnce(Transport<P>) -> P + 'static,
) -> Result<Deferred<Transport<P>>, Failure> {
    let asked = connect(endpoint)?;
    let no_protocol = || Failure::new(code::REFUSED, "no protocol was built");
    // One that has failed already, as a test's may, has no number.
    let Some(id) = asked.number() else { return Ok(asked.then(move |()| Err(no_protocol()))) };
    let built = Rc::new(Cell::new(None));
    let transport_of = Rc::clone(&built);
    let place = factories::insert(id, move |transport: Transport<P>| {
        transport_of.set(Some(transport.clone()));
        factory(transport)
    });
    Ok(asked.both(move |connected| {
        drop(place);
        connected.and_then(|()| built.take().ok_or_else(no_protocol))
    }))
}

/// Listens on an endpoint at run time, as FTP's passive mode does: `tcp:PORT:interface=IP`, `tls:`
/// the same with the service's certificates, `unix:PATH`; for port 0 the host picks one of the granted ports. A plugin that calls it needs
/// the grant `listen`, which names ranges.
///
/// For each connection [`Plugin::build_protocol`](crate::Plugin::build_protocol) is called with
/// [`Origin::Arrived`](crate::Origin::Arrived) and the number of this deferred.
///
/// The deferred fails with [`INVALID`](crate::code::INVALID), [`DENIED`](crate::code::DENIED),
/// [`IN_USE`](crate::code::IN_USE), [`LIMIT`](crate::code::LIMIT) or [`IO`](crate::code::IO).
///
/// ```no_run
/// use torsade_guest::{Failure, endpoints, endpoints::Listener};
///
/// /// What FTP answers to `PASV`. The listener goes with the session that keeps it.
/// async fn passive() -> Result<(Listener, String), Failure> {
///     let listener = endpoints::listen("tcp:0:interface=127.0.0.1")?.await?;
///     let port = listener.address().port;
///     let answer = format!("227 Entering Passive Mode (127,0,0,1,{},{})", port >> 8, port & 255);
///     Ok((listener, answer))
/// }
/// ```
///
/// # Errors
/// [`LIMIT`](crate::code::LIMIT) where the service's `deferreds` are all in flight.
pub fn listen(endpoint: &str) -> Result<Deferred<Listener>, Failure> {
    let question = || Question::Listen(endpoint.to_owned());
    Deferred::ask(
        question,
        || server_endpoints::listen(endpoint),
        |outcome| server_endpoints::listening(outcome).map(Listener),
    )
}

/// A bound endpoint. Dropping it stops listening; connections that were accepted go on.
#[derive(Debug)]
pub struct Listener(server_endpoints::Listener);

impl Listener {
    /// Where it listens, with the port that was bound.
    pub fn address(&self) -> Address {
        self.0.address()
    }
}
