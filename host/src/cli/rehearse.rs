//! `torsade test`: conversations with a guest's component, in a simulated network.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use torsade_guest::testing::conversation::{Conversation, Cut, Fault, chunked, replay};

use crate::config::{self, Config};
use crate::rehearsal::Stage;
use crate::server::Rehearsed;

use super::{Output, plugins};

/// Builds a guest, replays its conversations, prints what came of each, and says whether all went
/// as told.
pub(super) fn test(guest: &Path, output: &Output) -> Result<bool> {
    let folder = guest.join(FOLDER);
    let mut conversations = match Conversation::folder(&folder) {
        Ok(conversations) if !conversations.is_empty() => conversations,
        Ok(_) => return Err(anyhow!("{} has no conversation, no file *.txt", folder.display())),
        Err(fault) => return Err(anyhow!("{fault}")),
    };
    let mut config = configuration(guest, &mut conversations)?;
    config.services.truncate(1);
    // What goes wrong is told by the conversation.
    config.log = Some("error".to_owned());
    output.start_log(Some(&mut config))?;
    let progress = output.progress();
    let plugins = plugins::load(&config, progress)?;
    let compiling = progress.step("starting");
    let rehearsed = Rehearsed::load(&config, &plugins)?;
    drop(compiling);
    let width = conversations.iter().map(|it| it.file.len()).max().unwrap_or(0);
    let mut failed = false;
    for conversation in &conversations {
        let running = progress.step(&conversation.file);
        let came_to = rehearse(conversation, &rehearsed);
        drop(running);
        let line = match came_to {
            Ok(fuel) => format!("{:width$}  {}", conversation.file, told(&fuel)),
            Err(fault) => {
                failed = true;
                fault.to_string()
            }
        };
        // Where standard output is closed the status tells it.
        let _ = writeln!(io::stdout(), "{line}");
    }
    Ok(!failed)
}

/// The guest's own configuration; or, where it has none, one in which it may use whatever a
/// simulation has. It may need a `config` to be found right: the first that a conversation tells.
/// Conversations that tell none then have an empty one.
fn configuration(guest: &Path, conversations: &mut [Conversation]) -> Result<Config> {
    let file = guest.join(config::FILE_NAME);
    if file.try_exists().is_ok_and(|is_there| is_there) {
        return Ok(config::load(&file)?);
    }
    let folder = fs::canonicalize(guest).with_context(|| guest.display().to_string())?;
    let mut config = config::parse(&folder.join(config::FILE_NAME), DEFAULT.as_bytes())?;
    let told = conversations.iter().find(|it| !it.config.is_empty());
    if let (Some(told), Some(service)) = (told, config.services.first_mut()) {
        let wrong = || format!("{}: `config` tells no JSON", told.file);
        service.config = serde_json::from_str(&told.config).with_context(wrong)?;
    }
    for silent in conversations.iter_mut().filter(|it| it.config.is_empty()) {
        "{}".clone_into(&mut silent.config);
    }
    Ok(config)
}

/// Replays a conversation, uncut and cut everywhere. Gives what each thing that a peer did took.
fn rehearse(conversation: &Conversation, rehearsed: &Rehearsed) -> Result<Vec<u64>, Fault> {
    let fault = |what| Fault { place: conversation.file.clone(), what };
    let stage = || {
        let settings = rehearsed.service().map_err(|error| format!("{error:#}"))?;
        Stage::of(conversation, settings)
    };
    let mut whole = stage().map_err(fault)?;
    replay(conversation, &mut whole, Cut::Never)?;
    if whole.failed() > 0 {
        return Err(fault("the plugin has failed: the log says why".to_owned()));
    }
    let fuel = whole.fuel().to_vec();
    if let (Some(most), Some(allowed)) = (fuel.iter().max(), conversation.fuel)
        && *most > allowed
    {
        let most = grouped(*most);
        let allowed = grouped(allowed);
        return Err(fault(format!(
            "a step took {most} instructions, and by its line `fuel` no more than {allowed} are right"
        )));
    }
    chunked(conversation, stage)?;
    Ok(fuel)
}

/// What a conversation took, for a person.
fn told(fuel: &[u64]) -> String {
    let (most, all) = (fuel.iter().max().copied().unwrap_or(0), fuel.iter().sum());
    format!("goes as told; fuel {} for one step at most, {} in all", grouped(most), grouped(all))
}

/// A number with its thousands apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let places = digits.chars().enumerate();
    places.fold(String::new(), |mut text, (place, digit)| {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
        text
    })
}

/// The folder of a guest's conversations.
const FOLDER: &str = "conversations";

/// How a guest is served that has no configuration of its own.
const DEFAULT: &str = r#"
[service.guest]
plugin = "."
listen = ["tcp:1"]
instances = "per-worker"

[service.guest.grants]
connect = ["tcp:*:*"]
files = { read = "." }
jobs = true
key-value = ":memory:"
listen = ["tcp:1-65535"]
resolver = true
services = true
sql = ":memory:"
"#;

#[cfg(test)]
mod tests {
    use super::{DEFAULT, config, grouped, told};

    #[test]
    fn a_guest_without_a_configuration_can_be_served() {
        let file = std::path::Path::new("torsade.toml");
        let config = config::parse(file, DEFAULT.as_bytes()).unwrap();
        assert_eq!(config.services.len(), 1);
    }

    #[test]
    fn fuel_is_told_in_thousands() {
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1,234,567");
        let line = told(&[10, 2_000, 30]);
        assert_eq!(line, "goes as told; fuel 2,000 for one step at most, 2,040 in all");
    }
}
