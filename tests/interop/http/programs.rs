//! Whole mirrors and heavy load, by programs that others wrote.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use tempfile::TempDir;
use torsade_tests::host::{Host, PATIENCE};

use super::super::{folder, program_trial, trial_with};
use super::client::Answer;
use super::{Site, large};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        program_trial("http::wget_mirrors_a_book", "wget", "wget", wget_mirrors_a_book),
        trial_with("http::each_file_of_a_book_comes_as_it_is", documentation, |html| {
            each_file_comes_as_it_is(&html)
        }),
        program_trial("http::ab_sees_no_failure", "ab", "apache2-utils", ab_sees_no_failure),
        program_trial("http::wrk_sees_no_failure", "wrk", "wrk", wrk_sees_no_failure),
    ]
}

/// The toolchain's own documentation, where it is installed.
pub(super) fn documentation() -> Result<PathBuf> {
    let output = Command::new("rustup")
        .args(["doc", "--path"])
        .output()
        .context("rustup can't tell where the documentation is")?;
    let index = PathBuf::from(String::from_utf8(output.stdout)?.trim());
    let html = index.parent().context("rustup doc --path names a file")?;
    ensure!(
        html.join("book").is_dir(),
        "{} has no book; `rustup component add rust-docs` installs it",
        html.display()
    );
    Ok(html.to_owned())
}

fn wget_mirrors_a_book(program: &Path) -> Result<()> {
    let Ok(html) = documentation() else {
        return small_mirror(program);
    };
    // A book with its pages, styles, scripts, pictures and fonts.
    mirror(program, &html, "book", 100)
}

/// Where no documentation is installed.
fn small_mirror(program: &Path) -> Result<()> {
    let root = tempfile::tempdir()?;
    fs::create_dir_all(root.path().join("book/deep"))?;
    fs::write(root.path().join("book/large.bin"), large())?;
    fs::write(root.path().join("book/deep/a b.txt"), "a file with a space")?;
    mirror(program, root.path(), "book", 2)
}

/// Mirrors a folder of the root, and compares all that came with what is on disk.
fn mirror(program: &Path, root: &Path, book: &str, least: usize) -> Result<()> {
    let site = serve(root)?;
    let mut host = Host::up(site.path(), 1)?;
    let address = host.address("site")?;
    let into = tempfile::tempdir()?;
    let output = Command::new(program)
        .args(["--no-config", "--no-proxy", "--mirror", "--no-parent", "--no-host-directories"])
        .args(["--tries=1", "--timeout=20", "-nv", "-e", "robots=off"])
        .arg(format!("--directory-prefix={}", into.path().display()))
        .arg(format!("http://{address}/{book}/"))
        .output()?;
    // Status 8 says that some link led nowhere, as some of a book do that is mirrored alone.
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!([Some(0), Some(8)].contains(&output.status.code()), "{}:\n{log}", output.status);
    let mut compared = 0;
    for path in files_below(into.path().join(book))? {
        let name = path.strip_prefix(into.path())?.display().to_string();
        // What was asked for with a query is the same file; lists are of no file.
        let name = name.split('?').next().unwrap_or(&name);
        let original = root.join(name);
        if original.exists() {
            ensure!(fs::read(&path)? == fs::read(&original)?, "{name} is not the same");
            compared += 1;
        }
    }
    ensure!(compared >= least, "only {compared} files came:\n{log}");
    let status = host.terminate()?;
    ensure!(status.success(), "{status}: {}", host.log());
    ensure!(!host.log().contains("ERROR"), "{}", host.log());
    Ok(())
}

/// Those too that no page links to, one after the other on one connection.
fn each_file_comes_as_it_is(html: &Path) -> Result<()> {
    let site = serve(html)?;
    let host = Host::up(site.path(), 1)?;
    let mut stream = host.connect("site")?;
    for path in files_below(html.join("book"))? {
        let name = path.strip_prefix(html)?.display().to_string();
        stream.write_all(format!("GET /{name} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes())?;
        let answer = Answer::read(&mut stream).with_context(|| name.clone())?;
        ensure!(answer.status == 200, "{name}: {}", answer.head);
        ensure!(answer.body == fs::read(&path)?, "{name} is not the same");
    }
    Ok(())
}

/// All files of a folder, and of those in it.
fn files_below(folder: PathBuf) -> Result<Vec<PathBuf>> {
    let (mut folders, mut files) = (vec![folder], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let list = if path.is_dir() { &mut folders } else { &mut files };
            list.push(path);
        }
    }
    Ok(files)
}

/// A folder whose configuration serves a root.
pub(super) fn serve(root: &Path) -> Result<TempDir> {
    folder(&format!(
        "[service.site]\nplugin = \"@http\"\nlisten = [\"tcp:0:interface=127.0.0.1\"]\n\
         grants = {{ files = {{ read = {root:?} }} }}\nconfig = {{ listing = true }}\n"
    ))
}

fn ab_sees_no_failure(program: &Path) -> Result<()> {
    let site = Site::new("", "")?;
    for (options, path) in [
        (&["-k", "-n", "5000", "-c", "20"][..], "/ten.txt"),
        (&["-n", "1000", "-c", "20"], "/ten.txt"),
        (&["-k", "-n", "100", "-c", "10"], "/large.bin"),
    ] {
        let output = Command::new(program)
            .args(["-q", "-s", &PATIENCE.as_secs().to_string()])
            .args(options)
            .arg(site.url(path)?)
            .output()?;
        let report = String::from_utf8_lossy(&output.stdout);
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let count = |name: &str| {
            let line = report.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        };
        let wanted: u64 = options[options.len() - 3].parse()?;
        ensure!(count("Complete requests:") == Some(wanted), "{report}");
        ensure!(count("Failed requests:") == Some(0), "{report}");
        ensure!(count("Non-2xx responses:").is_none(), "{report}");
        let bytes = fs::metadata(site.root().join(&path[1..]))?.len() * wanted;
        ensure!(count("HTML transferred:").is_some_and(|n| n >= bytes), "{report}");
        if options.contains(&"-k") {
            ensure!(count("Keep-Alive requests:") == Some(wanted), "{report}");
        }
    }
    Ok(())
}

fn wrk_sees_no_failure(program: &Path) -> Result<()> {
    for instances in ["per-worker", "per-connection"] {
        let site = Site::new("", &format!("instances = \"{instances}\""))?;
        for path in ["/ten.txt", "/large.bin"] {
            let output = Command::new(program)
                .args(["-t", "1", "-c", "50", "-d", "1s", &site.url(path)?])
                .output()?;
            let report = String::from_utf8_lossy(&output.stdout);
            ensure!(output.status.success(), "{report}");
            for word in ["Socket errors", "Non-2xx"] {
                ensure!(!report.contains(word), "{instances} {path}:\n{report}");
            }
        }
        // It is as well afterwards as before.
        let answer = site.ask("GET /large.bin HTTP/1.1\r\nHost: a\r\n\r\n")?;
        ensure!(answer.body == large(), "{}", answer.head);
    }
    Ok(())
}
