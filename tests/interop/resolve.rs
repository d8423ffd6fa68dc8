//! Names in, numbers out: the resolver as a plugin sees it.

use std::fs;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use tempfile::TempDir;
use torsade_tests::host::Host;

use super::bad_configuration::message;
use super::{folder, program_trial, trial};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("resolve::a_name_becomes_a_number", a_name_becomes_a_number),
        trial("resolve::answers_come_in_the_order_of_the_questions", in_the_order),
        trial("resolve::a_line_that_never_ends_is_cut_off", a_line_that_never_ends_is_cut_off),
        trial("resolve::without_its_grant_it_is_not_served", without_its_grant),
        program_trial(
            "resolve::netcat_gets_numbers",
            "nc.openbsd",
            "netcat-openbsd",
            netcat_gets_numbers,
        ),
    ]
}

fn served(instances: &str) -> Result<(TempDir, Host)> {
    let folder = folder(&format!(
        "workers = 1\n[service.resolve]\nplugin = \"@resolve\"\ninstances = \"{instances}\"\n\
         listen = [\"tcp:0:interface=127.0.0.1\"]\ngrants = {{ resolver = true }}\n"
    ))?;
    let host = Host::up(folder.path(), 1)?;
    Ok((folder, host))
}

/// Sends all, ends its half, and reads to the end.
fn ask(host: &Host, questions: &str) -> Result<String> {
    let mut stream = host.connect("resolve")?;
    let mut to = stream.try_clone()?;
    let mut answers = String::new();
    thread::scope(|scope| -> Result<()> {
        let sent = scope.spawn(move || {
            to.write_all(questions.as_bytes()).and_then(|()| to.shutdown(Shutdown::Write))
        });
        stream.read_to_string(&mut answers)?;
        Ok(sent.join().expect("writing doesn't panic")?)
    })?;
    Ok(answers)
}

fn a_name_becomes_a_number() -> Result<()> {
    for instances in ["per-connection", "per-worker"] {
        let (_folder, host) = served(instances)?;
        for (name, number) in [
            ("localhost\n", "2130706433\n"),
            ("LOCALHOST\r\n", "2130706433\n"),
            ("127.0.0.1\n", "2130706433\n"),
            ("255.255.255.255\n", "4294967295\n"),
            ("0.0.0.0", "0\n"),
        ] {
            let answer = ask(&host, name)?;
            ensure!(answer == number, "{name:?} is {answer:?}");
        }
        let long = format!("{}\n", "a.".repeat(200));
        for (name, code) in [
            // What name servers there are, or none, answers this one.
            ("no-such-host.invalid\n", ""),
            ("::1\n", "not-found"),
            ("two words\n", ""),
            (&*long, "invalid"),
            ("\n", "empty"),
        ] {
            let answer = ask(&host, name)?;
            let is_line = answer.strip_suffix('\n').is_some_and(|line| !line.contains('\n'));
            ensure!(is_line && answer.starts_with("error: "), "{name:?} is {answer:?}");
            ensure!(answer.contains(code), "{name:?} is {answer:?}, without {code}");
        }
        ensure!(ask(&host, "")?.is_empty(), "nothing has an answer");
    }
    Ok(())
}

/// Names that take a while stand between others that are their own answers.
fn in_the_order() -> Result<()> {
    let (_folder, host) = served("per-worker")?;
    let (mut questions, mut wanted) = (String::new(), Vec::new());
    for number in 0..20_000_u32 {
        if number % 1000 == 7 {
            questions += &format!("no-{number}.such-host.invalid\n");
            wanted.push("error: ".to_owned());
        } else if number % 100 == 0 {
            questions += "localhost\n";
            wanted.push("2130706433".to_owned());
        } else {
            questions += &format!("{}\n", std::net::Ipv4Addr::from(number));
            wanted.push(number.to_string());
        }
    }
    let answers = ask(&host, &questions)?;
    let lines: Vec<_> = answers.lines().collect();
    ensure!(lines.len() == wanted.len(), "{} answers to {}", lines.len(), wanted.len());
    for (line, wanted) in lines.iter().zip(&wanted) {
        let right = if wanted == "error: " { line.starts_with(wanted) } else { line == wanted };
        ensure!(right, "{line:?} in the place of {wanted:?}");
    }
    Ok(())
}

fn a_line_that_never_ends_is_cut_off() -> Result<()> {
    let (_folder, host) = served("per-worker")?;
    let mut other = host.connect("resolve")?;
    let mut stream = host.connect("resolve")?;
    stream.write_all(b"127.0.0.1\n")?;
    let line = vec![b'x'; 100_000];
    stream.write_all(&line)?;
    let mut answers = String::new();
    stream.read_to_string(&mut answers)?;
    let lines: Vec<_> = answers.lines().collect();
    ensure!(lines.len() == 2 && lines[0] == "2130706433", "{answers:?}");
    ensure!(lines[1].starts_with("error: a line has more than"), "{answers:?}");
    other.write_all(b"0.0.0.1\n")?;
    let mut answer = [0; 2];
    other.read_exact(&mut answer).context("others are served")?;
    ensure!(&answer == b"1\n", "{answer:?}");
    Ok(())
}

fn without_its_grant() -> Result<()> {
    let folder = folder("[service.resolve]\nplugin = \"@resolve\"\nlisten = [\"tcp:0\"]\n")?;
    let message = message("up", folder.path())?;
    ensure!(message.contains("service.resolve"), "{message}");
    ensure!(message.contains("resolver"), "{message}");
    Ok(())
}

fn netcat_gets_numbers(program: &Path) -> Result<()> {
    let (folder, host) = served("per-connection")?;
    let address = host.address("resolve")?;
    let file = folder.path().join("names");
    fs::write(&file, "localhost\n127.0.0.2\n::1\n1.2.3.4")?;
    let output = Command::new(program)
        .args(["-N", "-w", "30", &address.ip().to_string(), &address.port().to_string()])
        .stdin(Stdio::from(fs::File::open(&file)?))
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    let lines: Vec<_> = text.lines().collect();
    ensure!(lines.len() == 4 && lines[2].starts_with("error: "), "{text:?}");
    ensure!((lines[0], lines[1], lines[3]) == ("2130706433", "2130706434", "16909060"), "{text:?}");
    Ok(())
}
