//! The rows of IRC: one channel, clients that say nothing, and a member that doesn't read.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::Result;

use crate::arguments::Arguments;
use crate::child::Server;
use crate::load::channel::Talk;
use crate::peers::Peer;
use crate::roles::LOAD_CHANNEL;
use crate::rows::{Kind, Row};
use crate::runs::{self, Cost, Pair, Sample};
use crate::workplace::Workplace;

/// The channel of the row of deliveries.
pub(crate) const BUSY: Talk = Talk { members: 1000, talkers: 8, length: 40, is_one_slow: false };
/// The channel of the row with a slow reader, which is full sooner with longer messages. They don't
/// come faster than a server can deliver, as the longest waits are what counts.
const SLOW: Talk = Talk { members: 1000, talkers: 1, length: 400, is_one_slow: true };

/// How many times as long as others that row is measured: a slow reader is dropped after two seconds
/// or three.
const LONGER: u64 = 3;

/// The rest of torsade's service: nobody who talks much is slowed down, nothing is kept, and a slow
/// reader is full soon. As with ngircd, where `ngircd_conf` says so.
pub(crate) const SERVICE: &str = "grants = { sql = \":memory:\", credentials = \"users\" }
config = { history = false, rate = 0, sendq = 65536 }
";
/// Limits of the service, beside the number of its connections.
pub(crate) const LIMITS: &str = "unsent-high = \"16KiB\", unsent-low = \"8KiB\"";

/// Starts ngircd on a port of 127.0.0.1.
pub(crate) fn start_ngircd(place: &Workplace, port: u16) -> Result<Server> {
    let file = place.path().join("ngircd.conf");
    fs::write(&file, ngircd_conf(port))?;
    let words = [Path::new("--nodaemon"), Path::new("--config"), &file];
    Server::start(place.server_core, &place.path().join("ngircd.log"), &place.ngircd, &words)
}

/// Without penalties for those who talk much, and without asking others who comes.
fn ngircd_conf(port: u16) -> String {
    format!(
        "[Global]
Name = irc.bench.test
Info = bench
Listen = 127.0.0.1
Ports = {port}
MotdPhrase = hello
[Limits]
MaxConnections = 0
MaxConnectionsIP = 0
MaxJoins = 0
MaxPenaltyTime = 0
[Options]
DNS = no
Ident = no
PAM = no
"
    )
}

/// An empty file of users, which torsade's service is granted.
pub(crate) fn write_users(folder: &Path) -> Result<()> {
    let file = folder.join("users");
    fs::write(&file, "")?;
    Ok(fs::set_permissions(&file, Permissions::from_mode(0o600))?)
}

/// Measures what the others wait for who are in a channel with a slow reader, beside what they wait
/// for without one.
pub(crate) fn measure_slow(
    row: &Row,
    place: &Workplace,
    arguments: &Arguments,
) -> Result<Vec<Pair>> {
    let mut pairs = Vec::with_capacity(arguments.runs());
    for run in 1..=arguments.runs() {
        let ours = latency(row.ours, place, arguments, !arguments.noise)?;
        let theirs = latency(row.theirs, place, arguments, false)?;
        let pair = [ours, theirs];
        runs::tell(row, run, arguments, &pair);
        pairs.push(pair);
    }
    Ok(pairs)
}

fn latency(
    kind: Kind,
    place: &Workplace,
    arguments: &Arguments,
    is_one_slow: bool,
) -> Result<Sample> {
    let peer = Peer::start(kind, place)?;
    let words = words(&peer, Talk { is_one_slow, ..SLOW }, arguments.seconds * LONGER);
    let (report, cpu) = runs::timed(place, &peer, LOAD_CHANNEL, &words)?;
    Ok(Sample { value: report.p99_us, cost: Some(Cost::of(&report, cpu)) })
}

/// What the load's role is told.
pub(crate) fn words(peer: &Peer, talk: Talk, seconds: u64) -> Vec<String> {
    let Talk { members, talkers, length, is_one_slow } = talk;
    let port = usize::from(peer.port);
    let mut words = [port, members, talkers, length].map(|number| number.to_string()).to_vec();
    words.extend([seconds.to_string(), is_one_slow.to_string()]);
    words
}
