//! Lists, posts and pages, as a browser sees them.

use std::fs;
use std::io::Write;
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::thread;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use torsade_tests::guests;

use super::super::http::client::{Answer, is_over};
use super::super::{program_trial, trial};
use super::Guestbook;

pub(super) fn trials() -> Vec<Trial> {
    let mut trials = vec![
        program_trial("guestbook::curl_posts_and_lists", "curl", "curl", curl_posts_and_lists),
        program_trial("guestbook::curl_is_told_what_is_wrong", "curl", "curl", curl_is_told),
        trial("guestbook::it_pages", it_pages),
        trial("guestbook::pipelined_requests_are_answered_in_order", pipelined_requests),
        trial("guestbook::a_peer_that_reads_late_gets_every_answer", a_late_reader),
        trial("guestbook::a_slow_peer_is_told_so", a_slow_peer),
        trial("guestbook::a_database_that_is_full_is_503", a_full_database),
        trial("guestbook::only_its_user_can_read_what_it_keeps", only_its_user),
        trial("guestbook::the_file_server_is_not_in_it", the_file_server_is_not_in_it),
    ];
    for instances in ["per-connection", "per-worker"] {
        let name = format!("guestbook::many_guests_post_at_once::{instances}");
        trials.push(trial(&name, move || many_guests(instances)));
    }
    trials
}

fn curl(program: &Path, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(program);
    command.args(["-q", "-sS", "--max-time", "20", "--noproxy", "*"]).args(arguments);
    let output = command.output()?;
    let words = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "curl {arguments:?}: {words}");
    Ok(String::from_utf8(output.stdout)?)
}

fn curl_posts_and_lists(program: &Path) -> Result<()> {
    let book = Guestbook::new("per-connection", "config = { title = \"A <book>\" }")?;
    let url = book.url("/")?;
    let form = ["name=<i>J\u{f6}rg</i>", "text=\"a\" & <script>\u{1f388}</script>\nb"];
    let [name, text] = form.map(|field| ["--data-urlencode", field]);
    // To where it is told to look, it goes by GET, on the same connection.
    let page = curl(program, &[&["-L", &url][..], &name, &text].concat())?;
    for part in [
        "<title>A &lt;book&gt;</title>",
        "<b dir=\"auto\">&lt;i&gt;J\u{f6}rg&lt;/i&gt;</b>",
        "&quot;a&quot; &amp; &lt;script&gt;\u{1f388}&lt;/script&gt;\nb</p>",
        "<form method=\"post\" action=\"/\">",
    ] {
        ensure!(page.contains(part), "{part} is not in {page}");
    }
    ensure!(!page.contains("<script") && !page.contains("<i>"), "{page}");
    let head = curl(program, &["-I", &url])?;
    let length = format!("Content-Length: {}\r\n", page.len());
    ensure!(head.starts_with("HTTP/1.1 200 ") && head.contains(&length), "{head}");
    ensure!(head.contains("Content-Security-Policy: default-src 'none';"), "{head}");
    ensure!(curl(program, &[&book.url("/style.css")?])?.contains("body {"), "no style");
    Ok(())
}

fn curl_is_told(program: &Path) -> Result<()> {
    let book = Guestbook::new("per-worker", "")?;
    let long = format!("text={}", "x".repeat(2001));
    let longer = format!("text={}", "x".repeat(100_000));
    for (arguments, path, status) in [
        (&["-X", "DELETE"][..], "/", "405"),
        (&["-d", "text=x"], "/posts.json", "405"),
        (&[], "/missing", "404"),
        (&[], "/?before=x", "400"),
        (&["-d", "text="], "/", "400"),
        (&["-d", "text=%ff"], "/", "400"),
        (&["-d", &long], "/", "413"),
        (&["-d", &longer], "/", "413"),
        (&["-F", "text=x"], "/", "415"),
        (&["-H", "Content-Type: application/json", "-d", "{}"], "/", "415"),
        (&["-X", "BREW"], "/", "501"),
    ] {
        let url = book.url(path)?;
        let asked = [arguments, &["-o", "/dev/null", "-w", "%{http_code}", &url]].concat();
        let said = curl(program, &asked)?;
        ensure!(said == status, "{said} and not {status} to {arguments:?} {path}");
    }
    ensure!(book.client()?.page(None)?.0.is_empty(), "something was posted");
    Ok(())
}

fn it_pages() -> Result<()> {
    let book = Guestbook::new("per-connection", "config = { posts-a-page = 3 }")?;
    let mut client = book.client()?;
    for number in 1..=7 {
        client.post(&format!("name=a&text={number}"))?;
    }
    let mut pages = Vec::new();
    let mut before = None;
    loop {
        let (page, older) = client.page(before)?;
        pages.push(page.iter().map(|post| post.text.clone()).collect::<Vec<_>>().join(" "));
        before = page.last().map(|post| post.id);
        let query = before.map(|id| format!("/?before={id}")).unwrap_or_default();
        let html = client.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n")?;
        let html = String::from_utf8(html.body)?;
        // The first page leads to the second, which the program has seen.
        ensure!(pages.len() > 1 || html.contains(&format!("href=\"{query}\"")), "{html}");
        if !older {
            break;
        }
    }
    ensure!(pages == ["7 6 5", "4 3 2", "1"], "{pages:?}");
    ensure!(client.page(Some(1))?.0.is_empty(), "there is one before the first");
    Ok(())
}

fn pipelined_requests() -> Result<()> {
    let book = Guestbook::new("per-worker", "")?;
    let mut client = book.client()?;
    let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n\
                Content-Length: 6\r\n\r\ntext=";
    let get = "GET /posts.json HTTP/1.1\r\nHost: a\r\n\r\n";
    client.0.write_all(format!("{post}1{get}{post}2{get}").as_bytes())?;
    // What was asked for before the stream's end is answered.
    client.0.shutdown(Shutdown::Write)?;
    for count in 1..=2 {
        Answer::read(&mut client.0)?.expect(303, false)?;
        let list = Answer::read(&mut client.0)?.expect(200, false)?;
        let list: serde_json::Value = serde_json::from_slice(&list.body)?;
        let posts = list["posts"].as_array().context("posts")?;
        let text = posts.first().and_then(|post| post["text"].as_str());
        ensure!(posts.len() == count && text == Some(&*count.to_string()), "{posts:?}");
    }
    is_over(&mut client.0)
}

/// More answers than may wait for a peer that takes none.
fn a_late_reader() -> Result<()> {
    let service = "limits = { unsent = \"128KiB\", unsent-high = \"32KiB\" }";
    let book = Guestbook::new("per-worker", service)?;
    let mut client = book.client()?;
    let text = "%F0%9F%8E%88".repeat(500);
    for _ in 0..20 {
        client.post(&format!("text={text}"))?;
    }
    // Each is answered with 40 KB, of which the system keeps some megabytes.
    const REQUESTS: usize = 400;
    let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    client.0.write_all(get.repeat(REQUESTS).as_bytes())?;
    thread::sleep(std::time::Duration::from_millis(100));
    let length = Answer::read(&mut client.0)?.expect(200, false)?.body.len();
    ensure!(length > 40_000, "{length}");
    for number in 1..REQUESTS {
        let answer = Answer::read(&mut client.0).with_context(|| format!("answer {number}"))?;
        ensure!(answer.status == 200 && answer.body.len() == length, "{}", answer.head);
    }
    // And it goes on.
    client.post("text=last")?;
    ensure!(client.page(None)?.0[0].text == "last", "it is not there");
    Ok(())
}

fn a_slow_peer() -> Result<()> {
    let book =
        Guestbook::new("per-worker", "config = { head-timeout = 1, keep-alive-timeout = 2 }")?;
    let (mut slow, mut idle) = (book.client()?, book.client()?);
    slow.post("text=a")?;
    idle.post("text=b")?;
    slow.0.write_all(b"GET / HTTP/1.1\r\n")?;
    Answer::read(&mut slow.0)?.expect(408, true)?;
    // Nobody is told anything between two requests.
    for client in [slow, idle] {
        is_over(&mut { client.0 })?;
    }
    Ok(())
}

fn a_full_database() -> Result<()> {
    let book = Guestbook::new("per-worker", "limits = { database-size = \"64KiB\" }")?;
    let mut client = book.client()?;
    let form = format!("text={}", "x".repeat(2000));
    let mut posts = 0;
    while client.post(&form).is_ok() {
        posts += 1;
        ensure!(posts < 100, "it is never full");
    }
    ensure!(posts > 0, "nothing fits");
    // The connection goes on, as one that lists.
    ensure!(client.posts(0)?.len() == posts, "another number than {posts} is there");
    let length = form.len();
    let answer = client.ask(&format!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {length}\r\n\r\n{form}"
    ))?;
    let answer = answer.expect(503, false)?;
    ensure!(answer.field("retry-after") == Some("1"), "{}", answer.head);
    ensure!(String::from_utf8(answer.body)?.contains("503 Service Unavailable"), "no page");
    book.host.log_with(&["the database: ", "limits.database-size"])?;
    Ok(())
}

fn only_its_user() -> Result<()> {
    let book = Guestbook::new("per-worker", "")?;
    book.client()?.post("text=secret")?;
    let mode = |path: &Path| Ok::<_, std::io::Error>(fs::metadata(path)?.permissions().mode());
    ensure!(mode(&book.state())? & 0o777 == 0o700, "the folder is open to others");
    let mut names = Vec::new();
    for entry in fs::read_dir(book.state())? {
        let path = entry?.path();
        ensure!(mode(&path)? & 0o777 == 0o600, "{} is open to others", path.display());
        names.extend(path.file_name().map(|name| name.to_string_lossy().into_owned()));
    }
    ensure!(names.iter().any(|name| name == "guestbook.sqlite"), "{names:?}");
    Ok(())
}

/// The plugin stands on HTTP, and not on the plugin of files.
fn the_file_server_is_not_in_it() -> Result<()> {
    let component = fs::read(guests::component("guests/guestbook")?)?;
    let has = |words: &[u8]| component.windows(words.len()).any(|window| window == words);
    ensure!(has(b"torsade:plugin/sql@"), "it has no SQL");
    for words in [&b"torsade:plugin/files@"[..], b"application/vnd.", b"Content-Range"] {
        ensure!(!has(words), "it holds {}", words.escape_ascii());
    }
    Ok(())
}

fn many_guests(instances: &str) -> Result<()> {
    const GUESTS: usize = 8;
    const POSTS: usize = 40;
    let book = Guestbook::new(instances, "config = { posts-a-page = 100 }")?;
    let address = book.host.address("guestbook")?;
    let guest = |guest: usize| -> Result<()> {
        let mut client = None;
        for post in 0..POSTS {
            // Some come back on a connection of their own.
            let mut open = match client.take() {
                Some(open) if post % 8 != 0 => open,
                _ => super::Client::connect(address)?,
            };
            open.post(&format!("name={guest}&text={post}"))?;
            client = Some(open);
        }
        Ok(())
    };
    thread::scope(|scope| {
        let guests: Vec<_> = (0..GUESTS).map(|n| scope.spawn(move || guest(n))).collect();
        guests.into_iter().try_for_each(|guest| guest.join().expect("a guest does not panic"))
    })?;
    let posts = book.client()?.posts(0)?;
    ensure!(posts.len() == GUESTS * POSTS, "{} posts", posts.len());
    for guest in 0..GUESTS {
        // Each guest's are in the order in which it posted.
        let own = posts.iter().rev().filter(|post| post.name == guest.to_string());
        let texts: Vec<&str> = own.map(|post| &*post.text).collect();
        ensure!((0..POSTS).map(|n| n.to_string()).eq(texts.iter().copied()), "{guest}: {texts:?}");
    }
    Ok(())
}
