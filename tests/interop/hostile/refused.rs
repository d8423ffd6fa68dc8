//! Hostile plugins that are found out before anything is bound.

use std::fs;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use torsade_tests::hostile::refused::{self, Refused};

use super::super::bad_configuration::message;
use super::super::{folder, trial};

pub(super) fn trials() -> Vec<Trial> {
    let is_refused = |refused: &'static Refused| {
        let name = format!("hostile::{}_is_refused", refused.name.replace('-', "_"));
        trial(&name, move || is_refused(refused))
    };
    refused::all().iter().map(is_refused).collect()
}

/// One message says what is wrong, which it alone has the words for, and the status is 2.
fn is_refused(refused: &Refused) -> Result<()> {
    let service = "[service.bad]\nplugin = \"bad.wasm\"\nlisten = [\"unix:bad.sock\"]\n";
    let folder = folder(service)?;
    let component = refused.component().with_context(|| refused.name.to_owned())?;
    fs::write(folder.path().join("bad.wasm"), component)?;
    for command in ["check", "up"] {
        let message = message(command, folder.path())?;
        for word in refused.words.iter().chain(&["service.bad", "bad.wasm"]) {
            ensure!(message.contains(word), "{command} does not say {word:?}:\n{message}");
        }
        ensure!(message.lines().count() == 1, "{command} says more than one line:\n{message}");
        ensure!(message.len() < 2048, "{command} says {} bytes:\n{message}", message.len());
        let plain = !message.trim_end().contains(char::is_control);
        ensure!(plain, "{command} controls the terminal: {message:?}");
    }
    Ok(())
}
