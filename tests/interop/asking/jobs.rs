//! Jobs: what they come to, and how they end.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use torsade_tests::host::{self, Host};

use super::{GRANTS, HEAD, Lines, ends_well, folder, inquirer, trial};
use crate::interop::bad_configuration::one_message;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("asking::jobs::what_a_job_returns_comes_back", what_a_job_returns_comes_back),
        trial("asking::jobs::a_job_has_facts_and_a_log_and_asks_nothing", facts_and_a_log),
        trial("asking::jobs::what_a_job_fails_with_is_a_value", what_a_job_fails_with_is_a_value),
        trial("asking::jobs::a_job_without_end_is_ended", a_job_without_end_is_ended),
        trial("asking::jobs::a_job_has_a_memory_of_its_own_size", a_job_has_a_memory),
        trial("asking::jobs::an_output_beyond_the_outbox_is_a_value", an_output_too_large),
        trial("asking::jobs::who_gives_a_job_up_ends_it", who_gives_a_job_up_ends_it),
        trial("asking::jobs::what_was_given_up_is_not_begun", what_was_given_up_is_not_begun),
        trial("asking::jobs::a_lost_connection_ends_its_jobs", a_lost_connection_ends_its_jobs),
        trial("asking::jobs::a_host_that_stops_ends_them", a_host_that_stops_ends_them),
        trial("asking::jobs::only_so_many_run_at_once", only_so_many_run_at_once),
        trial("asking::jobs::a_service_waits_for_no_others_jobs", a_service_waits_for_no_other),
        trial("asking::jobs::two_share_nothing", two_share_nothing),
        trial("asking::jobs::jobs_need_their_grant", jobs_need_their_grant),
        trial("asking::jobs::a_plugin_without_jobs_is_told", a_plugin_without_jobs_is_told),
    ]
}

fn what_a_job_returns_comes_back() -> Result<()> {
    let (_folder, host) = inquirer(&format!("{GRANTS}config = {{ refuse-dialled = true }}\n"))?;
    let mut lines = Lines::asking(&host)?;
    lines.ask("a run double twice", "a ok twicetwice")?;
    lines.ask("b run double", "b ok")?;
    lines.ask("c run config", r#"c ok {"refuse-dialled":true}"#)?;
    ends_well(host)
}

fn facts_and_a_log() -> Result<()> {
    let (_folder, host) = inquirer(GRANTS)?;
    let mut lines = Lines::asking(&host)?;
    let mut numbers = HashSet::new();
    for _ in 0..2 {
        let facts = lines.ask_with("a run facts", "a ok true", "")?;
        numbers.extend(facts.split(' ').skip(3).map(str::to_owned));
    }
    ensure!(numbers.len() == 4, "random numbers repeat: {numbers:?}");
    host.log_with(&["a line of the job's", "inquirer"])?;
    lines.ask("b run ask", &format!("b ok{}", " unsupported".repeat(5)))?;
    ends_well(host)
}

fn what_a_job_fails_with_is_a_value() -> Result<()> {
    let (_folder, host) = inquirer(GRANTS)?;
    let mut lines = Lines::asking(&host)?;
    lines.ask("a run fail", "a out-of-paper the printer said so")?;
    lines.ask("b run nothing", "b not-found there is no job \"nothing\"")?;
    lines.ask_with("c run trap", "c trapped", "\"trap\"")?;
    host.log_with(&["the job was told to"])?;
    lines.ask("d echo on", "d ok on")?;
    let mut host = host;
    ensure!(host.terminate()?.success(), "{}", host.log());
    Ok(())
}

fn a_job_without_end_is_ended() -> Result<()> {
    let (_folder, host) = inquirer(&format!("{GRANTS}limits = {{ job-deadline = \"50ms\" }}\n"))?;
    let mut lines = Lines::asking(&host)?;
    lines.ask_with("a run spin", "a limit", "limits.job-deadline")?;
    lines.ask("b run double x", "b ok xx")?;
    ends_well(host)
}

fn a_job_has_a_memory() -> Result<()> {
    let (_folder, host) =
        inquirer(&format!("{GRANTS}limits = {{ job-memory = \"8MiB\", memory = \"12MiB\" }}\n"))?;
    let mut lines = Lines::asking(&host)?;
    lines.ask_with("a run hoard", "a limit", "limits.job-memory")?;
    lines.ask("b run double x", "b ok xx")?;
    let mut host = host;
    ensure!(host.terminate()?.success(), "{}", host.log());
    Ok(())
}

/// What would not fit where the plugin takes it must not end the plugin.
fn an_output_too_large() -> Result<()> {
    let (_folder, host) =
        inquirer(&format!("{GRANTS}limits = {{ outbox = \"2MiB\", unsent = \"4MiB\" }}\n"))?;
    let mut lines = Lines::asking(&host)?;
    let line = lines.ask_with("a run fill 1000000", "a ok", "")?;
    ensure!(line.len() == 1_000_005, "{}", line.len());
    lines.ask_with("b run fill 3000000", "b limit", "limits.outbox")?;
    lines.ask("c echo on", "c ok on")?;
    ends_well(host)
}

fn who_gives_a_job_up_ends_it() -> Result<()> {
    let limits = "limits = { jobs = 1, job-deadline = \"60min\" }\n";
    let (_folder, host) = inquirer(&format!("{GRANTS}{limits}"))?;
    let mut lines = Lines::asking(&host)?;
    for round in 0..3 {
        lines.send("a run spin")?;
        // The worker serves on while it spins.
        lines.ask("b echo on", "b ok on")?;
        lines.ask_with("c run double x", "c limit", "limits.jobs")?;
        lines.ask_with("a cancel", "a cancelled", "")?;
        lines.ask_until("c run double x", "c limit", "c ok xx").context("cancelled")?;
        lines.send("a run spin")?;
        lines.send("a drop")?;
        lines.ask_until("c run double x", "c limit", "c ok xx").context("dropped")?;
        lines.ask("d echo on", "d ok on").with_context(|| format!("round {round}"))?;
    }
    ends_well(host)
}

fn what_was_given_up_is_not_begun() -> Result<()> {
    let limits = "limits = { jobs = 300, job-deadline = \"60min\" }\n";
    let (_folder, host) = inquirer(&format!("{GRANTS}{limits}"))?;
    let mut lines = Lines::asking(&host)?;
    // More than the machine has cores: the last ones wait.
    for tag in 0..256 {
        lines.send(&format!("{tag} run spin"))?;
    }
    lines.send("a run facts\na drop\nb run facts")?;
    lines.ask_with("b cancel", "b cancelled", "")?;
    for tag in 0..256 {
        lines.ask_with(&format!("{tag} cancel"), &format!("{tag} cancelled"), "")?;
    }
    // It comes after them.
    lines.ask("c run double x", "c ok xx")?;
    ensure!(!host.log().contains("a line of the job's"), "{}", host.log());
    ends_well(host)
}

fn a_lost_connection_ends_its_jobs() -> Result<()> {
    let limits = "limits = { jobs = 1, job-deadline = \"60min\" }\n";
    let (_folder, host) = inquirer(&format!("{GRANTS}{limits}"))?;
    let mut other = Lines::asking(&host)?;
    let mut lines = Lines::asking(&host)?;
    lines.send("a run spin")?;
    lines.ask("b echo on", "b ok on")?;
    other.ask_with("c run double x", "c limit", "limits.jobs")?;
    drop(lines);
    other.ask_until("c run double x", "c limit", "c ok xx")?;
    ends_well(host)
}

fn a_host_that_stops_ends_them() -> Result<()> {
    let limits = "limits = { jobs = 8, job-deadline = \"60min\" }\n";
    let (_folder, host) = inquirer(&format!("{GRANTS}{limits}"))?;
    let mut lines = Lines::asking(&host)?;
    for tag in 0..8 {
        lines.send(&format!("{tag} run spin"))?;
    }
    lines.ask("a echo on", "a ok on")?;
    ends_well(host)
}

fn only_so_many_run_at_once() -> Result<()> {
    let limits = "limits = { jobs = 2, job-deadline = \"60min\" }\n";
    let (_folder, host) = inquirer(&format!("{GRANTS}{limits}"))?;
    let mut lines = Lines::asking(&host)?;
    lines.send("a run spin\nb run spin\nc run double x")?;
    lines.expect_with("c limit", "limits.jobs")?;
    lines.ask_with("a cancel", "a cancelled", "")?;
    lines.ask_until("c run double x", "c limit", "c ok xx")?;
    ends_well(host)
}

fn a_service_waits_for_no_other() -> Result<()> {
    let limits = "limits = { jobs = 64, job-deadline = \"60min\" }\n";
    let service = "plugin = \"@inquirer\"\nlisten = [\"tcp:0:interface=127.0.0.1\"]\n";
    let folder = folder(&format!(
        "{HEAD}listen = [\"tcp:0:interface=127.0.0.1\"]\n{GRANTS}\
         [service.hostile]\n{service}{GRANTS}{limits}[service.worse]\n{service}{GRANTS}{limits}"
    ))?;
    let host = Host::up(folder.path(), 3)?;
    let mut hostile = Vec::new();
    for service in ["hostile", "worse"] {
        let mut lines = Lines::new(host.connect(service)?)?;
        lines.expect("hello")?;
        for tag in 0..64 {
            lines.send(&format!("{tag} run spin"))?;
        }
        lines.synchronise()?;
        hostile.push(lines);
    }
    let mut lines = Lines::asking(&host)?;
    for _ in 0..10 {
        lines.ask("a run double x", "a ok xx")?;
    }
    ends_well(host)
}

fn two_share_nothing() -> Result<()> {
    let (_folder, host) = inquirer(GRANTS)?;
    let mut lines = Lines::asking(&host)?;
    for _ in 0..4 {
        lines.send("a run count\nb run count")?;
        let mut both = [lines.line()?, lines.line()?];
        both.sort();
        ensure!(both == ["a ok 1", "b ok 1"], "{both:?}");
    }
    ends_well(host)
}

fn jobs_need_their_grant() -> Result<()> {
    let without = GRANTS.replace("jobs = true, ", "");
    let folder = folder(&format!("{HEAD}listen = [\"tcp:0:interface=127.0.0.1\"]\n{without}"))?;
    let message = one_message(&host::run(&["up"], folder.path())?)?;
    ensure!(message.contains("imports jobs, which its service does not grant"), "{message}");
    Ok(())
}

fn a_plugin_without_jobs_is_told() -> Result<()> {
    let folder = folder(
        "[service.jobless]\nplugin = \"@jobless\"\nlisten = [\"tcp:0:interface=127.0.0.1\"]\n\
         grants = { jobs = true }\n",
    )?;
    let host = Host::up(folder.path(), 1)?;
    let mut stream = BufReader::new(host.connect("jobless")?);
    for _ in 0..2 {
        stream.get_mut().write_all(b"?")?;
        let mut told = String::new();
        stream.read_line(&mut told)?;
        ensure!(told == "unsupported\n", "{told:?}");
    }
    drop(stream);
    ends_well(host)
}
