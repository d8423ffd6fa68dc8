//! Programs that others wrote don't notice what is between them.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Result, ensure};
use libtest_mimic::Trial;

use super::super::program_trial;
use super::{INSTANCES, hops};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        program_trial("portforward::curl_gets_every_byte", "curl", "curl", curl_gets_every_byte),
        program_trial(
            "portforward::netcat_gets_back_what_it_sends",
            "nc.openbsd",
            "netcat-openbsd",
            netcat_gets_back_what_it_sends,
        ),
        program_trial(
            "portforward::socat_gets_back_what_it_sends",
            "socat",
            "socat",
            socat_gets_back_what_it_sends,
        ),
    ]
}

const ECHO: &str = "[service.echo]\nplugin = \"@echo\"\nlisten = [\"unix:target.sock\"]\n";

fn text() -> Vec<u8> {
    (0..5_000_000).map(|place| (place % 251) as u8).collect()
}

fn curl_gets_every_byte(program: &Path) -> Result<()> {
    let public = tempfile::tempdir()?;
    fs::write(public.path().join("large.bin"), text())?;
    let site = format!(
        "[service.site]\nplugin = \"@http\"\nlisten = [\"unix:target.sock\"]\n\
         grants = {{ files = {{ read = {:?} }} }}\n",
        public.path().display().to_string()
    );
    for instances in INSTANCES {
        let (_folder, host) = hops("unix:target.sock", instances, &site)?;
        for service in ["one", "two"] {
            let url = format!("http://{}/large.bin", host.address(service)?);
            let output = Command::new(program)
                .args(["-q", "-sS", "--max-time", "20", "--noproxy", "*", &url, &url])
                .output()?;
            ensure!(output.status.success(), "{service}: {:?}", output.stderr.escape_ascii());
            let right = output.stdout == [text(), text()].concat();
            ensure!(right, "{instances} {service}: {} bytes", output.stdout.len());
        }
    }
    Ok(())
}

fn netcat_gets_back_what_it_sends(program: &Path) -> Result<()> {
    echoed(program, |ip, port| ["-N", "-w", "30", ip, port].map(str::to_owned).to_vec())
}

fn socat_gets_back_what_it_sends(program: &Path) -> Result<()> {
    echoed(program, |ip, port| {
        vec!["-t".to_owned(), "30".to_owned(), "-".to_owned(), format!("TCP:{ip}:{port}")]
    })
}

/// Sends a file, ends its half, and reads to the end.
fn echoed(program: &Path, arguments: impl Fn(&str, &str) -> Vec<String>) -> Result<()> {
    for instances in INSTANCES {
        let (folder, host) = hops("unix:target.sock", instances, ECHO)?;
        let file = folder.path().join("text");
        fs::write(&file, text())?;
        for service in ["one", "two"] {
            let address = host.address(service)?;
            let (ip, port) = (address.ip().to_string(), address.port().to_string());
            let output = Command::new(program)
                .args(arguments(&ip, &port))
                .stdin(Stdio::from(fs::File::open(&file)?))
                .output()?;
            ensure!(output.status.success(), "{instances} {service}: {output:?}");
            let right = output.stdout == text();
            ensure!(right, "{instances} {service}: {} bytes", output.stdout.len());
        }
    }
    Ok(())
}
