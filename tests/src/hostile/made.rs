//! Components of core modules in text: what a plugin of the corpus says, and of the prelude what
//! it needs.

use std::collections::HashSet;
use std::fs;

use anyhow::{Context, Result};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::guests::repository;

/// The text of a plugin below `tests/hostile`, without what it shares with others.
///
/// # Errors
/// Where there is none by this name.
pub fn wat_of(name: &str) -> Result<String> {
    let file = repository().join("tests/hostile").join(format!("{name}.wat"));
    fs::read_to_string(&file).with_context(|| file.display().to_string())
}

/// The component of a text: of a plugin's own items, to which those of the prelude are added.
///
/// # Errors
/// Where it is no module, or none that a component of the contract can be made of.
pub fn component_of(own: &str) -> Result<Vec<u8>> {
    let mut module = wat::parse_str(module_of(own, &wat_of("prelude")?))?;
    let mut resolve = Resolve::default();
    resolve.push_dir(repository().join("wit"))?;
    let exported = OPTIONAL.iter().filter(|name| own.contains(**name));
    let exports: String = exported.map(|name| format!("    export {name};\n")).collect();
    let package = resolve.push_str("hostile.wit", &format!("{WORLD}{exports}}}\n"))?;
    let world = resolve.select_world(&[package], None)?;
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
    ComponentEncoder::default().validate(true).module(&module)?.encode()
}

/// All that a hostile plugin may import, of which a component gets what its module imports; and
/// the beginning of what it exports.
const WORLD: &str = "
package hostile:plugin;

world hostile {
    include torsade:plugin/stream-plugin@0.1.0;
    include torsade:plugin/client@0.1.0;
    include torsade:plugin/names@0.1.0;
    include torsade:plugin/server@0.1.0;
    include torsade:plugin/sql-user@0.1.0;
";

/// What it may export besides.
const OPTIONAL: [&str; 2] = ["torsade:plugin/half-close@0.1.0", "torsade:plugin/stopping@0.1.0"];

/// A module of a plugin's own items and of the prelude's that it needs. Imports come first, as they
/// must.
fn module_of(own: &str, prelude: &str) -> String {
    let paragraphs: Vec<&str> = prelude.split("\n\n").collect();
    let (mut used, mut taken) = (HashSet::new(), vec![false; paragraphs.len()]);
    used.extend(words(own));
    loop {
        let before = used.len();
        for (paragraph, taken) in paragraphs.iter().zip(&mut taken) {
            let needed = match defined(paragraph) {
                Some(name) => used.contains(name) && !defines(own, name),
                None => true,
            };
            *taken |= needed;
            if needed {
                used.extend(words(paragraph));
            }
        }
        if used.len() == before {
            break;
        }
    }
    let all = paragraphs.iter().zip(taken).filter(|(_, taken)| *taken);
    let (imports, rest): (Vec<&str>, Vec<&str>) =
        all.map(|(paragraph, _)| *paragraph).partition(|paragraph| paragraph.contains("(import "));
    format!("(module\n{}\n{own}\n{}\n)", imports.join("\n"), rest.join("\n\n"))
}

/// The name that a paragraph of the prelude defines.
fn defined(paragraph: &str) -> Option<&str> {
    let line = paragraph.lines().find(|line| line.starts_with('('))?;
    if line.starts_with("(export ") { None } else { words(line).next() }
}

fn defines(own: &str, name: &str) -> bool {
    let ends = |rest: &str| !rest.starts_with(is_of_a_name);
    ["(func ", "(memory "].iter().any(|kind| {
        let definition = format!("{kind}{name}");
        own.match_indices(&definition).any(|(at, found)| ends(&own[at + found.len()..]))
    })
}

/// The names in a text.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices('$').map(|(at, _)| {
        let rest = &text[at + 1..];
        let end = rest.find(|character| !is_of_a_name(character)).unwrap_or(rest.len());
        &text[at..=at + end]
    })
}

fn is_of_a_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}
