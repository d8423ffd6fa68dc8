//! What people are told of the keys: all of them as a document, and some by name.

use super::keys::{self, Key, NAME, Without};
use crate::suggest::nearest;

/// The longest line of an explanation, in characters.
const WIDTH: usize = 96;

const PREFACE: &str = "\
# The keys of `torsade.toml`

`torsade check --explain KEY` says what a key means, by its whole path or by the end of it
(`limits.memory`, `memory`); `torsade check --explain` without a key prints this file.
`torsade check --schema` prints a JSON Schema, by which editors complete and check a configuration;
[`host/torsade.schema.json`](host/torsade.schema.json) is the same. An editor with Taplo (in VS Code
\"Even Better TOML\") takes it from the first line of a file:

```toml
#:schema torsade.schema.json
```

A *size* is a string with a unit (`\"16MiB\"`: B, KiB, MiB, GiB, kB, MB, GB), a *time* too (`\"50ms\"`:
ns, us, ms, s, min, h), and a *share* a string of whole percent (`\"50%\"`). A *path* is relative to
the folder of the file. [README.md](README.md) says what endpoints, targets and ranges are.
";

/// All keys as a document in Markdown, a table of keys for each table of the file.
pub fn reference() -> String {
    let keys = &keys::ALL[..];
    let mut text = PREFACE.to_owned();
    let tables = keys.iter().map(|key| &*key.path).filter(|path| has_keys(keys, path));
    for table in std::iter::once("").chain(tables) {
        let heading = match table {
            "" => "The file".to_owned(),
            table => format!("`[{table}]`"),
        };
        text += &format!("\n## {heading}\n");
        if let Some(key) = keys.iter().find(|key| key.path == table) {
            text += &format!("\n{}\n", key.words);
        }
        text += "\n| key | type | default | example | means |\n|---|---|---|---|---|\n";
        for key in rows(keys, table) {
            let default = match &key.without {
                Without::Is(value) => format!("`{value}`"),
                Without::Means(words) => (*words).to_owned(),
                Without::Wrong => "required".to_owned(),
            };
            let (name, form, words) = (key.name(), key.form.words(), &key.words);
            let example = format!("`{}`", key.example);
            let example = if example == default { "" } else { &example };
            text += &format!("| `{name}` | {form} | {default} | {example} | {words} |\n");
        }
    }
    text
}

/// Whether it is a table whose keys have fixed names.
fn has_keys(keys: &[Key], table: &str) -> bool {
    rows(keys, table).any(|key| key.name() != NAME)
}

fn rows<'a>(keys: &'a [Key], table: &'a str) -> impl Iterator<Item = &'a Key> {
    keys.iter().filter(move |key| key.table() == table)
}

/// What each key means that is named so: by its whole path, in which a service may have its own
/// name, or by the end of it.
///
/// # Errors
/// Where there is no such key. Says which one is meant, perhaps.
pub fn explain(name: &str) -> Result<String, String> {
    let keys = &keys::ALL[..];
    let path = of_any_service(name);
    let config = format!("service.{NAME}.config");
    // What is in it the plugin knows.
    let path = if path.starts_with(&format!("{config}.")) { config } else { path };
    let is_named = |key: &&Key| {
        key.path
            .strip_suffix(&path)
            .is_some_and(|before| before.is_empty() || before.ends_with('.'))
    };
    let found: Vec<String> = keys.iter().filter(is_named).map(|key| explained(keys, key)).collect();
    if !found.is_empty() {
        return Ok(found.join("\n"));
    }
    let last = path.rsplit('.').next().unwrap_or_default();
    let shown: String = name.chars().take(WIDTH).collect();
    let meant = nearest(last, keys.iter().map(Key::name)).map_or_else(
        || "`torsade check --explain` lists all".to_owned(),
        |key| format!("did you mean {key}?"),
    );
    Err(format!("there is no key {shown:?}; {meant}"))
}

/// A path with [`NAME`] for the name of a service, as messages have it.
fn of_any_service(name: &str) -> String {
    let mut parts: Vec<&str> = name.trim_matches(['[', ']']).split('.').collect();
    if let ["service", service, ..] = &mut parts[..] {
        *service = NAME;
    }
    parts.join(".")
}

fn explained(keys: &[Key], key: &Key) -> String {
    let mut text = format!("{}\n\n", key.path);
    for line in wrapped(&key.words, WIDTH - 2) {
        text += &format!("  {line}\n");
    }
    let default = match &key.without {
        Without::Is(value) => value.as_str(),
        Without::Means(words) => *words,
        Without::Wrong => "it is required",
    };
    text += &format!("\n  type     {}\n  default  {default}\n", key.form.words());
    let (table, name, example) = (key.table().replace(NAME, "site"), key.name(), &key.example);
    let name = if name == NAME { "site" } else { name };
    let heading = if table.is_empty() { table } else { format!("[{table}]\n           ") };
    text += &format!("  example  {heading}{name} = {example}\n");
    let below: Vec<&str> = rows(keys, &key.path).map(Key::name).collect();
    let lines = wrapped(&below.join(", "), WIDTH - 11);
    for (line, title) in lines.iter().zip(std::iter::once("keys").chain(std::iter::repeat(""))) {
        text += &format!("  {title:9}{line}\n");
    }
    text
}

/// Words in lines of at most so many characters, where no word is longer.
fn wrapped(words: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                *line += &format!(" {word}");
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_explained_with_all_that_is_said_of_it() {
        let want = "\
service.NAME.limits.memory

  Linear memory of one instance; it can't grow beyond. Results that were reported and not taken
  may hold as much again; then it traps.

  type     size, 64KiB to 4GiB
  default  \"16MiB\"
  example  [service.site.limits]
           memory = \"16MiB\"
";
        for name in
            ["service.NAME.limits.memory", "service.chat.limits.memory", "limits.memory", "memory"]
        {
            assert_eq!(explain(name).as_deref(), Ok(want), "{name}");
        }
    }

    #[test]
    fn a_table_is_explained_with_its_keys() {
        let told = explain("[service.site.grants]").unwrap();
        assert!(told.starts_with("service.NAME.grants\n\n  What its plugin may reach"), "{told}");
        assert!(told.ends_with("credentials, dry-run\n"), "{told}");
        assert!(told.lines().all(|line| line.chars().count() <= WIDTH), "{told}");
    }

    #[test]
    fn a_name_that_several_keys_have_explains_each() {
        let told = explain("workers").unwrap();
        let paths: Vec<&str> = told.lines().filter(|line| line.ends_with("workers")).collect();
        assert_eq!(paths, ["workers", "service.NAME.workers"]);
        assert_eq!(explain("service.a.workers").unwrap().matches("  type ").count(), 1);
    }

    #[test]
    fn what_is_in_config_is_the_plugins() {
        assert_eq!(explain("service.site.config.index"), explain("service.NAME.config"));
        assert!(explain("config").unwrap().contains("The plugin's own configuration"));
    }

    #[test]
    fn of_an_unknown_key_the_nearest_is_told() {
        for (name, want) in [
            ("limits.memry", "there is no key \"limits.memry\"; did you mean memory?"),
            ("", "there is no key \"\"; `torsade check --explain` lists all"),
            ("emory", "there is no key \"emory\"; did you mean memory?"),
        ] {
            assert_eq!(explain(name).unwrap_err(), want, "{name}");
        }
        assert!(explain(&"a".repeat(100_000)).unwrap_err().len() < 200);
    }
}
