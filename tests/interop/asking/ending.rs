//! The end of an instance that has asked for all there is: nothing of it is left, and nothing of it
//! reaches the next.

use std::net::{TcpListener, TcpStream};

use anyhow::{Result, ensure};
use libtest_mimic::Trial;

use super::connecting::Busy;
use super::listening::{own_address, refuses};
use super::{Lines, inquirer, trial, until};

pub(super) fn trials() -> Vec<Trial> {
    let ends = [("a_trap", "z trap"), ("its_last_connection", "")];
    let kinds = ["per-connection", "per-worker"].into_iter();
    let mut trials = Vec::new();
    for instances in kinds {
        for (what, last) in ends {
            let name = format!("asking::ending::{what}_leaves_nothing::{instances}");
            trials.push(trial(&name, move || an_end_leaves_nothing(instances, last)));
        }
    }
    let counts = "asking::ending::a_sandbox_that_only_a_dialled_connection_keeps_counts";
    trials.push(trial(counts, what_is_dialled_keeps_a_sandbox));
    let arrived = "asking::ending::what_arrived_at_a_sandbox_counts_while_it_is_open";
    trials.push(trial(arrived, what_arrived_counts_while_open));
    trials
}

fn an_end_leaves_nothing(instances: &str, last: &str) -> Result<()> {
    let ip = own_address();
    let (busy, listener) = (Busy::new(ip)?, TcpListener::bind((ip, 0))?);
    let port = listener.local_addr()?.port();
    let (_folder, mut host) = inquirer(&format!(
        "instances = \"{instances}\"\ngrants = {{ connect = [\"tcp:{ip}:*\"], jobs = true, \
         listen = [\"tcp:40000:interface={ip}\"] }}\n\
         limits = {{ deferreds = 4, jobs = 1, job-deadline = \"60min\", listeners = 1, \
         outgoing = 2 }}\n"
    ))?;
    // A shared instance outlives its connections, and what it holds for itself goes on.
    let lives_on = instances == "per-worker" && last.is_empty();
    for _ in 0..3 {
        let mut lines = Lines::asking(&host)?;
        if !lives_on {
            let listening = format!("a ok {ip} 40000");
            lines.ask(&format!("a listen tcp:40000:interface={ip}"), &listening)?;
        }
        // What the last connection left is given up once its end was seen.
        lines.ask_until(&format!("b connect tcp:{ip}:{port}"), "b ", "b ok")?;
        let mut peer = Lines::new(listener.accept()?.0)?;
        peer.expect("dialled b")?;
        lines.send(&format!("c connect tcp:{}", busy.address))?;
        lines.send("d in 3600000\ne in 3600000")?;
        lines.ask_until("f run double x", "f limit", "f ok xx")?;
        lines.send("f run spin")?;
        let full = "g refused-at-once limit";
        lines.ask_with("g in 1", full, "limits.deferreds")?;
        if last.is_empty() {
            drop((lines, peer));
        } else {
            lines.send(last)?;
            lines.ends()?;
            peer.ends()?;
        }
        if !lives_on {
            until(|| Ok(refuses(ip).is_ok()))?;
        }
    }
    let status = host.terminate()?;
    ensure!(status.success(), "{status}: {}", host.log());
    ensure!(!host.log().contains("panicked at host"), "{}", host.log());
    Ok(())
}

/// Else new connections would find no room for their sandboxes.
fn what_is_dialled_keeps_a_sandbox() -> Result<()> {
    let ip = own_address();
    let listener = TcpListener::bind((ip, 0))?;
    let port = listener.local_addr()?.port();
    let (_folder, host) = inquirer(&format!(
        "grants = {{ connect = [\"tcp:{ip}:*\"], jobs = true, \
         listen = [\"tcp:40000:interface={ip}\"] }}\nlimits = {{ instances = 1 }}\n"
    ))?;
    let mut lines = Lines::asking(&host)?;
    lines.ask(&format!("a connect tcp:{ip}:{port}"), "a ok")?;
    let mut peer = Lines::new(listener.accept()?.0)?;
    peer.expect("dialled a")?;
    drop(lines);
    let waiting = host.connect("inquirer")?;
    host.log_with(&["limits.instances is reached"])?;
    drop(peer);
    let mut lines = Lines::new(waiting)?;
    lines.expect("hello")?;
    lines.ask("b in 1", "b ok")
}

/// As FTP's passive mode has it: one long connection, and a short one for each file.
fn what_arrived_counts_while_open() -> Result<()> {
    let ip = own_address();
    let (_folder, host) = inquirer(&format!(
        "instances = \"per-connection\"\ngrants = {{ connect = [\"tcp:{ip}:*\"], jobs = true, \
         listen = [\"tcp:40000:interface={ip}\"] }}\nlimits = {{ connections = 2 }}\n"
    ))?;
    let mut lines = Lines::asking(&host)?;
    lines.ask(&format!("a listen tcp:40000:interface={ip}"), &format!("a ok {ip} 40000"))?;
    for _ in 0..3 {
        let mut arrived = Lines::new(TcpStream::connect((ip, 40000))?)?;
        arrived.expect("arrived a")?;
        arrived.ask("and it echoes", "and it echoes")?;
    }
    lines.ask("b in 1", "b ok")
}
