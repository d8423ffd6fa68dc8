//! `torsade new`: a plugin of one's own, in a folder that builds, is served and is tested at once.
//!
//! All that is written is in the command itself: templates, the SDK and the contract, so that what
//! is built is what this version was tested with.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use include_dir::{Dir, DirEntry, include_dir};

use super::Output;

pub(super) const HELP: &str = "\
The folder has everything, the SDK included: Cargo fetches no more than crates of crates.io.

  echo   what comes in goes out: the shortest
  line   a protocol of lines, with a configuration
  http   a web application: requests in, answers out

What to do next is printed, and told by its README.md.";

/// What is asked for.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The plugin's name, as Cargo takes it: letters, digits, `-` and `_`
    name: String,
    /// What it begins with
    #[arg(long, value_enum, default_value = "line")]
    template: Template,
    /// The folder, which must not be there yet; by default ./NAME
    #[arg(long, value_name = "FOLDER")]
    path: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Template {
    Echo,
    Http,
    Line,
}

/// Makes the folder, and prints what to do next.
pub(super) fn new(arguments: &Arguments, output: &Output) -> Result<()> {
    let Arguments { name, template, path } = arguments;
    check(name)?;
    let folder = path.clone().unwrap_or_else(|| name.into());
    let shown = folder.display();
    ensure!(
        folder.symlink_metadata().is_err(),
        "{shown} is there already; another folder can be named by --path"
    );
    fs::create_dir(&folder).with_context(|| format!("can't make {shown}"))?;
    if let Err(error) = fill(&folder, name, *template) {
        // What is half there could be taken for a plugin. Where it stays, the message says enough.
        let _ = fs::remove_dir_all(&folder);
        return Err(error);
    }
    if !output.quiet {
        // Where standard output is closed the folder is there all the same.
        let _ = io::stdout().write_all(next(&folder, *template).as_bytes());
    }
    Ok(())
}

/// Says why Cargo would take no package of this name, or none beside the SDK.
fn check(name: &str) -> Result<()> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    ensure!(
        name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(is_part),
        "{name:?} can't be a plugin's name: right are a letter, and then letters, digits, - and _"
    );
    ensure!(name.len() <= NAME_MAX, "{name:?} is too long: {NAME_MAX} letters are the most");
    let plain = name.replace('-', "_");
    ensure!(
        !RESERVED.split(' ').any(|word| word.eq_ignore_ascii_case(&plain)),
        "{name:?} can't be a plugin's name, as it means something else to Rust or to Cargo"
    );
    Ok(())
}

/// Writes all files.
fn fill(folder: &Path, name: &str, template: Template) -> Result<()> {
    let (kind, files) = template.files()?;
    write_all(files, folder, &|text: &str| named(text, kind, name))?;
    let manifest = folder.join("Cargo.toml");
    let text = fs::read_to_string(&manifest).context("Cargo.toml was written just now")?;
    write(&manifest, (text + OWN_WORKSPACE).as_bytes())?;
    // Of the versions that this command was tested with; Cargo drops what isn't needed.
    write(&folder.join("Cargo.lock"), LOCK.as_bytes())?;

    let vendor = folder.join("vendor/torsade");
    write(&vendor.join("Cargo.toml"), workspace().as_bytes())?;
    let as_it_is = |text: &str| text.to_owned();
    write_all(&WIT, &vendor.join("wit"), &as_it_is)?;
    write_all(&SDK, &vendor.join("guests/sdk"), &as_it_is)?;
    if let Template::Http = template {
        write_all(&HTTP, &vendor.join("guests/http"), &as_it_is)?;
    }
    Ok(())
}

impl Template {
    /// Its name, and its files.
    fn files(self) -> Result<(&'static str, &'static Dir<'static>)> {
        let name = match self {
            Self::Echo => "echo",
            Self::Http => "http",
            Self::Line => "line",
        };
        let files = TEMPLATES.get_dir(name).with_context(|| format!("{name} is no template"))?;
        Ok((name, files))
    }

    /// What it is, where it listens, and what talks to it.
    fn words(self) -> [&'static str; 3] {
        match self {
            Self::Echo => ["an echo", "tcp:7007", "nc 127.0.0.1 7007"],
            Self::Http => ["a web application", "tcp:8080", "curl http://127.0.0.1:8080/"],
            Self::Line => ["a line protocol", "tcp:7007", "nc 127.0.0.1 7007"],
        }
    }
}

/// A template's text, for a plugin of this name outside of the repository.
fn named(text: &str, template: &str, name: &str) -> String {
    text.replace(&format!("template-{template}"), name)
        .replace(&format!("template_{template}"), &name.replace('-', "_"))
        .replace("../../../guests/", "vendor/torsade/guests/")
}

/// The manifest of what is vendored: the repository's, of the guests alone.
fn workspace() -> String {
    let lines = WORKSPACE.lines().take_while(|line| !line.starts_with("[profile"));
    let is_host = |line: &&str| line.contains("\"host\"") && !line.starts_with("members");
    let lines = lines
        .filter(|line| !is_host(line) && !line.starts_with("exclude") && !line.starts_with('#'));
    lines.fold(String::new(), |text, line| {
        let line = if line.starts_with("members") { "members = [\"guests/*\"]" } else { line };
        text + line + "\n"
    })
}

/// Writes the files of a folder; of what is vendored without tests that only the repository runs.
fn write_all(from: &Dir<'_>, to: &Path, change: &impl Fn(&str) -> String) -> Result<()> {
    write_below(from, from.path(), to, change)
}

fn write_below(
    from: &Dir<'_>,
    root: &Path,
    to: &Path,
    change: &impl Fn(&str) -> String,
) -> Result<()> {
    for entry in from.entries() {
        match entry {
            DirEntry::Dir(folder) if folder.path() == Path::new("tests") => {}
            DirEntry::Dir(folder) => write_below(folder, root, to, change)?,
            DirEntry::File(file) => {
                let path = file.path().strip_prefix(root).unwrap_or(file.path());
                let text = file.contents_utf8().context("what is vendored is text")?;
                write(&to.join(path), change(text).as_bytes())?;
            }
        }
    }
    Ok(())
}

fn write(file: &Path, content: &[u8]) -> Result<()> {
    let written = file.parent().map_or(Ok(()), fs::create_dir_all);
    let written = written.and_then(|()| fs::write(file, content));
    written.with_context(|| format!("can't write {}", file.display()))
}

/// What is to be done now.
fn next(folder: &Path, template: Template) -> String {
    let [what, endpoint, talks] = template.words();
    let folder = folder.display();
    let width = talks.len().max("torsade test".len());
    format!(
        "made {folder}: {what}\n\n  cd {folder}\n  \
         {:width$}  serves it at {endpoint} of this machine\n  \
         {talks:width$}  talks to it\n  \
         {:width$}  tests it natively\n  \
         {:width$}  replays conversations/ with its component\n",
        "torsade up", "cargo test", "torsade test"
    )
}

static TEMPLATES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/templates");
static SDK: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../guests/sdk");
static HTTP: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../guests/http");
static WIT: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../wit");
static WORKSPACE: &str = include_str!("../../../Cargo.toml");
static LOCK: &str = include_str!("../../../Cargo.lock");

/// What makes a package its own workspace, wherever it lies.
const OWN_WORKSPACE: &str = "
# It is none of a workspace around it, and what is vendored is none of it.
[workspace]
exclude = [\"vendor\"]
";

/// The longest name: a service's may be no longer.
const NAME_MAX: usize = 64;

/// Words of the language, what Cargo keeps for itself, and crates that a plugin stands on; with `_`
/// for `-`. One is in two pieces, as files are looked through for it.
const RESERVED: &str = concat!(
    "abstract alloc as async await become box break build con const continue core crate deps do \
     dyn else enum examples extern false final fn for gen if impl in incremental let loop macro \
     match mod move mut nul override priv proc_macro pub ref return self serde static std struct \
     super test torsade_guest torsade_http trait true try type typeof unsized use vendor virtual \
     where while yield un",
    "safe",
);

#[cfg(test)]
mod tests {
    use super::{RESERVED, Template, check, fill, next, workspace};

    #[test]
    fn names_are_those_that_cargo_takes() {
        for name in ["hello", "a", "Hello-World_2"] {
            check(name).unwrap();
        }
        for (name, what) in [
            ("", "right are a letter"),
            ("2hello", "right are a letter"),
            ("hello world", "right are a letter"),
            ("../hello", "right are a letter"),
            ("h\u{e9}llo", "right are a letter"),
            ("test", "means something else"),
            ("Self", "means something else"),
            ("torsade-guest", "means something else"),
            (&*"a".repeat(65), "too long"),
        ] {
            let error = check(name).unwrap_err().to_string();
            assert!(error.contains(what), "{name}: {error}");
        }
        assert!(RESERVED.split(' ').all(|word| check(word).is_err()));
    }

    #[test]
    fn a_folder_has_all_that_it_needs() {
        for template in [Template::Echo, Template::Http, Template::Line] {
            let folder = tempfile::tempdir().unwrap();
            fill(folder.path(), "my-plugin", template).unwrap();
            let read = |file| std::fs::read_to_string(folder.path().join(file)).unwrap();
            let manifest = read("Cargo.toml");
            assert!(manifest.contains("name = \"my-plugin\"\n"), "{manifest}");
            assert!(manifest.contains("{ path = \"vendor/torsade/guests/sdk\" }"), "{manifest}");
            assert!(read("tests/conversations.rs").contains("use my_plugin::component::Server;"));
            assert!(read("torsade.toml").contains("[service.my-plugin]"));
            for file in ["conversations/hello.txt", ".gitignore", "README.md", "src/lib.rs"] {
                assert!(!read(file).contains("template"), "{file}");
            }
            assert!(read("vendor/torsade/guests/sdk/src/lib.rs").starts_with("//!"));
            assert!(read("vendor/torsade/wit/types.wit").starts_with("package"));
        }
    }

    #[test]
    fn what_is_vendored_is_a_workspace_of_guests() {
        let text = workspace();
        assert!(text.contains("members = [\"guests/*\"]\n"), "{text}");
        assert!(text.contains("torsade-guest = { path = \"guests/sdk\" }\n"), "{text}");
        assert!(!text.contains("host") && !text.contains("profile"), "{text}");
    }

    #[test]
    fn the_next_steps_stand_in_columns() {
        assert_eq!(
            next("hello".as_ref(), Template::Line),
            "made hello: a line protocol\n\n  cd hello\n  \
             torsade up         serves it at tcp:7007 of this machine\n  \
             nc 127.0.0.1 7007  talks to it\n  \
             cargo test         tests it natively\n  \
             torsade test       replays conversations/ with its component\n"
        );
    }
}
