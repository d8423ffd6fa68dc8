//! Conversations: dialogues of a protocol as text files, which read like a session of a chat and
//! are replayed against whatever speaks the protocol.
//!
//! ```text
//! # Who speaks in a channel is heard by its other members.
//! alice connects over tls
//! alice: JOIN #room
//! alice< :alice!{} JOIN #room
//! bob connects
//! bob: JOIN #room
//! alice< :bob!{} JOIN #room
//! bob< ...
//! alice: PRIVMSG #room :hello
//! bob< :alice!{} PRIVMSG #room :hello
//! after 5m
//! bob is cut off
//! ```
//!
//! A line is a step. Lines without any letters and those that begin with `#` say nothing.
//!
//! | step | what it says |
//! |---|---|
//! | `alice connects` | a new peer; behind it `over WAY` (`plain`, if nothing is said), `with certificate NAME`, `from ADDRESS` |
//! | `alice: TEXT` | she sends a line |
//! | `alice: TEXT\` | she sends this without a line's end |
//! | `alice< TEXT` | the next line that she sees is this one |
//! | `alice< ...` | she sees lines that don't matter, up to the next one that is told, or all there are |
//! | `everybody< ...` | nothing matters that anybody has seen so far |
//! | `alice sees nothing` | there is nothing that she hasn't told of |
//! | `alice is cut off` | the other side has ended her connection |
//! | `alice ends` | she ends it in order |
//! | `alice is lost` | it breaks |
//! | `alice starts tls` | she begins TLS in mid-stream, and it is established |
//! | `alice stops reading`, `alice reads on` | what comes waits for her |
//! | `after 30s` | so much time passes (`ms`, `s`, `m`, `h`) |
//! | `the next question fails` | what is asked of the host next (a file, a name, a database, a job) fails `limit` |
//! | `backend is reached` | the other side has connected to where she listens |
//! | `in any order` | the indented steps `alice< TEXT` below it are seen, whoever comes first |
//! | `scene greets` | what the indented steps below it are called; see below |
//! | `config TEXT` | what the other side is started with; this and the next three stand before all steps |
//! | `name HOST is ADDRESS…` | what a host is found to be; others are not found |
//! | `backend listens on tcp:10.0.0.7:80` | who is there for the other side to connect to; elsewhere it is refused |
//! | `fuel 200000` | the most instructions that a component may take for one thing that somebody does; see below |
//! | `lines end in \n` | in the stead of `\r\n`; `nothing` for a protocol without lines, of which a text is the next bytes |
//!
//! **Everything is told.** When somebody acts after something was seen, and at the end, nobody may
//! have got what the file doesn't tell, nor may anybody have been cut off silently.
//!
//! **Texts.** `\r`, `\n`, `\t`, `\\`, `\{` and `\x00` are bytes; a blank at the end is `\x20`.
//! `{a * 600}` is the text `a` six hundred times. In what is seen `{}` is any word (bytes without a
//! blank, at least one) and `{...}` anything, or nothing; `{id}` and `{text...}` are the same with a
//! name: what they stood for first they stand for from then on, in what is sent as well.
//!
//! **Scenes.** A file `scenes.txt` beside the others, or a file itself, names steps that many
//! dialogues share. In them `$` is who acts, and `$1` to `$9` are the words behind the name:
//!
//! ```text
//! scene joins
//!     $: JOIN $1
//!     $< :$!{} JOIN $1
//!
//! alice joins #room
//! ```
//!
//! **Fuel.** How many instructions a component takes for a step is the same each time, and on each
//! machine, as long as its compiler is the same. `torsade test` reports the most of each file, and
//! fails where that is more than the file's `fuel`: a request that has become slow is found by a
//! number that doesn't vary. A native replay counts nothing.
//!
//! **For a plugin** there is no more to write than the files: [`conversations`](super::conversations)
//! replays a folder of them natively, `torsade test` replays `conversations/*.txt` of a guest's
//! folder with its component.
//!
//! **Cuts.** [`chunked`] replays a conversation with what is sent cut at every byte, at each single
//! place (of long ones, at five hundred), and at random ones, and holds all that everybody saw to be the same. It knows no
//! protocol: what it needs of one is a [`Talker`]. That of an echo, as a value:
//!
//! ```
//! use std::time::Duration;
//! use torsade_guest::testing::conversation::{Conversation, Talker, Way, chunked};
//!
//! #[derive(Default)]
//! struct Echo(Vec<Vec<u8>>);
//!
//! impl Talker for Echo {
//!     fn connect(&mut self, _peer: usize, _way: &Way) -> Result<(), String> {
//!         Ok(self.0.push(Vec::new()))
//!     }
//!     fn send(&mut self, peer: usize, data: &[u8]) {
//!         self.0[peer].extend(data);
//!     }
//!     fn pass(&mut self, _time: Duration) {}
//!     fn end(&mut self, _peer: usize) {}
//!     fn lose(&mut self, _peer: usize) {}
//!     fn take(&mut self, peer: usize) -> Vec<u8> {
//!         std::mem::take(&mut self.0[peer])
//!     }
//!     fn is_cut_off(&mut self, _peer: usize) -> bool {
//!         false
//!     }
//! }
//!
//! let text = "alice connects\nalice: hello \\x00\nalice< {word} \\x00\nalice: {word}\nalice< hello";
//! let conversation = Conversation::parse("hello.txt", text, &[]).unwrap();
//! chunked(&conversation, || Ok(Echo::default())).unwrap();
//! ```

mod parse;
mod replay;
#[cfg(test)]
mod tests;
mod text;

use std::error::Error;
use std::fmt;
use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

pub use replay::{Cut, Seen, chunked, replay};
use text::Text;

/// The other side of a conversation: what is tested, and what carries bytes to it.
///
/// Peers are named by numbers, in the order in which they are first named. Each call does all that
/// follows from it before it returns, but for what takes time: [`pass`](Talker::pass) lets that
/// happen.
pub trait Talker {
    /// A new peer connects.
    ///
    /// # Errors
    /// Says why it can't, which fails the conversation.
    fn connect(&mut self, peer: usize, way: &Way) -> Result<(), String>;

    /// A peer sends these bytes; they arrive as one piece.
    fn send(&mut self, peer: usize, data: &[u8]);

    /// Time passes.
    fn pass(&mut self, time: Duration);

    /// A peer ends its connection in order.
    fn end(&mut self, peer: usize);

    /// A peer's connection breaks.
    fn lose(&mut self, peer: usize);

    /// Takes what has come for a peer since the last call; nothing while it doesn't read.
    fn take(&mut self, peer: usize) -> Vec<u8>;

    /// Whether the other side has ended a peer's connection.
    fn is_cut_off(&mut self, peer: usize) -> bool;

    /// A peer begins TLS in mid-stream.
    ///
    /// # Errors
    /// Says why it can't, which fails the conversation.
    fn start_tls(&mut self, peer: usize) -> Result<(), String> {
        Err(format!("peer {peer} can't begin TLS here"))
    }

    /// Finds the connection that the other side has made to where this peer listens, which is the
    /// peer's from now on.
    ///
    /// # Errors
    /// Says that there is none, which fails the conversation.
    fn reach(&mut self, peer: usize) -> Result<(), String> {
        Err(format!("peer {peer} can't be reached here"))
    }

    /// Has what is asked of the host next fail.
    ///
    /// # Errors
    /// Says why it can't, which fails the conversation.
    fn fail_next(&mut self) -> Result<(), String> {
        Err("no question can be made to fail here".to_owned())
    }

    /// A peer reads on, or doesn't.
    ///
    /// # Errors
    /// Says why it can't, which fails the conversation.
    fn set_reading(&mut self, peer: usize, reading: bool) -> Result<(), String> {
        if reading { Ok(()) } else { Err(format!("peer {peer} can't stop reading here")) }
    }
}

/// How a peer comes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Way {
    /// Who it is in the file.
    pub name: String,
    /// What is behind `over`: `plain`, if nothing is.
    pub over: String,
    /// The client certificate that it shows.
    pub certificate: Option<String>,
    /// The address that it comes from.
    pub from: Option<String>,
}

/// A file, read and found right.
#[derive(Clone, Debug)]
pub struct Conversation {
    /// The file's name, as it is shown.
    pub file: String,
    /// What the other side is started with.
    pub config: String,
    /// The names of hosts that are found, and what they are.
    pub hosts: Vec<(String, Vec<IpAddr>)>,
    /// Who listens, by number, and where.
    pub listeners: Vec<(usize, String)>,
    /// The most instructions that a component may take for one thing that somebody does.
    pub fuel: Option<u64>,
    names: Vec<String>,
    line_end: Vec<u8>,
    steps: Vec<Step>,
}

/// A step, and where it stands.
#[derive(Clone, Debug)]
struct Step {
    place: String,
    does: Does,
}

/// What happens. Peers are numbered in the order of `Conversation::names`.
#[derive(Clone, Debug)]
enum Does {
    AllSkip,
    AnyOrder(Vec<(usize, Text)>),
    Connects(usize, Way),
    Ends(usize),
    FailNext,
    IsCutOff(usize),
    IsLost(usize),
    IsReached(usize),
    Pass(Duration),
    Reads(usize, bool),
    Secures(usize),
    Sees(usize, Text),
    SeesNothing(usize),
    Sends(usize, Text),
    Skips(usize),
}

impl Conversation {
    /// Reads a file's text; `scenes` are other files' names and texts, which define scenes alone.
    ///
    /// # Errors
    /// Says where what is wrong, and what would be right.
    pub fn parse(file: &str, text: &str, scenes: &[(&str, &str)]) -> Result<Self, Fault> {
        parse::parse(file, text, scenes)
    }

    /// Reads all the files `*.txt` of a folder, in the order of their names, with the scenes of its
    /// `scenes.txt`.
    ///
    /// # Errors
    /// Says which file can't be read, or where what is wrong.
    pub fn folder(folder: &Path) -> Result<Vec<Self>, Fault> {
        let unreadable = |path: &Path, error: &dyn fmt::Display| Fault {
            place: path.display().to_string(),
            what: format!("it can't be read: {error}"),
        };
        let mut files = Vec::new();
        for entry in fs::read_dir(folder).map_err(|error| unreadable(folder, &error))? {
            let path = entry.map_err(|error| unreadable(folder, &error))?.path();
            if path.extension().is_some_and(|extension| extension == "txt") {
                let text = fs::read_to_string(&path).map_err(|error| unreadable(&path, &error))?;
                files.push((path.file_name().unwrap_or_default().display().to_string(), text));
            }
        }
        files.sort();
        let (scenes, files): (Vec<_>, Vec<_>) =
            files.iter().partition(|(name, _)| name == "scenes.txt");
        let scenes: Vec<_> = scenes.iter().map(|(name, text)| (&**name, &**text)).collect();
        files.iter().map(|(name, text)| Self::parse(name, text, &scenes)).collect()
    }

    /// How its peers come.
    pub fn ways(&self) -> impl Iterator<Item = &Way> {
        self.steps.iter().filter_map(|step| match &step.does {
            Does::Connects(_, way) => Some(way),
            _ => None,
        })
    }

    /// Who takes part, in the order of their numbers.
    pub fn names(&self) -> &[String] {
        &self.names
    }
}

/// A file that isn't right, or a conversation that went otherwise.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fault {
    /// File and line.
    pub place: String,
    /// What is wrong there.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

impl Error for Fault {}
