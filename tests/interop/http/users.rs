//! Paths that only users may see, by the component that knows them.

use std::fs;
use std::io::Write;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use torsade_tests::host::{self, Host};

use super::super::{configure, trial};
use super::client::Answer;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("http::users_see_what_others_do_not", users_see_what_others_do_not),
        trial("http::nobody_is_asked_for_a_password_in_clear", nobody_is_asked_in_clear),
    ]
}

/// A site whose user alice has the password `one`; `plain` says where that may be said.
fn serving(plain: &str) -> Result<(tempfile::TempDir, Host)> {
    let folder = tempfile::tempdir()?;
    fs::create_dir_all(folder.path().join("root/private"))?;
    fs::write(folder.path().join("root/index.html"), "<p>open</p>")?;
    fs::write(folder.path().join("root/private/index.html"), "<p>private</p>")?;
    let mut command = host::command()?;
    command.args(["passwd", "users", "alice"]).current_dir(folder.path());
    command.stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = command.spawn()?;
    child.stdin.take().context("stdin is a pipe")?.write_all(b"one\n")?;
    ensure!(child.wait()?.success(), "torsade passwd");
    let text = format!(
        "grace = \"0s\"\n[service.site]\nplugin = \"@http-users\"\ninstances = \"per-worker\"\n\
         listen = [\"tcp:0:interface=127.0.0.1\"]\n\
         config = {{ auth = [{{ path = \"/private/**\", realm = \"here\" }}] }}\n\
         [service.site.grants]\nfiles = {{ read = \"root\" }}\n\
         credentials = {{ users = \"users\", plain = \"{plain}\" }}\n"
    );
    configure(folder.path(), &text)?;
    let host = Host::up(folder.path(), 1)?;
    Ok((folder, host))
}

fn ask(host: &Host, target: &str, fields: &str) -> Result<Answer> {
    let mut stream = host.connect("site")?;
    stream.write_all(format!("GET {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n").as_bytes())?;
    Answer::read(&mut stream)
}

fn users_see_what_others_do_not() -> Result<()> {
    let (_folder, host) = serving("loopback")?;
    ask(&host, "/", "")?.expect(200, false)?;
    let asked = ask(&host, "/private/", "")?.expect(401, false)?;
    let challenge = asked.field("www-authenticate");
    ensure!(challenge == Some("Basic realm=\"here\", charset=\"UTF-8\""), "{}", asked.head);
    // alice:two
    ask(&host, "/private/", "Authorization: Basic YWxpY2U6dHdv\r\n")?.expect(401, false)?;
    // alice:one
    let known = "Authorization: Basic YWxpY2U6b25l\r\n";
    let shown = ask(&host, "/private/", known)?.expect(200, false)?;
    ensure!(shown.body == b"<p>private</p>", "{}", shown.head);
    ask(&host, "/private", known)?.expect(301, false)?;
    Ok(())
}

fn nobody_is_asked_in_clear() -> Result<()> {
    let (_folder, host) = serving("encrypted")?;
    ask(&host, "/", "")?.expect(200, false)?;
    for fields in ["", "Authorization: Basic YWxpY2U6b25l\r\n"] {
        let refused = ask(&host, "/private/", fields)?.expect(403, false)?;
        ensure!(refused.field("www-authenticate").is_none(), "{}", refused.head);
    }
    Ok(())
}
