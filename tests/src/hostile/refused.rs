//! Plugins that must not be served at all: they are refused when they are loaded, or tried.

use std::fmt::Write;
use std::iter;

use anyhow::Result;

use super::{component_of, wat_of};

/// A plugin that is refused before anything is bound.
#[derive(Clone, Copy, Debug)]
pub struct Refused {
    /// Its name.
    pub name: &'static str,
    /// What is wrong with it, in one line.
    pub what: &'static str,
    /// What the refusal says, beside the service and the file.
    pub words: &'static [&'static str],
    made: Made,
}

/// Where its component comes from.
#[derive(Clone, Copy, Debug)]
enum Made {
    /// It is made when it is wanted: its text.
    Generated(fn() -> String),
    /// A plugin like others, in a file of 100 MB.
    Large,
    /// The text of its name below `tests/hostile`.
    Wat,
}

impl Refused {
    /// Its component.
    ///
    /// # Errors
    /// Where its text is wrong.
    pub fn component(&self) -> Result<Vec<u8>> {
        match self.made {
            Made::Generated(text) => Ok(wat::parse_str(text())?),
            Made::Large => large(100_000_000),
            Made::Wat => component_of(&wat_of(self.name)?),
        }
    }
}

/// All of them.
pub fn all() -> &'static [Refused] {
    ALL
}

const ALL: &[Refused] = &[
    wat("init-loop", "its own start function never ends", &["limits.start-deadline"]),
    wat("start-loop", "its start never ends", &["limits.start-deadline"]),
    wat("start-trap", "it traps at its start", &["does not start", "unreachable"]),
    wat("start-hoard", "it takes all memory at its start", &["limits.memory"]),
    wat("start-not-utf8", "it refuses in words that are no UTF-8", &["utf-8"]),
    wat("start-forged", "it refuses in words that look as another's", &["refused its `config`"]),
    wat("start-long", "it refuses in too many words", &["refused its `config`"]),
    wat("start-bad-discriminant", "its start neither succeeds nor fails", &["discriminant"]),
    wat("start-outside", "its start returns what isn't its own", &["out of bounds"]),
    wat("memory-large", "it begins with too much memory", &["limits.memory"]),
    wat("memories", "it has too many memories", &["memories count"]),
    wat("table-large", "its table is too long at the beginning", &["limits.table-elements"]),
    wat("tables", "it has too many tables", &["tables count"]),
    generated("instances", "it is made of too many modules", &["core module instances"], instances),
    generated(
        "imports",
        "it imports nine hundred things",
        &["does not have", "and 892 more"],
        imports,
    ),
    Refused { made: Made::Large, ..wat("large", "it has 100 MB", &["larger than"]) },
    generated("types", "its types lie a thousand deep", &["not a valid component"], types),
];

const fn wat(name: &'static str, what: &'static str, words: &'static [&'static str]) -> Refused {
    Refused { name, what, words, made: Made::Wat }
}

const fn generated(
    name: &'static str,
    what: &'static str,
    words: &'static [&'static str],
    text: fn() -> String,
) -> Refused {
    Refused { name, what, words, made: Made::Generated(text) }
}

fn instances() -> String {
    let instances = "(core instance (instantiate $module))".repeat(1000);
    format!("(component (core module $module) {instances})")
}

fn imports() -> String {
    numbered(900, |number| format!("(import \"other:package{number}/thing@1.0.0\" (instance))"))
}

fn types() -> String {
    let list = |number: usize| match number {
        0 => "(type $t0 (list u8))".to_owned(),
        _ => format!("(type $t{number} (list $t{}))", number - 1),
    };
    numbered(1000, list)
}

/// A component of so many items.
fn numbered(count: usize, item: impl Fn(usize) -> String) -> String {
    let mut text = "(component\n".to_owned();
    for number in 0..count {
        let _ = writeln!(text, "{}", item(number));
    }
    text + ")"
}

/// A plugin that does no harm, in a file of `bytes`, most of which mean nothing.
///
/// # Errors
/// Where it can't be made.
pub fn large(bytes: usize) -> Result<Vec<u8>> {
    let mut component = component_of("")?;
    let name = b"padding";
    let filler = bytes.saturating_sub(component.len());
    // A custom section: its length in LEB128, then its name with its length.
    component.push(0);
    let mut length = filler + 1 + name.len();
    component.extend(iter::from_fn(|| {
        let more = (length > 0).then_some(length as u8 & 0x7f);
        length >>= 7;
        more.map(|low| if length > 0 { low | 0x80 } else { low })
    }));
    component.push(name.len() as u8);
    component.extend(name);
    component.resize(component.len() + filler, 0);
    Ok(component)
}

/// A plugin that does no harm, and has `functions` beside what it needs, each of which takes long
/// to be compiled: values of many that any branch may change.
///
/// # Errors
/// Where it can't be made.
pub fn slow(functions: usize) -> Result<Vec<u8>> {
    let mut body = String::new();
    for place in 0..LOCALS {
        let (one, other) = (place * 7 % LOCALS, place * 13 % LOCALS);
        let _ = write!(
            body,
            "(if (i32.and (local.get {one}) (i32.const 1)) (then (local.set {place} \
             (i32.mul (local.get {other}) (local.get {place})))) (else (br_if 0 (local.get {one}))))"
        );
    }
    let locals = "i32 ".repeat(LOCALS);
    let function = format!("(func (local {locals}) (loop {body} (br_if 0 (local.get 0))))\n");
    component_of(&function.repeat(functions))
}

/// How many variables a function has that is slow to compile.
const LOCALS: usize = 40;
