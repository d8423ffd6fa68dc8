//! `torsade check`: all that can be found wrong before anything is bound, and what each plugin gets.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use clap::Args;

use crate::config::{Config, Limit, Source};
use crate::grants::{Line, MISSING};
use crate::{config, server};

use super::{Output, plugins, print};

/// What can be checked, and asked about configurations.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// A configuration, or a folder that holds a torsade.toml
    #[arg(value_name = "FILE or FOLDER", default_value = ".")]
    file: PathBuf,
    /// Only read the configuration, and print each service's limits: key, value, and where that
    /// comes from, which is a line of the file or the default
    #[arg(long)]
    limits: bool,
    /// Only say what a key of torsade.toml means, such as "limits.memory"; without KEY what each does
    #[arg(long, value_name = "KEY", conflicts_with = "limits")]
    explain: Option<Option<String>>,
    /// Only print the JSON Schema of torsade.toml, for editors
    #[arg(long, conflicts_with_all = ["limits", "explain"])]
    schema: bool,
}

/// Does what is asked about a configuration, or about all of them.
pub(super) fn check(arguments: &Arguments, output: &Output) -> Result<()> {
    match &arguments.explain {
        Some(Some(key)) => print(&config::explain(key).map_err(|problem| anyhow!("{problem}"))?),
        Some(None) => print(&config::reference()),
        None if arguments.schema => print(&format!("{:#}\n", config::schema())),
        None if arguments.limits => print(&limits_table(&config::load(&arguments.file)?)),
        None => return all(&arguments.file, output),
    }
    Ok(())
}

/// Reads the configuration, builds and loads its plugins, lists what they are granted, and says
/// that all is right.
fn all(file: &Path, output: &Output) -> Result<()> {
    let mut config = config::load(file)?;
    output.start_log(Some(&mut config))?;
    let progress = output.progress();
    let plugins = plugins::load(&config, progress)?;
    let checking = progress.step("checking");
    let mut lines = Vec::new();
    let checked = server::check(&config, &plugins, &mut lines);
    drop(checking);
    let explains = lines.iter().flatten().any(|line| line.gets == MISSING);
    if !output.quiet && (checked.is_ok() || explains) {
        print(&told(&config, &lines, checked.is_ok()));
    }
    checked
}

/// The lines of all services, and behind them that all can be served, if it can.
fn told(config: &Config, lines: &[Vec<Line>], can_be_served: bool) -> String {
    let names: Vec<&str> = config.services.iter().map(|service| &*service.name).collect();
    let mut told = table(&names, lines);
    if can_be_served {
        told += &format!("{} can be served: {}\n", config.file.display(), names.join(", "));
    }
    told
}

/// Service, import, the key of the grant that it needs, and what it gets, in columns.
fn table(names: &[&str], lines: &[Vec<Line>]) -> String {
    let all = || lines.iter().flatten();
    let services = names.iter().map(|name| name.len()).max().unwrap_or(0);
    let imports = all().map(|line| line.import.len()).max().unwrap_or(0);
    let keys = all().map(|line| line.key.len()).max().unwrap_or(0);
    let mut table = String::new();
    for (name, lines) in names.iter().zip(lines) {
        for (number, Line { import, key, gets }) in lines.iter().enumerate() {
            let name = if number == 0 { name } else { "" };
            table += &format!("{name:services$}  {import:imports$}  {key:keys$}  {gets}\n");
        }
    }
    table
}

/// A line for each limit of each service: its key, its value, and where that comes from.
fn limits_table(config: &Config) -> String {
    let rows: Vec<(&str, Limit)> = config
        .services
        .iter()
        .flat_map(|service| {
            let limits = service.limits.list(&service.limit_lines);
            limits.into_iter().map(|limit| (&*service.name, limit))
        })
        .collect();
    let width = |of: fn(&(&str, Limit)) -> usize| rows.iter().map(of).max().unwrap_or(0);
    let (names, keys, values) =
        (width(|row| row.0.len()), width(|row| row.1.key.len()), width(|row| row.1.value.len()));
    let mut lines = String::new();
    for (name, Limit { key, value, source, .. }) in &rows {
        let source = match source {
            Source::Default => "default".to_owned(),
            Source::Line(line) => format!("{}:{line}", config.file.display()),
        };
        lines += &format!("{name:names$}  {key:keys$}  {value:>values$}  {source}\n");
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn limits_stand_in_columns_with_their_sources() {
        let text = "[service.a]\nplugin = \"src/lib.rs\"\nlimits = { jobs = 8 }\n\
                    [service.site]\nplugin = \"src/lib.rs\"\n[service.site.limits]\n\
                    rows = 7\nidle = \"2h\"\n";
        let config = config::parse(Path::new("torsade.toml"), text.as_bytes()).unwrap();
        let table = limits_table(&config);
        for row in [
            "a jobs 8 torsade.toml:3",
            "a memory 16MiB default",
            "a idle none default",
            "site rows 7 torsade.toml:7",
            "site idle 2h torsade.toml:8",
            "site jobs 4 default",
        ] {
            let is_it = |line: &&str| line.split_whitespace().eq(row.split(' '));
            assert_eq!(table.lines().filter(is_it).count(), 1, "{row}\n{table}");
        }
        let sources: BTreeSet<_> = table.lines().map(|line| line.rfind(' ')).collect();
        assert_eq!(sources.len(), 1, "{table}");
    }

    #[test]
    fn what_plugins_get_stands_in_columns() {
        let line = |import: &str, key, gets: &str| Line {
            import: import.to_owned(),
            key,
            gets: gets.to_owned(),
        };
        let site = vec![line("clock", "-", "-"), line("files", "files", "{ read = \"public\" }")];
        let wants = "\
site  clock  -      -
      files  files  { read = \"public\" }
a     -      sql    unused
";
        assert_eq!(table(&["site", "a"], &[site, vec![line("-", "sql", "unused")]]), wants);
    }
}
