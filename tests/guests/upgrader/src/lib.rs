//! A plugin that begins TLS in mid-stream, on either side, for the tests.
//!
//! It answers lines, and says with each whether it came encrypted. `STARTTLS` begins TLS as the
//! server, `DIAL ENDPOINT NAME` connects to a server of the same kind and begins it there as the
//! client of NAME, `TLS` asks what the handshake came to. On its second endpoint it begins TLS at
//! once, and refuses the connection.
#![forbid(unsafe_code)]

use torsade_guest::tls::Side;
use torsade_guest::{
    Deferred, Failure, Line, LineReceiver, NoConfig, Origin, Plugin, Protocol, Reason, Transport,
    Waiting, endpoints,
};

struct Upgrader;

impl Plugin for Upgrader {
    type Config = NoConfig;
    type Protocol = Session;

    fn start(_: NoConfig) -> Result<Self, String> {
        Ok(Upgrader)
    }

    fn build_protocol(&mut self, transport: Transport<Session>, origin: Origin) -> Option<Session> {
        if let Origin::Accepted(1) = origin {
            Deferred::from(transport.start_tls(&Side::Server, &[], &mut ()))
                .map(|()| torsade_guest::info!("refused, and encrypted"))
                .catch(|failure| {
                    torsade_guest::info!("refused: {}", failure.code);
                    Ok(())
                })
                .detach();
            transport.write(b"go away\r\n");
            return None;
        }
        transport.write(b"220 hello\r\n");
        Some(Session::new(transport, None))
    }
}

struct Session {
    transport: Transport<Session>,
    lines: LineReceiver,
    /// Of a connection that was dialled: who asked for it, and for which server.
    front: Option<(Transport<Session>, String)>,
    handshakes: usize,
}

impl Session {
    fn new(transport: Transport<Session>, front: Option<(Transport<Session>, String)>) -> Self {
        Session { transport, lines: LineReceiver::new(1000), front, handshakes: 0 }
    }

    /// Begins TLS: what is behind the line that asked for it came in clear.
    fn start_tls(&mut self, side: &Side, alpn: &[&str]) {
        let transport = self.transport.clone();
        let front = self.front.as_ref().map_or(&self.transport, |(front, _)| front).clone();
        let secured = Deferred::from(transport.start_tls(side, alpn, &mut self.lines));
        secured
            .map(move |()| transport.write(b"EHLO\r\n"))
            .catch(move |failure| {
                tell(&front, &format!("failed {}", failure.code));
                Ok(())
            })
            .detach();
        // It waits behind the barrier, and so is encrypted.
        self.transport.write(b"behind the barrier\r\n");
    }

    fn on_front(&mut self, line: &str) {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["STARTTLS", ref alpn @ ..] => {
                self.transport.write(b"220 go ahead\r\n");
                self.start_tls(&Side::Server, alpn);
            }
            ["DIAL", endpoint, name] => self.dial(endpoint, name),
            ["TLS"] => tell(&self.transport, &self.agreed()),
            _ => tell(&self.transport, &format!("{}: {line}", self.how())),
        }
    }

    fn dial(&self, endpoint: &str, name: &str) {
        let (front, name) = (self.transport.clone(), name.to_owned());
        let failed = front.clone();
        let connected = endpoints::connect_protocol(endpoint, move |transport| {
            Session::new(transport, Some((front, name)))
        });
        Deferred::from(connected)
            .map(drop)
            .catch(move |failure: Failure| {
                tell(&failed, &format!("failed {}", failure.code));
                Ok(())
            })
            .detach();
    }

    fn on_back(&mut self, line: &str) {
        let Some((front, name)) = self.front.clone() else { return };
        tell(&front, &format!("back {}: {line}", self.how()));
        match line {
            "220 hello" if name != "-" => self.transport.write(b"STARTTLS\r\n"),
            "220 go ahead" if self.transport.tls().is_err() => {
                self.start_tls(&Side::Client(name), &["one", "two"]);
            }
            _ => {}
        }
    }

    fn how(&self) -> &'static str {
        if self.transport.tls().is_ok() { "encrypted" } else { "clear" }
    }

    fn agreed(&self) -> String {
        match self.transport.tls() {
            Err(failure) => failure.code,
            Ok(session) => {
                let all = session.peer_certificates();
                let shown: Vec<_> = all
                    .iter()
                    .map(|one| {
                        format!("{} by {} for {:?}", one.subject(), one.issuer(), one.names())
                    })
                    .collect();
                format!(
                    "{} {} alpn={:?} name={:?} resumed={} handshakes={} peer={shown:?}",
                    session.version(),
                    session.cipher(),
                    session.alpn(),
                    session.server_name(),
                    session.resumed(),
                    self.handshakes,
                )
            }
        }
    }
}

impl Protocol for Session {
    fn data_received(&mut self, data: &[u8]) -> Option<Waiting> {
        self.lines.extend(data);
        while let Some(Line::Whole(line) | Line::TooLong(line)) = self.lines.next() {
            let line = String::from_utf8_lossy(&line).into_owned();
            match self.front {
                None => self.on_front(&line),
                Some(_) => self.on_back(&line),
            }
        }
        None
    }

    fn handshake_completed(&mut self, _: &Transport<Self>) {
        self.handshakes += 1;
    }

    fn connection_lost(&mut self, reason: Reason) {
        if let Some((front, _)) = &self.front {
            tell(front, &format!("back lost {}", reason.code));
        }
        torsade_guest::info!("lost {}", reason.code);
    }
}

fn tell(whom: &Transport<Session>, line: &str) {
    whom.write(format!("{line}\r\n").as_bytes());
}

torsade_guest::export!(Upgrader);
