//! A browser reads documentation: Debian's Chromium, driven by Selenium.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use torsade_tests::host::Host;
use torsade_tests::programs;

use super::super::trial_with;
use super::programs::{documentation, serve};

pub(super) fn trials() -> Vec<Trial> {
    let name = "http::a_browser_shows_documentation_and_no_request_fails";
    vec![trial_with(name, needed, |html| a_browser_shows(&html))]
}

/// Debian's own Python has Debian's Selenium.
const PYTHON: &str = "/usr/bin/python3";
const SELENIUM: &str = "/usr/lib/python3/dist-packages/selenium/__init__.py";

/// The documentation, once there is what reads it.
fn needed() -> Result<PathBuf> {
    programs::file(SELENIUM, "python3-selenium")?;
    programs::program("chromedriver", "chromium-driver")?;
    documentation()
}

fn a_browser_shows(html: &Path) -> Result<()> {
    let folder = serve(html)?;
    let host = Host::up(folder.path(), 1)?;
    let url = format!("http://{}/std/index.html", host.address("site")?);
    // The browser keeps its profile, and all else, there.
    let mut browser = Command::new(PYTHON);
    browser
        .args(["-c", include_str!("browser.py"), &url])
        .env("HOME", folder.path())
        .env("TMPDIR", folder.path());
    let output = browser.stdin(Stdio::null()).output()?;
    let words = String::from_utf8_lossy(&output.stdout);
    let wrong = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{words}\n{wrong}\n{}", host.log());
    Ok(())
}
