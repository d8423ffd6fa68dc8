//! The access log: off unless asked for, and nothing that a client sends can forge it.

use anyhow::{Result, ensure};
use libtest_mimic::Trial;

use super::super::trial;
use super::Site;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("http::each_answer_is_logged_where_that_is_asked_for", each_answer_is_logged),
        trial("http::nothing_is_logged_where_it_is_not", nothing_is_logged),
        trial("http::a_client_can_not_forge_the_log", a_client_can_not_forge_the_log),
    ]
}

fn each_answer_is_logged() -> Result<()> {
    let site = Site::new("access-log = true", "")?;
    site.ask("GET /ten.txt?a=b HTTP/1.1\r\nHost: a\r\nReferer: there\r\nUser-Agent: me\r\n\r\n")?;
    site.host
        .log_with(&["127.0.0.1 - - [", "\"GET /ten.txt?a=b HTTP/1.1\" 200 10 \"there\" \"me\""])?;
    site.ask("GET /none HTTP/1.1\r\nHost: a\r\n\r\n")?;
    site.host.log_with(&["\"GET /none HTTP/1.1\" 404 "])?;
    site.ask("rubbish\r\n\r\n")?;
    site.host.log_with(&["\" 400 "])?;
    Ok(())
}

fn nothing_is_logged() -> Result<()> {
    let mut site = Site::new("", "")?;
    site.ask("GET /ten.txt HTTP/1.1\r\nHost: a\r\nUser-Agent: me\r\n\r\n")?;
    ensure!(site.host.terminate()?.success(), "{}", site.host.log());
    ensure!(!site.host.log().contains("ten.txt"), "{}", site.host.log());
    Ok(())
}

fn a_client_can_not_forge_the_log() -> Result<()> {
    let site = Site::new("access-log = true", "")?;
    let agent = b"a\" 200 1 \"b\x1b[31m\xff\xc2\x9b\\\t end";
    let request = [b"GET /ten.txt HTTP/1.1\r\nHost: a\r\nUser-Agent: ", &agent[..], b"\r\n\r\n"];
    site.ask(request.concat())?;
    site.ask("GET /%0a%1b[31m\"x HTTP/1.1\r\nHost: a\r\n\r\n")?;
    site.ask("GET /ten.txt HTTP/1.1\r\nHost: a\r\nUser-Agent: over\r\n\r\n")?;
    let log = site.host.log_with(&["\"over\""])?;
    let is_harmless = |c: char| c == '\n' || !c.is_control();
    ensure!(log.chars().all(is_harmless), "{}", log.escape_debug());
    ensure!(!log.contains("a\" 200 1 \"b"), "{log}");
    Ok(())
}
