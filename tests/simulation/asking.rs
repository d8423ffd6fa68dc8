//! What peers tell the asker, what stands behind the addresses that it is told, and what names mean.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use torsade::capability::resolver::Found;
use torsade::net::Address;
use torsade::net::sim::{Behind, SimNet};
use torsade::transport::range::ListenRange;
use torsade::transport::target::Target;

use super::choices::Choices;

/// Where the asker may connect to: everywhere by address, but for one network; and by some names.
pub(crate) fn granted() -> Vec<Target> {
    ["tcp:192.0.2.0/24:*", "tcp:[2001:db8::/32]:*", "tcp:*.named.test:*"]
        .iter()
        .map(|target| target.parse().expect("it is a target"))
        .collect()
}

/// Where it may listen.
pub(crate) fn ranges() -> Vec<ListenRange> {
    ["tcp:9000-9003", "tcp:9100:interface=10.0.0.1"]
        .iter()
        .map(|range| range.parse().expect("it is a range"))
        .collect()
}

/// What a name means, which it says itself: `CODES-NUMBER.test`, a letter for each address (`4`,
/// `6`, `d` for one that isn't granted), or `e` for an error; no letter for no such name.
pub(crate) fn look_up(name: &str) -> Found {
    let (codes, number) = codes(name);
    if codes.contains('e') {
        return Err(io::Error::other("the server failed"));
    }
    let all = addresses(codes, number);
    if all.is_empty() { Err(ErrorKind::NotFound.into()) } else { Ok(all) }
}

fn codes(name: &str) -> (&str, u8) {
    let (codes, rest) = name.split_once('-').unwrap_or(("", name));
    let number = rest.split('.').next().and_then(|number| number.parse().ok());
    (codes, number.unwrap_or(0))
}

fn addresses(codes: &str, number: u8) -> Vec<SocketAddr> {
    let address = |(place, code): (usize, char)| {
        let ip: IpAddr = match code {
            '4' => Ipv4Addr::new(192, 0, 2, number.wrapping_add(place as u8)).into(),
            '6' => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, place as u16, 0, number.into()).into(),
            'd' => Ipv4Addr::new(198, 51, 100, number).into(),
            _ => return None,
        };
        Some(SocketAddr::new(ip, 0))
    };
    codes.chars().enumerate().filter_map(address).collect()
}

/// What was said so far.
#[derive(Default)]
pub(crate) struct Asking {
    /// What stands behind each address that the asker was told.
    stands: HashMap<Address, Behind>,
    /// Each dial has a port of its own, so that its far end is known by its address.
    dials: u16,
}

impl Asking {
    /// Whether the far end of a connection to `address` resets it.
    pub(crate) fn resets(&self, address: &Address) -> bool {
        self.stands.get(address) == Some(&Behind::Resets)
    }

    /// Some commands. `violent` ones may end the connection, or trap.
    pub(crate) fn lines(
        &mut self,
        sim: &mut SimNet,
        choices: &mut Choices,
        violent: bool,
    ) -> Vec<u8> {
        let mut lines = Vec::new();
        for _ in 0..1 + choices.below(5) {
            let what = if violent { VIOLENT } else { QUIET };
            let (what, how) = (choices.of(what), choices.of(HOW));
            let argument = match what {
                b'B' | b'E' | b'Q' => choices.of(&STATEMENTS).to_owned(),
                b'C' => self.endpoint(sim, choices),
                b'J' => choices.of(&["echo", "echo", "trap", "spin", "none"]).to_owned(),
                b'L' => choices.of(&LISTENS).to_owned(),
                b'M' | b'O' | b'T' | b'V' => choices.of(&["0", "1", "5", "20", "400"]).to_owned(),
                b'N' => name(choices),
                b'W' => "w".repeat(choices.size(3000)),
                _ => choices.of(&["a", "b", "1000", ""]).to_owned(),
            };
            let how = match what {
                b'R' => choices.of(if violent { b"aclrt" } else { b"cr" }),
                _ => how,
            };
            lines.extend([what, how, b' ']);
            lines.extend(argument.bytes());
            lines.push(b'\n');
        }
        lines
    }

    /// Where to connect to; what stands there is picked too.
    fn endpoint(&mut self, sim: &mut SimNet, choices: &mut Choices) -> String {
        self.dials += 1;
        let port = 1000 + self.dials;
        let timeout = choices.of(&["", "", ":timeout=0.1", ":timeout=1"]);
        if choices.chance(5) {
            return choices.of(&["tcp:203.0.113.1:80", "tcp:here", "unix:/nowhere", ""]).to_owned();
        }
        if choices.chance(50) {
            let at = SocketAddr::from(([192, 0, 2, choices.below(250) as u8], port));
            self.stand(sim, choices, at);
            return format!("tcp:{at}{timeout}");
        }
        let name = name(choices);
        let (codes, number) = codes(&name);
        for mut at in addresses(codes, number) {
            at.set_port(port);
            self.stand(sim, choices, at);
        }
        format!("tcp:{name}:{port}{timeout}")
    }

    fn stand(&mut self, sim: &mut SimNet, choices: &mut Choices, at: SocketAddr) {
        let slow = Behind::Slow(Duration::from_millis(choices.below(600) as u64));
        let behind = choices.of(&[
            Behind::Open,
            Behind::Open,
            Behind::Open,
            Behind::Refuses,
            Behind::Resets,
            Behind::Silent,
            slow,
            Behind::Unreachable,
        ]);
        sim.stand(Address::Tcp(at), behind);
        self.stands.insert(Address::Tcp(at), behind);
    }
}

fn name(choices: &mut Choices) -> String {
    let codes = choices.of(&["4", "6", "46", "6464", "644d", "d", "e", "", "4"]);
    let below = choices.of(&["test", "named.test"]);
    format!("{codes}-{}.{below}", choices.below(30))
}

/// Commands that leave the connection open.
const QUIET: &[u8] = b"BBCCCCCCDEEFGJKLLLLMMNNOPQRSTTVVWZ";

/// Any command.
const VIOLENT: &[u8] = b"AXYCCCLRRJNTMFKQ";

/// Ways to wait: see the asker.
const HOW: &[u8] = b"bcdfhhkklx";

const STATEMENTS: [&str; 9] = [
    "CREATE TABLE IF NOT EXISTS t(n UNIQUE)",
    "INSERT INTO t VALUES(7)",
    "INSERT INTO t VALUES(7)",
    "CREATE TABLE IF NOT EXISTS t(n UNIQUE)",
    "SELECT * FROM t",
    "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 60) SELECT x FROM c",
    "ATTACH 'x' AS y",
    "SELEKT",
    "SELECT 1; SELECT 2",
];

const LISTENS: [&str; 8] = [
    "tcp:0",
    "tcp:0",
    "tcp:9000",
    "tcp:9001:interface=10.0.0.1",
    "tcp:9100:interface=10.0.0.1",
    "tcp:80",
    "nonsense",
    "tcp:9100:interface=10.0.0.1",
];
