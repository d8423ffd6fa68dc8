//! What the package for Debian is made of: that it is there, and that systemd takes the unit.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use libtest_mimic::Trial;
use serde_json::Value;
use torsade_tests::guests::{component, repository};
use torsade_tests::host::{self, Host, PATIENCE};

use super::{ECHO, folder, program_trial, trial};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("package::each_file_of_it_is_there_or_is_made", each_file_is_there),
        trial("package::its_configuration_can_be_served", its_configuration_can_be_served),
        trial("package::its_unit_is_told_that_it_serves", its_unit_is_told_that_it_serves),
        program_trial(
            "package::systemd_takes_its_unit",
            "systemd-analyze",
            "systemd",
            systemd_takes_its_unit,
        ),
        program_trial("package::bash_takes_its_completions", "bash", "bash", bash_completes),
        program_trial("package::man_shows_its_pages", "man", "man-db", man_shows_its_pages),
    ]
}

/// What is made by the command, or with the plugins, is below this of cargo's target folder.
const MADE: &str = "target/release/package/";

fn each_file_is_there() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let made = host::run(&["man", "man"], folder.path())?;
    ensure!(made.status.success(), "{made:?}");
    let script = std::fs::read_to_string(repository().join("host/debian/package"))?;
    let (mut there, mut installed) = (0, Vec::new());
    for asset in assets()? {
        let [source, target, _mode] = &asset[..] else { bail!("{asset:?} is no asset") };
        installed.push(target.clone());
        match source.strip_prefix(MADE) {
            Some("man/*.1") => {
                let pages = folder.path().join("man").read_dir()?.count();
                ensure!(pages > 5, "only {pages} pages were made");
            }
            Some("plugins/*.wasm") => ensure!(script.contains("$made/plugins/$plugin.wasm")),
            Some(completions) => {
                let shell = completions.strip_prefix("torsade.").context("it is for a shell")?;
                ensure!(script.contains("$made/torsade.$shell"), "{source}");
                let script = host::run(&["completions", shell], folder.path())?;
                ensure!(script.status.success() && !script.stdout.is_empty(), "{shell}");
            }
            None if source == "target/release/torsade" => {}
            None => {
                let file = repository().join("host").join(source);
                ensure!(file.is_file(), "{} isn't there", file.display());
                there += 1;
            }
        }
    }
    ensure!(there > 3, "only {there} files are of the repository");
    let conf_files = deb()?["conf-files"].clone();
    ensure!(conf_files == serde_json::json!(["/etc/torsade/torsade.toml"]), "{conf_files}");
    ensure!(installed.iter().any(|target| target == "etc/torsade/"), "{installed:?}");
    Ok(())
}

/// `package.metadata.deb` of the host, as cargo reads it.
fn deb() -> Result<Value> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["metadata", "--format-version=1", "--no-deps", "--offline"]);
    let output = command.current_dir(repository()).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"].as_array().context("there are packages")?;
    let host = packages.iter().find(|package| package["name"] == "torsade");
    Ok(host.context("the host is one of them")?["metadata"]["deb"].clone())
}

fn assets() -> Result<Vec<Vec<String>>> {
    Ok(serde_json::from_value(deb()?["assets"].clone())?)
}

/// With this repository's plugin and a folder that is here.
fn its_configuration_can_be_served() -> Result<()> {
    let text = std::fs::read_to_string(repository().join("host/debian/torsade.toml"))?;
    let plugin = component("guests/http")?;
    let folder = tempfile::tempdir()?;
    let here = text
        .replace("/usr/lib/torsade/http.wasm", &plugin.display().to_string())
        .replace("/usr/share/doc/torsade", &folder.path().display().to_string());
    ensure!(here.matches(&*folder.path().display().to_string()).count() == 1, "{here}");
    std::fs::write(folder.path().join("torsade.toml"), here)?;
    let output = host::run(&["check"], folder.path())?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// `Type=notify`, as systemd's sd_notify(3) has it: a datagram once the endpoints are bound.
fn its_unit_is_told_that_it_serves() -> Result<()> {
    let unit = std::fs::read_to_string(repository().join("host/debian/torsade.service"))?;
    ensure!(unit.contains("\nType=notify\n"), "{unit}");
    let folder = folder(ECHO)?;
    let place = folder.path().join("notify");
    let manager = UnixDatagram::bind(&place)?;
    manager.set_read_timeout(Some(PATIENCE))?;
    let mut command = host::command()?;
    command.arg("up").arg(folder.path()).env("NOTIFY_SOCKET", &place);
    let host = Host::start(command, 1)?;
    let mut told = [0; 100];
    let n = manager.recv(&mut told).context("the manager is told nothing")?;
    let lines = told[..n].escape_ascii().to_string();
    ensure!(told[..n].split(|byte| *byte == b'\n').any(|line| line == b"READY=1"), "{lines}");
    host.connect("echo")?;
    Ok(())
}

/// How exposed a unit may be, in tenths, as `systemd-analyze security` counts; 10 means nothing is
/// closed.
const EXPOSURE_MAX: u32 = 20;

fn systemd_takes_its_unit(systemd_analyze: &Path) -> Result<()> {
    // Where the unit says it is, and with no manual to look into.
    let folder = tempfile::tempdir()?;
    let unit = std::fs::read_to_string(repository().join("host/debian/torsade.service"))?;
    let documentation = |line: &&str| !line.starts_with("Documentation=");
    let here = unit.lines().filter(documentation).collect::<Vec<_>>().join("\n");
    let here = here.replace("/usr/bin/torsade", &host::binary()?.display().to_string());
    let file = folder.path().join("torsade.service");
    std::fs::write(&file, here)?;
    let verified = Command::new(systemd_analyze).arg("verify").arg(&file).output()?;
    let said = String::from_utf8_lossy(&verified.stderr);
    let own = said.lines().find(|line| line.contains("torsade.service"));
    ensure!(verified.status.success() && own.is_none(), "{said}");

    let mut command = Command::new(systemd_analyze);
    command.args(["security", "--offline=true", "--no-pager"]);
    command.arg(format!("--threshold={EXPOSURE_MAX}")).arg(&file);
    let judged = command.output()?;
    let table = String::from_utf8_lossy(&judged.stdout);
    ensure!(judged.status.success(), "{table}");
    // Plugins are machine code that is made at the start.
    ensure!(!unit.contains("\nMemoryDenyWriteExecute="), "no plugin could be compiled");
    Ok(())
}

fn bash_completes(bash: &Path) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let script = host::run(&["completions", "bash"], folder.path())?;
    std::fs::write(folder.path().join("torsade"), script.stdout)?;
    let line = "source ./torsade; COMP_WORDS=(torsade check --ex); COMP_CWORD=2; \
                _torsade torsade --ex check; echo \"${COMPREPLY[@]}\"";
    let output = Command::new(bash).args(["-c", line]).current_dir(folder.path()).output()?;
    let completed = String::from_utf8_lossy(&output.stdout);
    ensure!(completed.trim() == "--explain", "{output:?}");
    Ok(())
}

fn man_shows_its_pages(man: &Path) -> Result<()> {
    let folder = tempfile::tempdir()?;
    ensure!(host::run(&["man", "pages"], folder.path())?.status.success(), "they can't be made");
    for page in folder.path().join("pages").read_dir()? {
        let page = page?.path();
        let mut command = Command::new(man);
        command.args(["--warnings", "--local-file"]).arg(&page).env("MANWIDTH", "100");
        let shown = command.env("LC_ALL", "C.UTF-8").output()?;
        let (text, warnings) =
            (String::from_utf8_lossy(&shown.stdout), String::from_utf8_lossy(&shown.stderr));
        ensure!(shown.status.success() && warnings.is_empty(), "{}: {warnings}", page.display());
        for words in ["EXIT STATUS", "2  it was asked for what can't be done", "TORSADE_LOG"] {
            ensure!(text.contains(words), "{} doesn't say {words}:\n{text}", page.display());
        }
    }
    Ok(())
}
