//! What a component imports, set beside what its service grants.

use super::{Clear, Grant, Grants, Store, Users};
use crate::suggest::nearest;

/// What a component imports.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Import {
    /// Its name, with package and version: `torsade:plugin/files@0.1.0`.
    pub name: String,
    /// Whether the plugin can do without: then a service need not grant it, and what the plugin asks
    /// for by it is denied.
    pub is_optional: bool,
}

/// A line of what a plugin asks for and what it gets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Line {
    /// What it imports, or `-`.
    pub import: String,
    /// The key of the grant that this needs, or `-`.
    pub key: &'static str,
    /// The grant's value, as the configuration has it; `-` where none is needed, [`MISSING`] where
    /// it isn't given, [`DENIED`] where it isn't and need not be, [`UNUSED`] where nothing needs it.
    pub gets: String,
}

/// What takes a grant that isn't given, and the plugin can do without.
pub const DENIED: &str = "denied";

/// What takes a grant that isn't given.
pub const MISSING: &str = "missing";

/// What is granted and not imported.
pub const UNUSED: &str = "unused";

/// What an import needs.
enum Need {
    Grant(Grant),
    Nothing,
    /// This host doesn't have it.
    Unknown,
}

impl Import {
    /// An import of a component that can do without some interfaces of the contract, which are named
    /// without package and version.
    pub fn new(name: String, optional: &[String]) -> Self {
        let is_optional =
            interface(&name).is_some_and(|interface| optional.iter().any(|it| it == interface));
        Self { name, is_optional }
    }
}

/// Whether an interface may be one that a plugin can do without.
///
/// # Errors
/// Says that there is none of this name, or that everybody has it.
pub fn check_optional(interface: &str) -> Result<(), String> {
    if GRANTS.iter().any(|(granted, _)| *granted == interface) {
        return Ok(());
    }
    if GROUND.contains(&interface) {
        return Err(format!("{interface} needs no grant, so that every plugin has it"));
    }
    let known = GRANTS.map(|(granted, _)| granted);
    let meant =
        nearest(interface, known).map_or(String::new(), |it| format!("did you mean {it}? "));
    Err(format!("no interface is called {interface:?}; {meant}there are {}", known.join(", ")))
}

impl Grants {
    /// Whether a component may have all that it imports.
    ///
    /// # Errors
    /// Says what this host does not have, or what is missing in the `grants` table.
    pub fn check(&self, imports: &[Import]) -> Result<(), String> {
        let names = imports.iter().map(|import| &*import.name);
        let unknown: Vec<_> = names.filter(|name| matches!(need(name), Need::Unknown)).collect();
        if !unknown.is_empty() {
            let (shown, left) = unknown.split_at(unknown.len().min(UNKNOWN));
            let shown = shown.join(", ");
            let more =
                if left.is_empty() { String::new() } else { format!(" and {} more", left.len()) };
            return Err(format!("it imports what this host does not have: {shown}{more}"));
        }
        match self.missing(imports) {
            Some(missing) if !self.dry_run => Err(missing),
            _ => Ok(()),
        }
    }

    /// What a component imports that isn't granted, in words, if it does.
    pub fn missing(&self, imports: &[Import]) -> Option<String> {
        let missing = imports.iter().filter_map(|import| match need(&import.name) {
            Need::Grant(grant) if !self.gives(grant) && !import.is_optional => {
                Some((interface(&import.name)?, grant.key()))
            }
            _ => None,
        });
        let (interfaces, keys): (Vec<_>, Vec<_>) = missing.unzip();
        (!keys.is_empty()).then(|| {
            let (interfaces, keys) = (interfaces.join(", "), keys.join(", "));
            format!(
                "it imports {interfaces}, which its service does not grant; add {keys} to `grants`"
            )
        })
    }

    /// A line for each import, and for each grant that none of them needs.
    pub fn lines(&self, imports: &[Import]) -> Vec<Line> {
        let needs = |wanted: Grant| {
            let mut needs = imports.iter().map(|import| need(&import.name));
            needs.any(|need| matches!(need, Need::Grant(it) if it == wanted))
        };
        let unused = |grant: &Grant| self.gives(*grant) && !needs(*grant);
        let unused = Grant::ALL.into_iter().filter(unused).map(|grant| Line {
            import: "-".to_owned(),
            key: grant.key(),
            gets: UNUSED.to_owned(),
        });
        imports.iter().map(|import| self.line_of(import)).chain(unused).collect()
    }

    fn line_of(&self, Import { name, is_optional }: &Import) -> Line {
        let (key, gets) = match need(name) {
            Need::Grant(grant) => {
                let without = if *is_optional { DENIED } else { MISSING };
                (grant.key(), self.value(grant).unwrap_or_else(|| without.to_owned()))
            }
            Need::Nothing => ("-", "-".to_owned()),
            Need::Unknown => ("-", "unknown".to_owned()),
        };
        Line { import: interface(name).unwrap_or(name).to_owned(), key, gets }
    }

    /// What stands behind a grant's key.
    fn value(&self, grant: Grant) -> Option<String> {
        self.gives(grant).then(|| match grant {
            Grant::Connect => list(&self.connect),
            Grant::Credentials => self.credentials.as_ref().map_or_else(String::new, users),
            Grant::Files => {
                let folder = self.files.as_deref().unwrap_or(&self.folder);
                format!("{{ read = {} }}", quoted(&folder.display().to_string()))
            }
            Grant::Jobs | Grant::Resolver | Grant::Services => "true".to_owned(),
            Grant::KeyValue | Grant::Sql => store(self.database().unwrap_or(Store::File)),
            Grant::Listen => list(&self.listen),
            Grant::Multicast => list(&self.multicast),
        })
    }
}

/// The interface of the contract that a component names, of whatever version.
pub fn interface(name: &str) -> Option<&str> {
    name.strip_prefix("torsade:plugin/").and_then(|rest| rest.split('@').next())
}

fn need(import: &str) -> Need {
    let Some(interface) = interface(import) else { return Need::Unknown };
    let grant = GRANTS.iter().find(|(granted, _)| *granted == interface);
    match grant {
        Some((_, grant)) => Need::Grant(*grant),
        None if GROUND.contains(&interface) => Need::Nothing,
        None => Need::Unknown,
    }
}

/// Interfaces that need no grant.
const GROUND: [&str; 9] =
    ["clock", "datagrams", "deferreds", "log", "random", "timers", "tls", "transports", "types"];

/// Interfaces that need a grant.
const GRANTS: [(&str, Grant); 10] = [
    ("client-endpoints", Grant::Connect),
    ("credentials", Grant::Credentials),
    ("files", Grant::Files),
    ("jobs", Grant::Jobs),
    ("key-value", Grant::KeyValue),
    ("multicast", Grant::Multicast),
    ("resolver", Grant::Resolver),
    ("server-endpoints", Grant::Listen),
    ("services", Grant::Services),
    ("sql", Grant::Sql),
];

/// A list of strings, as TOML has it.
pub(super) fn list(items: &[impl ToString]) -> String {
    let items: Vec<_> = items.iter().map(|item| quoted(&item.to_string())).collect();
    format!("[{}]", items.join(", "))
}

pub(super) fn store(store: Store) -> String {
    match store {
        Store::File => quoted("file"),
        Store::Memory => quoted(":memory:"),
    }
}

fn users(Users { file, plain, create }: &Users) -> String {
    let file = quoted(&file.display().to_string());
    let create = match create.is_empty() {
        true => String::new(),
        false => format!(", create = {}", list(create)),
    };
    match (plain, create.is_empty()) {
        (Clear::Never, true) => file,
        _ => format!("{{ users = {file}, plain = {}{create} }}", quoted(plain.key())),
    }
}

/// A string, as TOML has it. What JSON escapes, TOML reads; TOML alone escapes DEL.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

/// How many of the imports that are unknown a message has.
const UNKNOWN: usize = 8;
