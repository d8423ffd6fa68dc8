//! An IRC server: RFC 1459, RFC 2812, what servers and clients have made of them since
//! (<https://modern.ircdocs.horse>), and the extensions of IRCv3 (<https://ircv3.net>).
//!
//! The server is one value, [`Server`]: what its clients send and what time it is goes in,
//! [`Action`]s come out. It does no I/O, reads no clock, and knows nothing of wasm; whoever gives it
//! the same events in the same order gets the same actions. The component alone joins it to the
//! host, which also says who somebody is: the server never holds a password for longer than it takes
//! to ask.
//!
//! Where to begin reading: [`Server::received`] cuts lines, `command` finds what a line asks for,
//! `registration` makes a client known, `talking` sends messages, `output` is what all of them
//! write to.
//!
//! ```
//! use torsade_irc::{Action, Config, Now, Peer, Server};
//!
//! let now = Now { monotonic: 0, unix: 1_700_000_000_000 };
//! let mut server = Server::new(Config::default(), 7, now);
//! let peer = Peer { host: "203.0.113.7".into(), ..Peer::default() };
//! let alice = server.connected(peer, now);
//! server.received(alice, b"NICK alice\r\nUSER alice 0 * :Alice\r\n", now);
//! let mut seen = String::new();
//! while let Some(action) = server.next_action() {
//!     if let Action::Send { to, bytes } = action {
//!         assert_eq!(to, alice);
//!         seen.push_str(str::from_utf8(server.bytes(bytes)).unwrap());
//!     }
//! }
//! assert!(seen.starts_with(":irc.localhost 001 alice :Welcome"));
//! ```

#![forbid(unsafe_code)]

mod about;
mod action;
mod arena;
mod asking;
mod cap;
mod casemap;
mod channel;
mod client;
mod command;
#[cfg(feature = "component")]
mod component;
mod config;
mod flood;
pub mod history;
mod input;
mod invariants;
mod joining;
#[cfg(feature = "component")]
mod keeper;
mod label;
mod leaving;
mod list;
mod listing;
mod mask;
mod message;
mod mode;
mod modes;
mod monitor;
mod operating;
mod output;
mod question;
mod recalling;
mod registration;
mod renaming;
mod reply;
mod sasl;
mod server;
#[cfg(feature = "component")]
mod store;
mod talking;
mod who;
mod whowas;

pub use action::{Action, Answer, Question};
pub use client::{Client, Peer};
pub use config::{Config, Sts};
pub use server::{Now, Server};

use std::time::{Duration, UNIX_EPOCH};

/// A moment for a person, from seconds since 1970.
fn date(seconds: u64) -> String {
    // Year 9999 is the last that the format has.
    let moment = UNIX_EPOCH + Duration::from_secs(seconds.min(253_402_300_799));
    humantime::format_rfc3339_seconds(moment).to_string()
}

/// Words with something between them, in lines of no more bytes than this; a word that is longer is
/// a line alone.
fn lines<'a>(words: impl Iterator<Item = &'a str>, between: &str, bytes_max: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        match lines.last_mut() {
            Some(line) if line.len() + between.len() + word.len() <= bytes_max => {
                line.push_str(between);
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
