//! Peers that mean harm (`tests/peers`): whom they attack gets over it, and whom they don't attack
//! hears nothing of it, on the same worker.

use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use tempfile::TempDir;
use torsade_tests::dial;
use torsade_tests::holdings::Holdings;
use torsade_tests::host::Host;
use torsade_tests::peers::{self, ATTACKED, Peer};
use torsade_tests::{guests, http};

use super::asking::until;
use super::network::{self, Network};
use super::streams::echoes;
use super::{configure, trial_with};

/// How long each attacks.
const ATTACK: Duration = Duration::from_millis(1500);
/// How many lines the log may have of an attack, by which harm was done hundreds of times.
const LINES: usize = 60;
/// Threads that the host makes a little later than it answers first.
const LATE: usize = 2;
/// The files that the host keeps open for its services.
const FILES: usize = 3;
/// How many are behind the cable that is cut.
const CUT_OFF: usize = 1_000;
/// The victim's own visitors.
const VISITORS: usize = 2;
/// What the victim serves.
const CONTENT: &[u8] = &[b'v'; 1024];

pub(super) fn trials() -> Vec<Trial> {
    let corpus = peers::all().iter().map(|peer| {
        let name = format!("peers::{}_does_no_harm_to_others", peer.name.replace('-', "_"));
        trial_with(&name, || peer.is_possible(), |()| does_no_harm(peer))
    });
    let cut = trial_with(
        "peers::those_behind_a_cable_that_is_cut_are_let_go",
        || network::network(&[]),
        |network| the_cable_is_cut(&network),
    );
    corpus.chain([cut]).collect()
}

/// A service that is attacked beside one that isn't.
struct Scene {
    folder: TempDir,
    host: Host,
    victim: SocketAddr,
    attacked: SocketAddr,
    before: Holdings,
}

impl Scene {
    fn new(folder: TempDir, ip: &str, up: impl Fn(&Path) -> Result<Host>) -> Result<Self> {
        let host = up(folder.path())?;
        let address = |service: &str| -> Result<SocketAddr> {
            let (_, endpoint) =
                host.endpoints.iter().find(|(name, _)| name == service).context("it is served")?;
            let port = endpoint.split(':').find_map(|piece| piece.parse().ok());
            Ok(SocketAddr::new(ip.parse()?, port.context("an endpoint has a port")?))
        };
        let (victim, attacked) = (address("victim")?, address(ATTACKED)?);
        ask(&mut dial::dial(victim, 0)?)?;
        let before = Holdings::of(host.id())?;
        Ok(Self { folder, host, victim, attacked, before })
    }

    /// The victim's visitors are answered while this happens, on connections that stay and on new
    /// ones.
    fn meanwhile<T>(&self, happens: impl FnOnce() -> Result<T>) -> Result<T> {
        let over = AtomicBool::new(false);
        let mut kept = dial::dial(self.victim, 0)?;
        ask(&mut kept)?;
        thread::scope(|scope| {
            let visits = scope.spawn(|| -> Result<usize> {
                let mut visits = 0;
                while !over.load(Ordering::Relaxed) {
                    ask(&mut kept).with_context(|| format!("visit {visits}"))?;
                    if visits % 10 == 0 {
                        ask(&mut dial::dial(self.victim, visits)?).context("a new visitor")?;
                    }
                    visits += 1;
                }
                ask(&mut kept).context("afterwards")?;
                Ok(visits)
            });
            let happened = happens();
            over.store(true, Ordering::Relaxed);
            let visits = visits.join().expect("a visit doesn't panic").context("the victim")?;
            ensure!(visits > 0, "nobody came to the victim");
            happened
        })
    }

    /// Nothing is left of what came, and the log has few words about it.
    fn ends(mut self, lines: usize) -> Result<()> {
        let before = &self.before;
        let gone = until(|| {
            let now = Holdings::of(self.host.id())?;
            Ok(now.descriptors <= before.descriptors + FILES
                && now.threads <= before.threads + LATE)
        });
        let now = Holdings::of(self.host.id())?;
        gone.with_context(|| format!("it has {now:?}, and had {before:?}"))?;
        let status = self.host.terminate()?;
        let log = self.host.log();
        ensure!(status.success(), "{status}: {log}");
        for bad in ["panicked", "ERROR"] {
            ensure!(!log.contains(bad), "{bad} is in the log: {log}");
        }
        ensure!(log.lines().count() <= lines, "the log has {} lines: {log}", log.lines().count());
        Ok(())
    }
}

fn ask(stream: &mut TcpStream) -> Result<()> {
    let answer = http::ask(stream, "/victim.txt")?;
    ensure!(answer.body == CONTENT, "another content is served");
    Ok(())
}

/// The service that isn't attacked, at an address that it can be reached at.
fn victim(folder: &Path, ip: &str) -> Result<String> {
    fs::create_dir(folder.join("public"))?;
    fs::write(folder.join("public/victim.txt"), CONTENT)?;
    Ok(format!(
        "workers = 1\ngrace = \"0s\"\n[service.victim]\nplugin = \"@http\"\n\
         listen = [\"tcp:0:interface={ip}\"]\ninstances = \"per-worker\"\n\
         grants = {{ files = {{ read = \"public\" }} }}\n"
    ))
}

fn plugin(guest: &str) -> Result<String> {
    Ok(guests::component(guest)?.display().to_string())
}

fn does_no_harm(peer: &Peer) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let attacked = peer.service(folder.path(), 0, plugin, "")?;
    configure(folder.path(), &(victim(folder.path(), "127.0.0.1")? + &attacked))?;
    let scene = Scene::new(folder, "127.0.0.1", |folder| Host::up(folder, 2))?;
    peer.ask(scene.folder.path(), scene.attacked).context("before")?;
    let (stop, attacked) = (AtomicBool::new(false), scene.attacked);
    let harm = scene.meanwhile(|| {
        thread::scope(|scope| {
            let attack = scope.spawn(|| peer.attack(attacked, &stop));
            thread::sleep(ATTACK);
            stop.store(true, Ordering::Relaxed);
            attack.join().expect("a peer doesn't panic")
        })
    })?;
    ensure!(harm > 0, "it has done nothing");
    scene.host.log_with(peer.named)?;
    // Connections that wait are served once those before them are gone.
    until(|| Ok(peer.ask(scene.folder.path(), attacked).is_ok()))
        .with_context(|| format!("it doesn't answer any more:\n{}", scene.host.log()))?;
    scene.ends(LINES)
}

/// Those who are behind it can say nothing any more, and not even the kernel says it for them.
fn the_cable_is_cut(network: &Network) -> Result<()> {
    const HERE: &str = "10.77.0.1";
    dial::allow_many()?;
    let folder = tempfile::tempdir()?;
    let attacked = format!(
        "[service.{ATTACKED}]\nplugin = \"@echo\"\nlisten = [\"tcp:0:interface={HERE}\"]\n\
         limits = {{ idle = \"2s\", drain = \"1s\", linger = \"500ms\" }}\n"
    );
    configure(folder.path(), &(victim(folder.path(), HERE)? + &attacked))?;
    let Network { here, there } = network;
    let scene = here.within(|| Scene::new(folder, HERE, |folder| here.up(folder, 2)))?;
    let attacked = scene.attacked;
    here.within(|| {
        scene.meanwhile(|| {
            let _cut_off = there.within(|| cut_off(attacked))?;
            there.run("ip", &["link", "set", "cable", "down"])?;
            let most = scene.before.descriptors + FILES + VISITORS;
            until(|| Ok(Holdings::of(scene.host.id())?.descriptors <= most))
                .context("they are not let go")
        })
    })?;
    there.run("ip", &["link", "set", "cable", "up"])?;
    until(|| there.within(|| Ok(echoes(&mut dial::dial(attacked, 0)?, b"again").is_ok())))?;
    scene.ends(LINES)
}

/// Silent ones, and such as have been talked to and are owed something.
fn cut_off(attacked: SocketAddr) -> Result<Vec<TcpStream>> {
    let mut streams = Vec::with_capacity(CUT_OFF);
    for nth in 0..CUT_OFF {
        let mut stream = dial::dial(attacked, nth)?;
        if nth % 2 == 0 {
            echoes(&mut stream, b"hello")?;
        }
        if nth % 20 == 0 {
            stream.set_nonblocking(true)?;
            while let Ok(1..) = stream.write(&[b'e'; 64 * 1024]) {}
        }
        streams.push(stream);
    }
    Ok(streams)
}
