//! `torsade inspect`: what a plugin says of itself, and what can be seen of it without running it.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::config::Limits;
use crate::grants::{DENIED, Grants, Import, Line, interface};
use crate::plugin::{Manifest, Memory, Outline, Schema};
use crate::walls::bytes;

use super::{Output, build, plugins};

pub(super) const HELP: &str = "\
The plugin is read, and not run. Its manifest is what whoever made it says; a plugin without one is
none the worse. With --json the fields are:
  file      where the component is
  size      its size in bytes
  memory    { initial, maximum }: that of its core modules in bytes; a maximum of null is as much as
            the service's limits.memory
  exports   the names of its exports
  imports   a list of { name, grant, optional }: the key of the grant that an import needs, or null,
            and whether the plugin can do without
  manifest  null, or { name, version, licence, serves, shared-state, optional-imports,
            config-schema }; the licence and the schema may be null";

/// Prints what a plugin is: a component's file, or a guest's folder, which is built first.
pub(super) fn inspect(plugin: &Path, as_json: bool, output: &Output) -> Result<()> {
    let file = match plugin.is_dir() {
        true => build::build(plugin, output.progress())?,
        false => plugin.to_owned(),
    };
    let bytes = plugins::read(&file, Limits::default().component_size)?;
    let about = About::of(file, &bytes).with_context(|| format!("{}", plugin.display()))?;
    let text = if as_json { format!("{:#}\n", about.json()) } else { about.text() };
    // Where standard output is closed nobody wants it.
    let _ = io::stdout().write_all(text.as_bytes());
    Ok(())
}

/// All that is told of a plugin.
struct About {
    file: PathBuf,
    size: usize,
    memory: Memory,
    exports: Vec<String>,
    /// Each with what it needs, as the service that grants nothing has it.
    imports: Vec<(Import, Line)>,
    manifest: Option<Manifest>,
}

impl About {
    fn of(file: PathBuf, bytes: &[u8]) -> Result<Self> {
        let outline = Outline::read(bytes)?;
        let manifest = Manifest::of(&outline)?;
        let optional = manifest.as_ref().map_or(&[][..], |manifest| &manifest.optional);
        let Outline { imports, exports, memory, .. } = outline;
        let imports: Vec<_> = imports.into_iter().map(|name| Import::new(name, optional)).collect();
        let lines = Grants::default().lines(&imports);
        let imports = imports.into_iter().zip(lines).collect();
        Ok(Self { file, size: bytes.len(), memory, exports, imports, manifest })
    }

    fn text(&self) -> String {
        let mut rows = Vec::new();
        let manifest = self.manifest.as_ref();
        if let Some(Manifest { serves, shares_state, .. }) = manifest {
            if !serves.is_empty() {
                rows.push(("serves", vec![serves.join(", ")]));
            }
            let together = if *shares_state { TOGETHER } else { APART };
            rows.push(("connections", vec![together.to_owned()]));
        }
        rows.push(("size", vec![bytes(self.size as u64)]));
        rows.push(("memory", vec![memory(&self.memory)]));
        let exports: Vec<_> =
            self.exports.iter().map(|name| interface(name).unwrap_or(name)).collect();
        rows.push(("exports", vec![exports.join(", ")]));
        let imports: Vec<_> = self.imports.iter().map(|(_, line)| need(line)).collect();
        rows.push(("imports", columns(&imports)));
        let schema = manifest.and_then(|manifest| manifest.schema.as_ref());
        if let Some(schema) = schema {
            let keys = schema.keys().into_iter().map(|key| [key.name, key.kind, key.meaning]);
            let keys = columns(&keys.collect::<Vec<_>>());
            rows.push(("config", if keys.is_empty() { vec!["no keys".to_owned()] } else { keys }));
        }
        let title = manifest.map_or_else(|| NO_MANIFEST.to_owned(), title);
        format!("{title}\n{}", labelled(&rows))
    }

    fn json(&self) -> Value {
        let import = |(import, line): &(Import, Line)| {
            let grant = Some(line.key).filter(|key| *key != "-");
            json!({ "name": import.name, "grant": grant, "optional": import.is_optional })
        };
        let manifest = self.manifest.as_ref().map(|manifest| {
            json!({
                "name": manifest.name,
                "version": manifest.version,
                "licence": manifest.licence,
                "serves": manifest.serves,
                "shared-state": manifest.shares_state,
                "optional-imports": manifest.optional,
                "config-schema": manifest.schema.as_ref().map(Schema::value),
            })
        });
        json!({
            "file": self.file.display().to_string(),
            "size": self.size,
            "memory": { "initial": self.memory.initial, "maximum": self.memory.maximum },
            "exports": self.exports,
            "imports": self.imports.iter().map(import).collect::<Vec<_>>(),
            "manifest": manifest,
        })
    }
}

const NO_MANIFEST: &str = "a plugin without a manifest";

const TOGETHER: &str = "share state: one sandbox, on one worker, where the service doesn't say \
                        otherwise";

const APART: &str = "each in a sandbox of its own, where the service doesn't say otherwise";

fn title(manifest: &Manifest) -> String {
    let Manifest { name, version, licence, .. } = manifest;
    let licence = licence.as_ref().map_or(String::new(), |licence| format!(", {licence}"));
    format!("{name} {version}{licence}")
}

fn memory(Memory { initial, maximum }: &Memory) -> String {
    let most = maximum.map_or_else(|| "what limits.memory allows".to_owned(), bytes);
    format!("{} to begin with, at most {most}", bytes(*initial))
}

/// An import and what it needs.
fn need(Line { import, key, gets }: &Line) -> [String; 3] {
    let needs = match (*key, &**gets) {
        ("-", "-") => "no grant".to_owned(),
        ("-", _) => "not of this host".to_owned(),
        (key, _) => format!("grants.{key}"),
    };
    let optional = if gets == DENIED { "it can do without" } else { "" };
    [import.clone(), needs, optional.to_owned()]
}

/// Cells in columns, without spaces at the lines' ends.
fn columns(rows: &[[String; 3]]) -> Vec<String> {
    let width = |at: usize| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
    let (first, second) = (width(0), width(1));
    let line = |[a, b, c]: &[String; 3]| format!("{a:first$}  {b:second$}  {c}");
    rows.iter().map(|row| line(row).trim_end().to_owned()).collect()
}

/// Lines, those with a label before the first of them.
fn labelled(rows: &[(&str, Vec<String>)]) -> String {
    let width = rows.iter().map(|(label, _)| label.len()).max().unwrap_or(0);
    let mut text = String::new();
    for (label, lines) in rows {
        for (number, line) in lines.iter().enumerate() {
            let label = if number == 0 { label } else { "" };
            text += &format!("{label:width$}  {line}\n");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(manifest: Option<&str>) -> About {
        let manifest = manifest.map(|json| Manifest::parse(json.as_bytes()).unwrap());
        let optional = ["sql".to_owned()];
        let import = |name: &str| Import::new(format!("torsade:plugin/{name}@0.1.0"), &optional);
        let imports = vec![
            import("clock"),
            import("sql"),
            import("files"),
            Import::new("wasi:cli/exit@0.2.0".to_owned(), &[]),
        ];
        let lines = Grants::default().lines(&imports);
        About {
            file: "a.wasm".into(),
            size: 3000,
            memory: Memory { initial: 17 << 16, maximum: None },
            exports: vec!["torsade:plugin/plugin@0.1.0".to_owned(), "init".to_owned()],
            imports: imports.into_iter().zip(lines).collect(),
            manifest,
        }
    }

    const MANIFEST: &str = r#"{
        "manifest": 1, "name": "a", "version": "1.2.3", "licence": "MIT", "serves": ["a", "b"],
        "shared-state": true, "optional-imports": ["sql"], "config-schema": { "properties": {
            "to": { "type": "string", "description": "Where it goes. And so on." },
            "n": { "type": ["integer", "null"] }
        } }
    }"#;

    #[test]
    fn a_plugin_is_told_in_words() {
        let want = "\
a 1.2.3, MIT
serves       a, b
connections  share state: one sandbox, on one worker, where the service doesn't say otherwise
size         2.9 KiB
memory       1.0 MiB to begin with, at most what limits.memory allows
exports      plugin, init
imports      clock                no grant
             sql                  grants.sql        it can do without
             files                grants.files
             wasi:cli/exit@0.2.0  not of this host
config       n   integer
             to  string   Where it goes
";
        assert_eq!(about(Some(MANIFEST)).text(), want);
        let bare = about(None).text();
        assert!(bare.starts_with("a plugin without a manifest\nsize     2.9 KiB\n"), "{bare}");
    }

    #[test]
    fn a_plugin_is_told_as_json() {
        let told = about(Some(MANIFEST)).json();
        assert_eq!(told["memory"], json!({ "initial": 1_114_112, "maximum": null }));
        assert_eq!(
            told["imports"][1],
            json!({ "name": "torsade:plugin/sql@0.1.0", "grant": "sql", "optional": true })
        );
        assert_eq!(told["imports"][0]["grant"], Value::Null);
        assert_eq!(told["manifest"]["shared-state"], true);
        assert_eq!(told["manifest"]["config-schema"]["properties"]["n"]["type"][0], "integer");
        assert_eq!(about(None).json()["manifest"], Value::Null);
        let fields =
            told.as_object().unwrap().keys().chain(told["manifest"].as_object().unwrap().keys());
        for field in fields {
            assert!(HELP.contains(&**field), "{field} is not documented");
        }
    }
}
