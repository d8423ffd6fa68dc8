//! The role of whoever attacks, as a process of its own.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Context, Result};

use super::all;
use crate::load::{GO, address};

/// Has the hostile one of this name do harm to a port of 127.0.0.1. Prints `GO` when it begins; at
/// the next line, or the end of its input, it stops, and prints how often harm was done.
pub(crate) fn run(name: &str, port: u16) -> Result<()> {
    let hostile = all().find(|hostile| hostile.name() == name).context("nobody has this name")?;
    println!("{GO}");
    let stop = AtomicBool::new(false);
    let harm = thread::scope(|scope| {
        scope.spawn(|| {
            // Whatever comes, or doesn't, it is over.
            let _ = std::io::stdin().read_line(&mut String::new());
            stop.store(true, Ordering::Relaxed);
        });
        hostile.attack(address(port), &stop)
    })?;
    println!("{harm}");
    Ok(())
}
