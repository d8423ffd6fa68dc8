//! Visits to a plugin that traps on every tenth connection, one after another.

use anyhow::Result;
use torsade_tests::tenth;

use super::{GO, address};

/// Makes `warm` visits, prints `GO` and waits for a line; makes `count` more, does so again; and
/// prints how many of these were not answered. Without `traps` it makes only visits that are.
pub(crate) fn run(port: u16, warm: usize, count: usize, traps: bool) -> Result<()> {
    let mut failed = 0;
    for visits in [warm, count] {
        failed = 0;
        for nth in 0..visits {
            let nth = if traps { nth } else { tenth::that_is_answered(nth) };
            failed += usize::from(!tenth::visit(address(port), nth)?);
        }
        println!("{GO}");
        std::io::stdin().read_line(&mut String::new())?;
    }
    println!("{failed}");
    Ok(())
}
