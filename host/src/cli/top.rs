//! `torsade top`: what a host does, live.

pub mod shown;
pub mod view;

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event};

use crate::observe::client::Client;
use crate::observe::status::Status;

use super::Failure;
use super::remote::{Host, ask_status};
use view::View;

pub(super) const HELP: &str = "\
Keys: n, c, a, i, o, e, s, m, p and l sort by a column, the one whose name has that letter in
brackets; r turns the order round; q, Esc and Ctrl-C end it.";

/// Shows a host's services until a key ends it.
pub(super) fn top(host: &Host) -> Result<(), Failure> {
    let mut client = host.connect()?;
    let first = ask_status(&mut client)?;
    if !io::stdout().is_terminal() {
        return Err(Failure::Input(anyhow!(
            "standard output is no terminal; `torsade status` prints the same once"
        )));
    }
    let started = ratatui::try_init().context("can't draw on this terminal");
    let mut terminal = started.map_err(Failure::Serving)?;
    let shown = show(&mut terminal, &mut client, first);
    ratatui::restore();
    shown
}

fn show(terminal: &mut DefaultTerminal, client: &mut Client, first: Status) -> Result<(), Failure> {
    let (mut view, mut now, mut before) = (View::default(), first, None);
    let failed = |error: io::Error| Failure::Serving(error.into());
    let mut next = Instant::now() + A_SECOND;
    loop {
        terminal.draw(|frame| view.draw(frame, &now, before.as_ref())).map_err(failed)?;
        if event::poll(next.saturating_duration_since(Instant::now())).map_err(failed)? {
            // Whatever else happens, such as another size of the terminal, has it drawn anew.
            if let Event::Key(key) = event::read().map_err(failed)? {
                match view.on_key(key) {
                    Some(changed) => view = changed,
                    None => return Ok(()),
                }
            }
        } else {
            before = Some(std::mem::replace(&mut now, ask_status(client)?));
            next = Instant::now() + A_SECOND;
        }
    }
}

/// How often the host is asked.
const A_SECOND: Duration = Duration::from_secs(1);
