//! Clients of an IRC server that say nothing.

use anyhow::Result;

use super::GO;
use super::channel::register;

/// Registers `warm` clients, prints `GO`, waits for a line; registers `count` more, prints `GO`
/// again, and keeps all of them until the next line, or the end of its input.
pub(crate) fn run(port: u16, warm: usize, count: usize) -> Result<()> {
    let mut kept = Vec::with_capacity(warm + count);
    for until in [warm, warm + count] {
        while kept.len() < until {
            let nth = kept.len();
            kept.push(register(port, nth, &format!("m{nth}"))?);
        }
        println!("{GO}");
        std::io::stdin().read_line(&mut String::new())?;
    }
    Ok(())
}
