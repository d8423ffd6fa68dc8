//! `torsade doctor`: what the walls of this machine carry, and what raises them.

use std::fs;
use std::path::Path;

use anyhow::Result;

use crate::config;
use crate::plugin::Engines;
use crate::server::{self, Goal};
use crate::walls::{Height, Wall, Walls, bytes, count};

use super::{Output, plugins, print};

pub(super) const HELP: &str = "\
The goal is what the limits of the configuration's services add up to, or without one what a service
with the default limits may have. Ends with 0 where this machine carries it, and with 1 where not.";

/// Prints what this machine carries, and says whether that is enough for the configuration, or for
/// a service with the default limits.
pub(super) fn doctor(file: Option<&Path>, output: &Output) -> Result<bool> {
    let mut config = file.map(config::load).transpose()?;
    output.start_log(config.as_mut())?;
    let config = config.map(|config| {
        let plugins = plugins::load(&config, output.progress())?;
        server::heed(&config, &plugins)
    });
    let config = config.transpose()?;
    let walls = Walls::read();
    let (goal, of) = match &config {
        Some(config) => (Goal::of(config, &walls), config.file.display().to_string()),
        None => (Goal::of_defaults(&walls), "a service with the default limits".to_owned()),
    };
    let findings = Findings { walls: &walls, goal: &goal };
    if !output.quiet {
        let text = findings.text(&of) + &beside(Path::new("/"), &goal);
        print(&text);
    }
    Ok(findings.are_good())
}

/// What the walls are to a goal.
struct Findings<'a> {
    walls: &'a Walls,
    goal: &'a Goal,
}

impl Findings<'_> {
    /// Whether no wall is in the way.
    fn are_good(&self) -> bool {
        self.walls.all().all(|wall| self.carries(wall))
    }

    fn carries(&self, wall: &Wall) -> bool {
        let taken = self.goal.takes(wall.kind);
        wall.free().zip(taken).is_none_or(|(free, taken)| taken <= free)
    }

    /// The wall that is hit first when more and more of the goal is there.
    fn first(&self) -> Option<&Wall> {
        let parts = |wall: &&Wall| {
            let taken = self.goal.takes(wall.kind).filter(|taken| *taken > 0)?;
            Some(u128::from(wall.free()?) * 1_000_000 / u128::from(taken))
        };
        self.walls.all().filter(|wall| parts(wall).is_some()).min_by_key(parts)
    }

    fn text(&self, of: &str) -> String {
        let goal = self.goal;
        let sandboxes = goal.sandboxes().count as u64;
        let mut text = format!(
            "The goal, {of}: {} connections, {} sandboxes, {} of memory while all are idle \
             (at most {}).\n\n",
            count(goal.connections as u64),
            count(sandboxes),
            bytes(goal.idle_memory),
            bytes(goal.most_memory),
        );
        text += &table(&self.rows());
        text += "\n";
        text += &self.verdict();
        text += "\nWhat raises them:\n";
        for wall in self.walls.all().filter(|wall| matches!(wall.height, Height::At(_))) {
            text += &format!("  {:<17} {}\n", wall.kind.to_string(), self.remedy(wall));
        }
        text
    }

    fn rows(&self) -> Vec<[String; 6]> {
        let mut rows = vec![
            ["wall", "number", "used", "carries connections", "carries sandboxes", ""]
                .map(str::to_owned),
        ];
        for wall in self.walls.all() {
            let show = |number| if wall.kind.is_bytes() { bytes(number) } else { count(number) };
            let number = match wall.height {
                Height::At(height) => show(height),
                Height::Endless => "none".to_owned(),
                Height::Unknown => "unknown".to_owned(),
            };
            let or_dash = |number: Option<String>| number.unwrap_or_else(|| "-".to_owned());
            let (connections, sandboxes) = self.goal.carried_by(wall);
            rows.push([
                wall.kind.to_string(),
                number,
                or_dash(wall.used.map(show)),
                or_dash(connections.map(count)),
                or_dash(sandboxes.map(count)),
                if self.carries(wall) { "" } else { "too low" }.to_owned(),
            ]);
        }
        rows
    }

    fn verdict(&self) -> String {
        let carried: (Vec<_>, Vec<_>) =
            self.walls.all().map(|wall| self.goal.carried_by(wall)).unzip();
        let least = |carried: &[Option<u64>]| {
            carried.iter().flatten().min().map_or("any number of".to_owned(), |n| count(*n))
        };
        let mut text = format!(
            "This machine carries {} connections and {} sandboxes.",
            least(&carried.0),
            least(&carried.1)
        );
        match self.first() {
            Some(wall) => text += &format!(" The first wall to be hit is {}.", wall.kind),
            None => text += " There is no wall.",
        }
        text += match self.are_good() {
            true => "\nThe goal is carried.\n",
            false => "\nThe goal is not carried: connections beyond it wait, or are refused.\n",
        };
        if let Height::At(soft) = self.walls.descriptors_soft
            && self.walls.descriptors.height != self.walls.descriptors_soft
        {
            let soft = count(soft);
            text += &format!("The soft limit of nofile is {soft}: the host raises it by itself.\n");
        }
        text
    }

    /// What makes room for the goal, or for twice as much as now where there is room.
    fn remedy(&self, wall: &Wall) -> String {
        let taken = self.goal.takes(wall.kind).unwrap_or(0);
        let double = match wall.height {
            Height::At(height) if self.carries(wall) => height.saturating_mul(2),
            Height::At(_) | Height::Endless | Height::Unknown => 0,
        };
        wall.remedy(double.max(wall.enough_for(taken)))
    }
}

/// The rows with their columns below each other, the first to the left, numbers to the right.
fn table(rows: &[[String; 6]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let mut text = String::new();
    for [name, rest @ ..] in rows {
        let mut line = format!("  {name:<width$}", width = width(0));
        for (cell, column) in rest.iter().zip(1..) {
            line += &format!("  {cell:>width$}", width = width(column));
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

/// What else is to be known of a machine.
fn beside(root: &Path, goal: &Goal) -> String {
    let read = |file: &str| fs::read_to_string(root.join(file)).ok();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let clock = read("sys/devices/system/clocksource/clocksource0/current_clocksource");
    let clock = match clock.as_deref().map(str::trim) {
        Some(source @ ("acpi_pm" | "hpet" | "jiffies")) => {
            format!("{source}, which is slow to read: boot with clocksource=tsc if there is one")
        }
        Some(source) => source.to_owned(),
        None => "unknown".to_owned(),
    };
    let scan = match Engines::are_cleared_by_scan() {
        true => "the kernel tells which pages a sandbox has touched (PAGEMAP_SCAN)",
        false => "the kernel has no PAGEMAP_SCAN (Linux 6.7): sandboxes cost more to end",
    };
    let somaxconn = read("proc/sys/net/core/somaxconn");
    let somaxconn = somaxconn.and_then(|text| text.trim().parse::<u64>().ok());
    let backlog = match somaxconn {
        None => "net.core.somaxconn is unknown".to_owned(),
        Some(most) if most < u64::from(goal.backlog) => format!(
            "{} are wanted, net.core.somaxconn allows {most}: sysctl -w net.core.somaxconn={}",
            goal.backlog, goal.backlog
        ),
        Some(most) => format!("{} fit into net.core.somaxconn ({most})", goal.backlog),
    };
    let lines = [
        ("cores", cores.to_string()),
        ("clock", clock),
        ("pages", scan.to_owned()),
        ("backlog", backlog),
        ("cache", cache()),
    ];
    let lines = lines.map(|(name, words)| format!("  {name:<17} {words}\n"));
    format!("\nBesides:\n{}", lines.concat())
}

/// Whether compiled plugins are kept.
fn cache() -> String {
    match server::cache_folder() {
        Ok(folder) if !folder.exists() => {
            format!("{} will be made, for this user alone", folder.display())
        }
        Ok(folder) => match server::check_private(&folder) {
            Ok(()) => format!("{} is this user's alone", folder.display()),
            Err(error) => format!("compiled plugins are not kept: {error:#}"),
        },
        Err(error) => format!("compiled plugins are not kept: {error:#}"),
    }
}

#[cfg(test)]
#[path = "doctor_tests.rs"]
mod tests;
