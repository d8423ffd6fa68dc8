//! Policies with real sockets, and with programs that others wrote.

use std::io::{ErrorKind, Read, Write};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use libtest_mimic::Trial;
use torsade_tests::host::Host;

use super::endpoints::connect_unix;
use super::streams::echoes;
use super::{folder, program_trial, trial};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        program_trial("policies::curl_gets_a_file_at_a_rate", "curl", "curl", curl_at_a_rate),
        program_trial("policies::socat_is_kept_out", "socat", "socat", socat_is_kept_out),
        trial("policies::two_workers_share_a_rate", two_workers_share_a_rate),
        trial("policies::a_silent_peer_is_let_go", a_silent_peer_is_let_go),
    ]
}

/// 600 KiB at 200 KiB a second take three seconds, but for what may come at once.
fn curl_at_a_rate(program: &Path) -> Result<()> {
    let folder = folder(
        "[service.site]\nplugin = \"@http\"\nlisten = [\"tcp:0:interface=127.0.0.1\"]\n\
         grants = { files = { read = \"public\" } }\nlimits = { write-rate-per-peer = \"200KiB\" }\n",
    )?;
    std::fs::create_dir(folder.path().join("public"))?;
    let content: Vec<u8> = (0..600 * 1024).map(|place| (place % 251) as u8).collect();
    std::fs::write(folder.path().join("public/file"), &content)?;
    let host = Host::up(folder.path(), 1)?;
    let url = format!("http://{}/file", host.address("site")?);
    let begun = Instant::now();
    let output = Command::new(program)
        .args(["-q", "-sS", "--max-time", "20", "--noproxy", "*", &url])
        .output()?;
    let took = begun.elapsed();
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    ensure!(output.stdout == content, "{} bytes came", output.stdout.len());
    ensure!(took > Duration::from_millis(2700), "it took only {took:?}");
    Ok(())
}

fn socat_is_kept_out(program: &Path) -> Result<()> {
    let folder = folder(
        "workers = 2\n[service.echo]\nplugin = \"@echo\"\n\
         listen = [\"tcp6:0:interface=[::1]\", \"tcp:0:interface=127.0.0.1\", \"unix:echo.sock\"]\n\
         allow = [\"127.0.0.1\", \"::1\", \"unix\"]\ndeny = [\"127.0.0.2/31\"]\n",
    )?;
    let host = Host::up(folder.path(), 3)?;
    let to = host.endpoints.iter().filter(|(_, endpoint)| endpoint.contains("127.0.0.1"));
    let port = to.filter_map(|(_, endpoint)| endpoint.split(':').nth(1)).next().unwrap_or("");
    for (from, may) in [("127.0.0.1", true), ("127.0.0.2", false), ("127.0.0.4", false)] {
        let to = format!("TCP4:127.0.0.1:{port},bind={from}");
        let mut socat = Command::new(program);
        socat.args(["-T", "10", "-", &to]).stdin(std::process::Stdio::piped());
        let mut child = socat
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::null())
            .spawn()?;
        // Where it is kept out, it may be gone already.
        let _ = child.stdin.take().map(|mut stdin| stdin.write_all(b"hello"));
        let output = child.wait_with_output()?;
        let wanted: &[u8] = if may { b"hello" } else { b"" };
        ensure!(output.stdout == wanted, "{from}: {:?}", output.stdout);
    }
    host.log_with(&["turned away", "127.0.0.2", "`allow` and `deny`"])?;
    ensure!(host.log().matches("turned away").count() <= 2, "{}", host.log());
    echoes(&mut connect_unix(&folder.path().join("echo.sock"))?, b"by a Unix socket")
}

/// Workers have sockets of their own, and one bucket.
fn two_workers_share_a_rate() -> Result<()> {
    let folder = folder(
        "workers = 2\n[service.echo]\nplugin = \"@echo\"\n\
         listen = [\"tcp:0:interface=127.0.0.1\"]\nlimits = { read-rate = \"256KiB\" }\n",
    )?;
    let host = Host::up(folder.path(), 1)?;
    let begun = Instant::now();
    let talk = |mut stream: std::net::TcpStream| -> Result<()> {
        let data = vec![b'e'; 64 * 1024];
        stream.write_all(&data)?;
        let mut got = vec![0; data.len()];
        stream.read_exact(&mut got)?;
        ensure!(got == data, "other bytes came back");
        Ok(())
    };
    // 768 KiB in all.
    let streams: Vec<_> = (0..12).map(|_| host.connect("echo")).collect::<Result<_>>()?;
    let talks: Vec<_> =
        streams.into_iter().map(|stream| std::thread::spawn(move || talk(stream))).collect();
    for ended in talks {
        match ended.join() {
            Ok(result) => result?,
            Err(_) => bail!("a peer panicked"),
        }
    }
    let took = begun.elapsed();
    ensure!(took > Duration::from_millis(2700), "it took only {took:?}");
    Ok(())
}

fn a_silent_peer_is_let_go() -> Result<()> {
    let folder = folder(
        "workers = 1\n[service.echo]\nplugin = \"@echo\"\n\
         listen = [\"tcp:0:interface=127.0.0.1\"]\nlimits = { idle = \"300ms\" }\n",
    )?;
    let host = Host::up(folder.path(), 1)?;
    let mut stream = host.connect("echo")?;
    echoes(&mut stream, b"hello")?;
    match stream.read(&mut [0; 16]) {
        Ok(0) => Ok(()),
        Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(()),
        other => bail!("it was not let go: {other:?}"),
    }
}
