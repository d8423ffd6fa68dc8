//! Guests in Rust, from their folder to a component: cargo, then `wit-component`.

use std::env;
use std::fs;
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::thread;

use anyhow::{Context, Result, anyhow, bail, ensure};
use cargo_metadata::{
    DependencyKind, Message, Metadata, MetadataCommand, Package, PackageId, Target,
};
use wit_component::ComponentEncoder;

use super::progress::{Progress, Step};
use super::toolchain::Toolchain;

/// The folder below a workspace where its guests are looked for, and the folder below its target
/// folder where they are built. They share one, so that what they have in common is built once.
const GUESTS: &str = "guests";

/// The profile that guests are compiled with, whatever their workspace says: small and fast, and
/// with the names of functions, which backtraces show.
const PROFILE: [&str; 5] = [
    "profile.release.codegen-units=1",
    "profile.release.lto=\"fat\"",
    "profile.release.opt-level=3",
    "profile.release.panic=\"abort\"",
    "profile.release.strip=\"debuginfo\"",
];

/// How many packages of a guest are looked at for others that they name.
const PACKAGES_MAX: usize = 64;

/// Most of what cargo prints, in bytes, that is kept to be shown if it fails.
const WORDS_MAX: usize = 1024 * 1024;

/// Builds each guest, or those of the current folder, and prints where the components are.
pub(super) fn all(guests: &[PathBuf], progress: &Progress) -> Result<()> {
    let found = match guests {
        [] => discover(&env::current_dir()?)?,
        named => named.to_vec(),
    };
    for guest in found {
        let component = build(&guest, *progress)?;
        // Where standard output is closed the component is made all the same.
        let _ = writeln!(io::stdout(), "{}", component.display());
    }
    Ok(())
}

/// Builds the guest in a folder, and tells where the component is: below the target folder of the
/// guest's workspace. It is written only if it has changed.
///
/// # Errors
/// Where the folder is no guest, the target can't be installed, or the guest doesn't compile; what
/// cargo says is printed before.
pub fn build(folder: &Path, progress: Progress) -> Result<PathBuf> {
    let metadata = metadata(folder)?;
    let package = package(&metadata, folder)?;
    ensure!(
        has_cdylib(package),
        "{} is not a guest: its Cargo.toml needs [lib] crate-type = [\"cdylib\", \"rlib\"]",
        folder.display()
    );
    let toolchain = Toolchain::find(folder, progress)?;
    let target = metadata.target_directory.as_std_path().join(GUESTS);
    let module = compile(folder, package, &target, &toolchain, progress)?;
    let component = encode(&module)
        .with_context(|| format!("{} can't be made a component", package.name.as_str()))?;
    let file = target.join(format!("{}.wasm", package.name));
    write(&file, &component).with_context(|| format!("{} can't be written", file.display()))?;
    Ok(file)
}

/// The folders that a guest is made of: its own, and those of packages that it names by their paths.
pub(super) fn sources(folder: &Path) -> Vec<PathBuf> {
    let (mut found, mut looked) = (vec![folder.to_owned()], 0);
    while looked < found.len().min(PACKAGES_MAX) {
        let folder = found[looked].clone();
        looked += 1;
        let Ok(metadata) = metadata(&folder) else { continue };
        let Ok(package) = package(&metadata, &folder) else { continue };
        let needed =
            package.dependencies.iter().filter(|it| it.kind != DependencyKind::Development);
        for path in needed.filter_map(|dependency| dependency.path.as_deref()) {
            if !found.iter().any(|other| other == path.as_std_path()) {
                found.push(path.as_std_path().to_owned());
            }
        }
    }
    found
}

/// The guest in the folder, or those of its workspace.
fn discover(folder: &Path) -> Result<Vec<PathBuf>> {
    let metadata = metadata(folder)?;
    if package(&metadata, folder).is_ok_and(has_cdylib) {
        return Ok(vec![folder.to_owned()]);
    }
    let below = metadata.workspace_root.join(GUESTS);
    let guests = metadata.packages.iter().filter(|package| has_cdylib(package));
    let mut folders: Vec<PathBuf> = guests
        .filter_map(|package| package.manifest_path.parent())
        .filter(|folder| folder.starts_with(&below))
        .map(|folder| folder.as_std_path().to_owned())
        .collect();
    folders.sort();
    ensure!(!folders.is_empty(), "there is no guest here, and none below {below}; name its folder");
    Ok(folders)
}

fn metadata(folder: &Path) -> Result<Metadata> {
    ensure!(folder.is_dir(), "{} is not a folder", folder.display());
    MetadataCommand::new().current_dir(folder).no_deps().exec().map_err(|error| match error {
        cargo_metadata::Error::Io(error) => {
            anyhow!("cargo can't be run ({error}), and guests need it; see https://rustup.rs")
        }
        cargo_metadata::Error::CargoMetadata { stderr } => {
            let words = stderr.trim().trim_start_matches("error: ");
            anyhow!("{} is not a guest: {words}", folder.display())
        }
        other => anyhow!("{}: {other}", folder.display()),
    })
}

fn package<'a>(metadata: &'a Metadata, folder: &Path) -> Result<&'a Package> {
    let manifest = folder.join("Cargo.toml").canonicalize().with_context(|| {
        format!("{} is not a guest: it has no readable Cargo.toml", folder.display())
    })?;
    let same = |package: &&Package| {
        package.manifest_path.canonicalize().is_ok_and(|other| other == manifest)
    };
    let packages = metadata.packages.iter();
    packages.clone().find(same).with_context(|| {
        format!("{} is not a guest: its Cargo.toml has no package", folder.display())
    })
}

fn has_cdylib(package: &Package) -> bool {
    package.targets.iter().any(Target::is_cdylib)
}

/// The core module that cargo makes of the package.
fn compile(
    folder: &Path,
    package: &Package,
    target: &Path,
    toolchain: &Toolchain,
    progress: Progress,
) -> Result<PathBuf> {
    let what = format!("building {}", package.name);
    if progress != Progress::Live {
        progress.line(&what);
    }
    let step = progress.step(what);
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(folder).args(["rustc", "--lib", "--crate-type", "cdylib", "--release"]);
    cargo.args(["--message-format", "json-render-diagnostics", "--target-dir"]).arg(target);
    cargo.args(PROFILE.iter().flat_map(|setting| ["--config", setting]));
    cargo.args(["--color", if io::stderr().is_terminal() { "always" } else { "never" }]);
    toolchain.apply(&mut cargo);
    let kept = progress != Progress::Everything;
    let words = if kept { Stdio::piped() } else { Stdio::inherit() };
    let mut child = cargo
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(words)
        .spawn()
        .context("cargo can't be run")?;
    let (module, words) = follow(&mut child, &package.id, &step)?;
    drop(step);
    if !child.wait()?.success() {
        // As cargo prints it. Nobody is left to tell where standard error is closed.
        let _ = io::stderr().write_all(&words);
        bail!("{} doesn't compile", folder.display());
    }
    module.with_context(|| format!("cargo made no wasm of {}", folder.display()))
}

/// Reads what cargo reports until it ends: the package's module, and the words for a person.
fn follow(child: &mut Child, of: &PackageId, step: &Step) -> Result<(Option<PathBuf>, Vec<u8>)> {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let mut module = None;
    let words = thread::scope(|scope| -> Result<Vec<u8>> {
        let words = scope.spawn(move || stderr.map_or(Ok(Vec::new()), |words| keep(words, step)));
        for message in Message::parse_stream(BufReader::new(stdout.context("no output")?)) {
            if let Message::CompilerArtifact(artifact) = message?
                && artifact.package_id == *of
                && let Some(wasm) =
                    artifact.filenames.iter().find(|file| file.extension() == Some("wasm"))
            {
                module = Some(wasm.as_std_path().to_owned());
            }
        }
        Ok(words.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?)
    })?;
    Ok((module, words))
}

fn keep(words: ChildStderr, step: &Step) -> io::Result<Vec<u8>> {
    let mut kept = Vec::new();
    for line in BufReader::new(words).split(b'\n') {
        let line = line?;
        if let Some(doing) = doing(&line) {
            step.at(&doing);
        }
        if kept.len() + line.len() < WORDS_MAX {
            kept.extend_from_slice(&line);
            kept.push(b'\n');
        }
    }
    Ok(kept)
}

/// What a line of cargo says that it does, such as `Compiling serde v1.0.229`, without its colours.
/// Such lines begin with a word that is put to the right of twelve columns.
fn doing(line: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(line);
    let mut pieces = text.split("\x1b[");
    let first = pieces.next().unwrap_or("").to_owned();
    let strip = |piece| str::split_once(piece, 'm').map_or(piece, |(_, rest)| rest);
    let plain = pieces.fold(first, |plain, piece| plain + strip(piece));
    let (word, _) = plain.split_at_checked(12)?;
    let is_word = word.trim_start().starts_with(|first: char| first.is_ascii_uppercase());
    (is_word && word.trim_start().bytes().all(|byte| byte.is_ascii_alphabetic())).then_some(plain)
}

fn encode(module: &Path) -> Result<Vec<u8>> {
    let module = fs::read(module).with_context(|| format!("{}", module.display()))?;
    ComponentEncoder::default()
        .validate(true)
        // A table would cost each sandbox a page of memory; globals lie where its functions do.
        .shim_return_call_ref(true)
        .module(&module)
        .context("the interface in it can't be read")?
        .encode()
}

/// Whole or not at all, since another process may read it now.
fn write(file: &Path, component: &[u8]) -> io::Result<()> {
    if fs::read(file).is_ok_and(|old| old == component) {
        return Ok(());
    }
    let fresh = file.with_extension(format!("{}.new", std::process::id()));
    fs::write(&fresh, component)?;
    fs::rename(fresh, file)
}

#[cfg(test)]
mod tests {
    use super::doing;

    #[test]
    fn what_cargo_does_is_told_from_what_it_complains_of() {
        let coloured = b"\x1b[1m\x1b[92m   Compiling\x1b[0m serde v1.0.229";
        assert_eq!(doing(coloured).as_deref(), Some("   Compiling serde v1.0.229"));
        for line in [
            "error[E0308]: mismatched types",
            "  --> src/lib.rs:19:16",
            "",
            "   |",
            "é".repeat(9).as_str(),
        ] {
            assert_eq!(doing(line.as_bytes()), None, "{line}");
        }
    }
}
