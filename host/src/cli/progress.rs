//! What a person sees while waiting: a spinner on a terminal, lines elsewhere, on standard error.

use std::io::{self, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// How often the spinner moves.
const TICK: Duration = Duration::from_millis(100);

/// How much is shown of work that takes a while.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Progress {
    /// All that the tools print, as they print it.
    Everything,
    /// A line where something takes long.
    Lines,
    /// A spinner that is gone afterwards. For terminals.
    Live,
    /// Nothing.
    Silent,
}

/// Work that is going on; it ends when this is dropped.
#[derive(Debug)]
pub struct Step {
    name: String,
    spinner: Option<ProgressBar>,
}

impl Progress {
    /// Begins work that a person waits for, if it shows while it goes on.
    pub fn step(self, name: impl Into<String>) -> Step {
        let name = name.into();
        let spinner = (self == Self::Live).then(|| {
            let style = ProgressStyle::with_template("{spinner} {wide_msg}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner());
            let spinner = ProgressBar::new_spinner().with_style(style).with_message(name.clone());
            spinner.enable_steady_tick(TICK);
            spinner
        });
        Step { name, spinner }
    }

    /// Prints a line that is to stay.
    pub fn line(self, line: &str) {
        if self != Self::Silent {
            // Where standard error is closed nobody is waiting.
            let _ = writeln!(io::stderr(), "{line}");
        }
    }
}

impl Step {
    /// Shows what the work has come to.
    pub fn at(&self, detail: &str) {
        if let Some(spinner) = &self.spinner {
            spinner.set_message(format!("{}: {}", self.name, detail.trim()));
        }
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if let Some(spinner) = &self.spinner {
            spinner.finish_and_clear();
        }
    }
}
