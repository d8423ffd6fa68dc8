//! The guestbook is killed in the middle of posts, again and again: what was acknowledged is there.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use torsade_tests::host::Host;

use super::super::{folder, trial};
use super::{Client, Post};

pub(super) fn trials() -> Vec<Trial> {
    vec![trial("guestbook::every_acknowledged_post_survives_kill_9", survives_kill_9)]
}

/// How often it is killed; `TORSADE_KILLS=N` says otherwise.
const ROUNDS: u64 = 300;

/// How many guests post at once.
const GUESTS: u64 = 4;

/// The latest moment at which it is killed, in microseconds from the first acknowledged post.
const LIFE_MAX: u64 = 40_000;

fn survives_kill_9() -> Result<()> {
    let rounds = match std::env::var("TORSADE_KILLS") {
        Ok(rounds) => rounds.parse().context("TORSADE_KILLS is no number")?,
        Err(_) => ROUNDS,
    };
    let folder = folder(
        "workers = 2\n[service.guestbook]\nplugin = \"@guestbook\"\n\
         listen = [\"tcp:0:interface=127.0.0.1\"]\ninstances = \"per-worker\"\n\
         grants = { sql = \"file\" }\nconfig = { posts-a-page = 100 }\n",
    )?;
    let mut all = Acknowledged::default();
    let mut moments = 0x9e37_79b9_7f4a_7c15;
    for round in 0..rounds {
        let host = Host::up(folder.path(), 1)?;
        let address = host.address("guestbook")?;
        all.check(&mut Client::connect(address)?).with_context(|| format!("round {round}"))?;
        let life = Duration::from_micros(random(&mut moments) % LIFE_MAX);
        let acknowledged = guests(address, round, move || {
            thread::sleep(life);
            // By SIGKILL.
            drop(host);
        })?;
        ensure!(!acknowledged.is_empty(), "round {round}: nothing was acknowledged");
        all.last.extend(acknowledged);
    }
    let host = Host::up(folder.path(), 1)?;
    let mut client = Client::connect(host.address("guestbook")?)?;
    all.check(&mut client).context("the last round")?;
    all.check_all(&mut client)?;
    // What a kill leaves of the log is taken in: nothing but the database and its log is there.
    ensure!(fs::read_dir(folder.path().join("state"))?.count() <= 3, "files are left over");
    Ok(())
}

/// Lets guests post until the host is gone, and has it killed once the first post was
/// acknowledged; tells which were acknowledged.
fn guests(address: SocketAddr, round: u64, kill: impl FnOnce() + Send) -> Result<BTreeSet<u64>> {
    let (first, started) = mpsc::channel();
    thread::scope(|scope| {
        let guest = |guest: u64| {
            let first = first.clone();
            scope.spawn(move || {
                let mut acknowledged = Vec::new();
                let Ok(mut client) = Client::connect(address) else { return acknowledged };
                for post in 0.. {
                    let number = (round * GUESTS + guest) * 1_000_000 + post;
                    if client.post(&format!("name={number}&text={}", text(number))).is_err() {
                        break;
                    }
                    acknowledged.push(number);
                    // Nobody listens after the first.
                    let _ = first.send(());
                }
                acknowledged
            })
        };
        let guests: Vec<_> = (0..GUESTS).map(guest).collect();
        drop(first);
        // None comes where no guest was answered, and then the host is killed too.
        let answered = started.recv();
        kill();
        let acknowledged = guests.into_iter().map(|guest| guest.join().expect("it can't panic"));
        let acknowledged = acknowledged.flatten().collect();
        answered.context("no post was acknowledged")?;
        Ok(acknowledged)
    })
}

/// What the guests were told is kept.
#[derive(Default)]
struct Acknowledged {
    /// Of rounds that were checked.
    checked: BTreeSet<u64>,
    /// Of the last round.
    last: BTreeSet<u64>,
    /// The last post that was looked at.
    id: i64,
    /// How many posts there are, acknowledged or not.
    posts: usize,
}

impl Acknowledged {
    /// What the last round has posted is there: whole, once, and all that was acknowledged.
    fn check(&mut self, client: &mut Client) -> Result<()> {
        let posts = client.posts(self.id)?;
        let numbers = numbers(&posts)?;
        let gone = self.last.difference(&numbers).count();
        ensure!(gone == 0, "{gone} of {} acknowledged posts are gone", self.last.len());
        // Each guest can have posted one more, whose acknowledgement was lost.
        let more = numbers.len() - self.last.len();
        ensure!(more <= GUESTS as usize, "{more} more than were acknowledged");
        self.id = posts.first().map_or(self.id, |post| post.id);
        self.posts += posts.len();
        self.checked.append(&mut self.last);
        Ok(())
    }

    /// The same for all rounds together.
    fn check_all(&self, client: &mut Client) -> Result<()> {
        let posts = client.posts(0)?;
        let numbers = numbers(&posts)?;
        ensure!(self.checked.is_subset(&numbers), "an acknowledged post went later");
        ensure!(posts.len() == self.posts, "{} posts, {} before", posts.len(), self.posts);
        Ok(())
    }
}

/// The numbers of posts that are whole, and there once.
fn numbers(posts: &[Post]) -> Result<BTreeSet<u64>> {
    let mut numbers = BTreeSet::new();
    for post in posts {
        let number = post.name.parse().with_context(|| format!("{post:?}"))?;
        ensure!(post.text == text(number), "half a post: {post:?}");
        ensure!(numbers.insert(number), "{number} is there twice");
    }
    Ok(numbers)
}

/// A text that is another for each post, and some pages of the database long for some.
fn text(number: u64) -> String {
    let mut seed = number;
    let words = 1 + random(&mut seed) % 100;
    (0..words).map(|_| format!("{:016x}", random(&mut seed))).collect()
}

/// The next number of a sequence (SplitMix64), so that a failure is not of one run alone.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
