//! Timers that are moved, and how many deferreds an instance may have.

use anyhow::Result;
use libtest_mimic::Trial;

use super::{GRANTS, Lines, ends_well, inquirer, trial};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("asking::timers::deferreds_are_given_back", deferreds_are_given_back),
        trial("asking::timers::the_last_word_on_a_timer_counts", the_last_word_counts),
    ]
}

fn deferreds_are_given_back() -> Result<()> {
    let (_folder, host) = inquirer(&format!("{GRANTS}limits = {{ deferreds = 3 }}\n"))?;
    let mut lines = Lines::asking(&host)?;
    let refused = "d refused-at-once limit";
    for _ in 0..3 {
        lines.send("a in 3600000\nb in 3600000\nc in 3600000")?;
        for question in ["in 1", "run double x", "connect tcp:192.0.2.1:1", "listen tcp:1"] {
            lines.ask_with(&format!("d {question}"), refused, "limits.deferreds")?;
        }
        // A timer that is given up makes room, and so does one that fired.
        lines.send("a cancel")?;
        lines.synchronise()?;
        for _ in 0..10 {
            lines.ask("d in 1", "d ok")?;
            lines.ask("e run double x", "e ok xx")?;
        }
        lines.send("b move 1")?;
        lines.expect("b ok")?;
        lines.send("f in 3600000\ng in 3600000")?;
        lines.ask_with("d in 1", refused, "limits.deferreds")?;
        lines.send("c cancel\nf cancel\ng cancel")?;
        lines.synchronise()?;
    }
    ends_well(host)
}

fn the_last_word_counts() -> Result<()> {
    let (_folder, host) = inquirer(GRANTS)?;
    let mut lines = Lines::asking(&host)?;
    // Earlier, and often.
    lines.send("a in 3600000\na move 7200000\na move 50\na move 1")?;
    lines.expect("a ok")?;
    // Later: what would have been first comes last. All is said in one event.
    lines.send("a in 10\nb in 20\nc in 30\na move 40\nc move 5\nb cancel")?;
    lines.expect("c ok")?;
    lines.expect("a ok")?;
    lines.ask("d echo on", "d ok on")?;
    ends_well(host)
}
