//! The corpus of hostile plugins: what each does to the host that serves it, what its peer does to
//! have it do so again and again, and what it comes to.
//!
//! Most are core modules in `tests/hostile`, a text of a few lines each, beside what they share
//! (`prelude.wat`): what safe Rust can't do is short there. The rest are guests of `tests/guests`.

mod corpus;
mod made;
mod peer;
pub mod refused;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};

use crate::guests;

pub use corpus::all;
pub use made::{component_of, wat_of};

/// A plugin that loads, and does harm once it is served.
#[derive(Clone, Copy, Debug)]
pub struct Hostile {
    /// Its name, which is that of its service too.
    pub name: &'static str,
    /// What it does, in one line.
    pub what: &'static str,
    /// What it comes to each time.
    pub comes_to: ComesTo,
    made: Made,
    /// More keys of its service.
    keys: &'static str,
    peer: Peer,
}

/// What a hostile plugin comes to, each time that it is provoked.
#[derive(Clone, Copy, Debug)]
pub enum ComesTo {
    /// Its peer reads this, and nothing else need happen.
    Answer(&'static str),
    /// Its connection ends, and the log says these words, once for each.
    End(&'static [&'static str]),
    /// It goes on until its peer leaves.
    Nothing,
}

/// Where its component comes from.
#[derive(Clone, Copy, Debug)]
enum Made {
    /// A guest of the repository, by its folder.
    Guest(&'static str),
    /// The text of its name below `tests/hostile`.
    Wat,
}

/// What its peer does: it sends this, and then something.
#[derive(Clone, Copy, Debug)]
struct Peer(&'static str, Then);

/// What a peer does once it has sent what it has to say.
#[derive(Clone, Copy, Debug)]
enum Then {
    /// It ends its half of the connection, and reads to the end.
    Ends,
    /// It reads nothing, and goes on sending a byte now and then until it is cut off.
    Ignores,
    /// It reads one answer, and leaves.
    Leaves,
    /// It reads to the end of the connection, or of what it waits for.
    Reads,
    /// It reads nothing for a while, and leaves: with a reset, as it was answered.
    Snubs,
    /// It reads all that comes, for a while, and leaves.
    Stays,
}

impl Hostile {
    /// Its table in `torsade.toml`, with its component below `folder`, which is the file's. Of the
    /// keys of a service it may have `plugin`, `listen`, `instances`, `limits`, `grants` and
    /// `config`; others may be put behind.
    ///
    /// # Errors
    /// Where its component can't be made, or written.
    pub fn service(&self, folder: &Path, listen: &str, instances: &str) -> Result<String> {
        let Self { name, keys, made, .. } = self;
        let plugin = match made {
            Made::Guest(guest) => guests::component(guest)?,
            Made::Wat => {
                let file = folder.join(format!("{name}.wasm"));
                fs::write(
                    &file,
                    component_of(&wat_of(name)?).with_context(|| (*name).to_owned())?,
                )?;
                file
            }
        };
        Ok(format!(
            "[service.{name}]\nplugin = {plugin:?}\nlisten = [{listen:?}]\n\
             instances = {instances:?}\n{keys}\n"
        ))
    }

    /// Has it do its harm again and again until `stop`: as often as it, or its end, lets a peer.
    /// Tells how often that was.
    ///
    /// # Errors
    /// Where it can't be connected to.
    pub fn provoke(&self, address: SocketAddr, stop: &AtomicBool) -> Result<u64> {
        let mut times = 0;
        while !stop.load(Ordering::Relaxed) {
            self.provoke_once(address, stop)?;
            times += 1;
        }
        Ok(times)
    }

    /// The same once. Gives what its peer has read: all of it, or up to what it waits for.
    ///
    /// # Errors
    /// Where it can't be connected to.
    pub fn provoke_once(&self, address: SocketAddr, stop: &AtomicBool) -> Result<Vec<u8>> {
        let awaited = match self.comes_to {
            ComesTo::Answer(words) => words.as_bytes(),
            ComesTo::End(_) | ComesTo::Nothing => b"",
        };
        self.peer.meet(address, awaited, stop).with_context(|| format!("{}'s peer", self.name))
    }
}
