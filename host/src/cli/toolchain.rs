//! Finds, or installs, what compiles guests: the Rust target `wasm32-unknown-unknown`.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::progress::Progress;

/// What guests are compiled for.
pub(super) const TARGET: &str = "wasm32-unknown-unknown";

/// The environment variable that picks one way to get the target: `rustup` or `debian`.
const WISH: &str = "TORSADE_WASM_TARGET";

/// Flags of rustc for all guests. A stack of 128 KiB, where rustc would take 1 MiB, keeps an
/// instance small; it lies first in memory, so that overflowing it traps.
const GUEST_FLAGS: [&str; 2] = ["-Ctarget-feature=+simd128", "-Clink-arg=-zstack-size=131072"];

/// Debian's compiler, whose package `rust-web-src` has the standard library's source with it.
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_LIBRARY: &str = "/usr/lib/rustlib/src/rust/library/std";
const DEBIAN_PACKAGES: [&str; 2] = ["rustc-web", "rust-web-src"];

/// A way to compile for [`TARGET`].
#[derive(Debug)]
pub(super) enum Toolchain {
    /// By Debian's compiler, which has no such target, and builds the standard library for it.
    Debian { linker: PathBuf },
    /// By the active toolchain, which has the target.
    Installed,
}

impl Toolchain {
    /// Finds the way for guests in `folder` (a folder may pin a toolchain), and installs what is
    /// missing: by rustup, or where that fails as root from Debian's packages.
    pub(super) fn find(folder: &Path, progress: Progress) -> Result<Self> {
        let wish = env::var_os(WISH);
        let (rustup, debian) = match wish.as_deref().map(OsStr::as_encoded_bytes) {
            None => (true, true),
            Some(b"rustup") => (true, false),
            Some(b"debian") => (false, true),
            Some(_) => bail!("{WISH} must be \"rustup\" or \"debian\", or not be set"),
        };
        let mut failed = String::new();
        if rustup {
            match installed(folder)
                .and_then(|there| there.map_or_else(|| add(folder, progress), Ok))
            {
                Ok(()) => return Ok(Self::Installed),
                Err(error) => failed += &format!("\n  rustup: {error:#}"),
            }
        }
        if debian {
            if rustup {
                progress.line("that failed; trying Debian's Rust compiler");
            }
            match debian_linker(folder, progress) {
                Ok(linker) => return Ok(Self::Debian { linker }),
                Err(error) => failed += &format!("\n  Debian: {error:#}"),
            }
        }
        bail!(
            "guests can't be compiled, as the Rust target {TARGET} is missing and can't be \
             installed:{failed}\n\
             Install Rust from https://rustup.rs, and then the target: rustup target add {TARGET}"
        )
    }

    /// Makes a command of cargo compile for [`TARGET`] this way.
    pub(super) fn apply(&self, cargo: &mut Command) {
        let mut flags: Vec<OsString> = GUEST_FLAGS.iter().map(OsString::from).collect();
        if let Self::Debian { linker } = self {
            let mut flag = OsString::from("-Clinker=");
            flag.push(linker);
            flags.push(flag);
            cargo.env("RUSTC", DEBIAN_RUSTC).env("RUSTC_BOOTSTRAP", "1");
            cargo.arg("-Zbuild-std=std,panic_abort");
        }
        // The flags that a user sets are meant for the machine, and are replaced by these.
        cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join(OsStr::new("\x1f")));
        cargo.args(["--target", TARGET]);
    }
}

/// `Some` if the active toolchain has the target.
fn installed(folder: &Path) -> Result<Option<()>> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let path = run(Command::new(rustc).current_dir(folder).args([
        "--print",
        "target-libdir",
        "--target",
        TARGET,
    ]))?;
    let has_std =
        |entry: fs::DirEntry| entry.file_name().as_encoded_bytes().starts_with(b"libstd-");
    let mut files = fs::read_dir(path.trim()).into_iter().flatten().flatten();
    Ok(files.any(has_std).then_some(()))
}

fn add(folder: &Path, progress: Progress) -> Result<()> {
    const COMMAND: [&str; 3] = ["target", "add", TARGET];
    progress.line(&format!("installing the Rust target {TARGET}: rustup {}", COMMAND.join(" ")));
    let step = progress.step("rustup");
    run(Command::new("rustup").current_dir(folder).args(COMMAND))?;
    drop(step);
    installed(folder)?.context("rustup has installed it for another toolchain than rustc's")
}

/// The linker to use with Debian's compiler, once that is there.
fn debian_linker(folder: &Path, progress: Progress) -> Result<PathBuf> {
    let mut missing: Vec<&str> = Vec::new();
    if !Path::new(DEBIAN_RUSTC).is_file() || !Path::new(DEBIAN_LIBRARY).is_dir() {
        missing.extend(DEBIAN_PACKAGES);
    }
    let linker = linker(folder);
    if linker.is_none() {
        missing.push("lld");
    }
    if !missing.is_empty() {
        install(&missing, progress)?;
    }
    linker.or_else(|| self::linker(folder)).context("there is no rust-lld and no wasm-ld")
}

fn install(packages: &[&str], progress: Progress) -> Result<()> {
    let packages = packages.join(" ");
    if !Path::new("/etc/debian_version").is_file() {
        bail!("this system is not Debian, so its packages ({packages}) can't be installed");
    }
    if !rustix::process::geteuid().is_root() {
        bail!("only root can install the packages: apt-get install {packages}");
    }
    for arguments in ["update".to_owned(), format!("install -y {packages}")] {
        progress.line(&format!("installing Debian's Rust compiler: apt-get {arguments}"));
        let step = progress.step("apt-get");
        let apt_get = &mut Command::new("apt-get");
        run(apt_get.args(arguments.split(' ')).env("DEBIAN_FRONTEND", "noninteractive"))?;
        drop(step);
    }
    Ok(())
}

/// LLVM's linker for wasm: the active toolchain's, Debian's Rust's, or LLVM's own.
fn linker(folder: &Path) -> Option<PathBuf> {
    let sysroot = run(Command::new("rustc").current_dir(folder).args(["--print", "sysroot"]));
    let sysroots = sysroot.ok().map(|path| PathBuf::from(path.trim())).into_iter();
    let rust_lld = sysroots
        .chain([PathBuf::from("/usr")])
        .flat_map(|sysroot| fs::read_dir(sysroot.join("lib/rustlib")))
        .flat_map(Iterator::flatten)
        .map(|host| host.path().join("bin/rust-lld"));
    let path = env::var_os("PATH").unwrap_or_default();
    let wasm_ld: Vec<PathBuf> =
        env::split_paths(&path).map(|folder| folder.join("wasm-ld")).collect();
    rust_lld.chain(wasm_ld).find(|linker| linker.is_file())
}

/// What a command prints; an error with what it says of itself if it fails.
fn run(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .env("RUST_BACKTRACE", "0")
        .output()
        .with_context(|| format!("{name} can't be run"))?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        let words: Vec<&str> = words.lines().filter(|line| !line.starts_with("info: ")).collect();
        bail!("{name} failed ({}): {}", output.status, words.join("\n    ").trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
