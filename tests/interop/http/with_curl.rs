//! What curl asks for, it gets.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;

use super::super::program_trial;
use super::{Site, large};

pub(super) fn trials() -> Vec<Trial> {
    let curl = |name: &str, test: fn(&Path) -> Result<()>| {
        program_trial(&format!("http::curl_{name}"), "curl", "curl", test)
    };
    vec![
        curl("gets_every_byte", gets_every_byte),
        curl("gets_ranges", gets_ranges),
        curl("goes_on_with_what_it_has", goes_on_with_what_it_has),
        curl("asks_under_conditions", asks_under_conditions),
        curl("gets_the_same_head_for_head", gets_the_same_head_for_head),
        curl("speaks_http_1_0", speaks_http_1_0),
        curl("uploads_and_is_told_no", uploads_and_is_told_no),
        curl("keeps_its_connection", keeps_its_connection),
        curl("follows_a_redirect_to_a_folder", follows_a_redirect),
        curl("gets_a_list_of_a_folder", gets_a_list_of_a_folder),
        curl("asks_what_can_be_done", asks_what_can_be_done),
    ]
}

/// What curl printed, and whether it had no complaint.
fn curl(program: &Path, arguments: &[&str]) -> Result<String> {
    let bytes = curl_bytes(program, arguments)?;
    Ok(String::from_utf8(bytes)?.replace("\r\n", "\n"))
}

fn curl_bytes(program: &Path, arguments: &[&str]) -> Result<Vec<u8>> {
    let output = Command::new(program)
        .args(["-q", "-sS", "--max-time", "20", "--noproxy", "*"])
        .args(arguments)
        .output()?;
    let words = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "curl {arguments:?}: {words}");
    Ok(output.stdout)
}

/// The value of a field in what `curl -i` printed.
fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(": ")?;
        found.eq_ignore_ascii_case(name).then_some(value)
    })
}

fn gets_every_byte(program: &Path) -> Result<()> {
    let site = Site::new("", "")?;
    let socket = site.socket().display().to_string();
    for (path, file) in [
        ("/", "index.html"),
        ("/ten.txt", "ten.txt"),
        ("/empty", "empty"),
        ("/large.bin", "large.bin"),
        ("/folder/a%20b.txt", "folder/a b.txt"),
        ("/folder/deep/", "folder/deep/index.html"),
        ("/ten.txt?a=b", "ten.txt"),
    ] {
        let want = fs::read(site.root().join(file))?;
        ensure!(curl_bytes(program, &[&site.url(path)?])? == want, "{path}");
        let url = format!("http://localhost{path}");
        let got = curl_bytes(program, &["--unix-socket", &socket, &url])?;
        ensure!(got == want, "{path} on the Unix socket");
    }
    let head = curl(program, &["-i", &site.url("/ten.txt")?])?;
    for (name, value) in [("Content-Length", "10"), ("Accept-Ranges", "bytes")] {
        ensure!(field(&head, name) == Some(value), "{name}:\n{head}");
    }
    ensure!(field(&head, "Content-Type").is_some_and(|v| v.starts_with("text/plain")), "{head}");
    ensure!(field(&head, "Date").is_some_and(|date| date.ends_with(" GMT")), "{head}");
    let page = curl(program, &["-i", &site.url("/")?])?;
    ensure!(field(&page, "Content-Type").is_some_and(|v| v.starts_with("text/html")), "{page}");
    // A file that changes is seen within the second that the cache may be old.
    fs::write(site.root().join("ten.txt"), "changed")?;
    std::thread::sleep(std::time::Duration::from_millis(2100));
    ensure!(curl(program, &[&site.url("/ten.txt")?])? == "changed", "the old file is served");
    fs::remove_file(site.root().join("ten.txt"))?;
    std::thread::sleep(std::time::Duration::from_millis(2100));
    ensure!(status(program, &[&site.url("/ten.txt")?])? == "404", "a file that is gone is served");
    Ok(())
}

/// The status of an answer.
fn status(program: &Path, arguments: &[&str]) -> Result<String> {
    curl(program, &[&["-o", "/dev/null", "-w", "%{http_code}"], arguments].concat())
}

fn gets_ranges(program: &Path) -> Result<()> {
    let site = Site::new("", "")?;
    let url = site.url("/ten.txt")?;
    for (range, part, place) in [
        ("0-4", "01234", "bytes 0-4/10"),
        ("5-", "56789", "bytes 5-9/10"),
        ("-3", "789", "bytes 7-9/10"),
        ("9-99", "9", "bytes 9-9/10"),
        ("-99", "0123456789", "bytes 0-9/10"),
    ] {
        let answer = curl(program, &["-i", "-r", range, &url])?;
        ensure!(answer.starts_with("HTTP/1.1 206 Partial Content\n"), "{range}:\n{answer}");
        ensure!(answer.ends_with(&format!("\n\n{part}")), "{range}:\n{answer}");
        ensure!(field(&answer, "Content-Range") == Some(place), "{range}:\n{answer}");
        let length = part.len().to_string();
        ensure!(field(&answer, "Content-Length") == Some(&length), "{range}:\n{answer}");
    }
    for range in ["10-", "99-100", "-0"] {
        let answer = curl(program, &["-i", "-r", range, &url])?;
        ensure!(answer.starts_with("HTTP/1.1 416 "), "{range}:\n{answer}");
        ensure!(field(&answer, "Content-Range") == Some("bytes */10"), "{range}:\n{answer}");
    }
    // What is no range, or several, is answered with all.
    for range in ["bytes=4-2", "bytes=a-b", "lines=0-4", "bytes=0-1,x", "bytes=", "bytes=-"] {
        let answer = curl(program, &["-i", "-H", &format!("Range: {range}"), &url])?;
        ensure!(answer.starts_with("HTTP/1.1 200 "), "{range}:\n{answer}");
        ensure!(answer.ends_with("\n\n0123456789"), "{range}:\n{answer}");
    }
    let large = large();
    let got = curl_bytes(program, &["-r", "1000001-2000000", &site.url("/large.bin")?])?;
    ensure!(got == large[1_000_001..=2_000_000], "{} bytes", got.len());
    Ok(())
}

fn goes_on_with_what_it_has(program: &Path) -> Result<()> {
    let site = Site::new("", "")?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("part");
    fs::write(&file, &large()[..1_234_567])?;
    let name = file.display().to_string();
    curl(program, &["-C", "-", "-o", &name, &site.url("/large.bin")?])?;
    ensure!(fs::read(&file)? == large(), "the parts don't fit");
    Ok(())
}

fn asks_under_conditions(program: &Path) -> Result<()> {
    let site = Site::new("", "")?;
    let url = site.url("/ten.txt")?;
    let head = curl(program, &["-i", &url])?;
    let tag = field(&head, "ETag").context("an ETag")?;
    let date = field(&head, "Last-Modified").context("a Last-Modified")?;
    ensure!(tag.starts_with('"') && tag.ends_with('"'), "{tag} is not strong");
    let old = "Thu, 01 Jan 1970 00:00:01 GMT";
    for (status, name, value) in [
        ("304", "If-None-Match", tag),
        ("304", "If-None-Match", "*"),
        ("304", "If-None-Match", &format!("\"a\", W/{tag}")),
        ("200", "If-None-Match", "\"a\""),
        ("304", "If-Modified-Since", date),
        ("200", "If-Modified-Since", old),
        ("200", "If-Modified-Since", "yesterday"),
        ("200", "If-Match", tag),
        ("200", "If-Match", "*"),
        ("412", "If-Match", "\"a\""),
        ("412", "If-Match", &format!("W/{tag}")),
        ("200", "If-Unmodified-Since", date),
        ("412", "If-Unmodified-Since", old),
    ] {
        let answer = curl(program, &["-i", "-H", &format!("{name}: {value}"), &url])?;
        let is = answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
        ensure!(is == Some(status), "{name}: {value}: not {status}, but\n{answer}");
        if status == "304" {
            ensure!(answer.ends_with("\n\n") && field(&answer, "ETag") == Some(tag), "{answer}");
        }
    }
    // The tag outweighs the date.
    let (none, since) = ("If-None-Match: \"a\"", format!("If-Modified-Since: {date}"));
    ensure!(status(program, &["-H", none, "-H", &since, &url])? == "200", "the date won");
    for (status, value) in [("206", tag), ("200", "\"a\""), ("200", &format!("W/{tag}"))] {
        let value = format!("If-Range: {value}");
        let is = self::status(program, &["-r", "0-1", "-H", &value, &url])?;
        ensure!(is == status, "{value}: {is}");
    }
    // curl's own ways to ask.
    let file = site.root().join("ten.txt").display().to_string();
    ensure!(status(program, &["-z", &file, &url])? == "304", "-z");
    let kept = tempfile::tempdir()?;
    let kept = kept.path().join("tag").display().to_string();
    curl(program, &["--etag-save", &kept, &url])?;
    ensure!(status(program, &["--etag-compare", &kept, &url])? == "304", "--etag-compare");
    Ok(())
}

fn gets_the_same_head_for_head(program: &Path) -> Result<()> {
    let site = Site::new("listing = true", "")?;
    for path in ["/", "/ten.txt", "/empty", "/large.bin", "/none", "/folder", "/folder/"] {
        let url = site.url(path)?;
        let head = curl(program, &["-I", &url])?;
        let get = curl(program, &["-D", "-", "-o", "/dev/null", &url])?;
        let plain = |head: &str| {
            let lines = head.lines().filter(|line| !line.starts_with("Date: "));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        ensure!(plain(&head) == plain(&get), "{path}:\n{head}\n{get}");
    }
    // No body follows that would be taken for the next answer.
    let url = site.url("/ten.txt")?;
    let both = curl(program, &["-I", &url, "--next", "-sS", "--noproxy", "*", &url])?;
    ensure!(both.ends_with("\n\n0123456789"), "{both}");
    Ok(())
}

fn speaks_http_1_0(program: &Path) -> Result<()> {
    let site = Site::new("", "")?;
    let url = site.url("/ten.txt")?;
    let answer = curl(program, &["-0", "-i", &url])?;
    ensure!(answer.ends_with("\n\n0123456789"), "{answer}");
    ensure!(field(&answer, "Connection") == Some("close"), "{answer}");
    ensure!(field(&answer, "Transfer-Encoding").is_none(), "{answer}");
    let answer = curl(program, &["-0", "-i", "-H", "Connection: keep-alive", &url])?;
    ensure!(field(&answer, "Connection") == Some("keep-alive"), "{answer}");
    let without_host = curl(program, &["-0", "-H", "Host:", &url])?;
    ensure!(without_host == "0123456789", "{without_host}");
    let large = curl_bytes(program, &["-0", &site.url("/large.bin")?])?;
    ensure!(large == self::large(), "{} bytes", large.len());
    Ok(())
}

fn uploads_and_is_told_no(program: &Path) -> Result<()> {
    let site = Site::new("max-body = 2000000", "")?;
    let (url, folder) = (site.url("/ten.txt")?, tempfile::tempdir()?);
    for (length, expected) in [(0, "405"), (1_000, "405"), (1_500_000, "405"), (2_500_000, "413")] {
        let file = folder.path().join("upload");
        fs::write(&file, vec![b'a'; length])?;
        let (file, data) = (file.display().to_string(), format!("@{}", file.display()));
        let chunked = "Transfer-Encoding: chunked";
        for arguments in [
            &["-T", &file][..],
            &["--data-binary", &data],
            &["--data-binary", &data, "-H", "Expect:"],
            &["--data-binary", &data, "-H", "Expect: 100-continue"],
            &["--data-binary", &data, "-H", chunked],
            &["--data-binary", &data, "-H", chunked, "-H", "Expect:"],
            &["-F", &format!("a={data}")],
        ] {
            let arguments = [arguments, &[url.as_str()]].concat();
            let status = status(program, &arguments).with_context(|| format!("{length}"))?;
            // One that is told no before it sends is told the first reason.
            let early = status == "405" && length > 0;
            ensure!(status == expected || early, "{length}: {arguments:?}: {status}");
        }
        // A body that nobody needs is read all the same, after the client was told to go on.
        if length > 0 && expected == "405" {
            let expect = "Expect: 100-continue";
            let got = curl(program, &["-X", "GET", "--data-binary", &data, "-H", expect, &url])?;
            ensure!(got == "0123456789", "{length}: {got}");
        }
    }
    let answer = curl(program, &["-i", "-X", "DELETE", &url])?;
    let allow = field(&answer, "Allow").context("an Allow field")?;
    ensure!(allow.contains("GET") && allow.contains("HEAD"), "{answer}");
    Ok(())
}

fn keeps_its_connection(program: &Path) -> Result<()> {
    let site = Site::new("", "")?;
    let urls: Vec<String> = ["/ten.txt", "/none", "/large.bin", "/", "/folder", "/empty"]
        .iter()
        .map(|path| site.url(path))
        .collect::<Result<_>>()?;
    let mut arguments = vec!["-w", "%{stderr}", "-w", "%{num_connects}\n"];
    for url in &urls {
        arguments.extend(["-o", "/dev/null", url]);
    }
    let connects = curl(program, &arguments)?;
    ensure!(connects == "1\n0\n0\n0\n0\n0\n", "{connects:?}");
    let closing = curl(program, &["-i", "-H", "Connection: close", &urls[0]])?;
    ensure!(field(&closing, "Connection") == Some("close"), "{closing}");
    Ok(())
}

fn follows_a_redirect(program: &Path) -> Result<()> {
    let site = Site::new("", "")?;
    let url = site.url("/folder/deep?a=b")?;
    let answer = curl(program, &["-i", &url])?;
    ensure!(answer.starts_with("HTTP/1.1 301 "), "{answer}");
    ensure!(field(&answer, "Location") == Some("/folder/deep/?a=b"), "{answer}");
    ensure!(curl(program, &["-L", &url])? == "<p>deep</p>", "-L");
    // Never to another host.
    let answer = curl(program, &["-i", "--path-as-is", &site.url("//folder/deep")?])?;
    let location = field(&answer, "Location").unwrap_or("/");
    ensure!(!location.starts_with("//"), "{answer}");
    Ok(())
}

fn gets_a_list_of_a_folder(program: &Path) -> Result<()> {
    let site = Site::new("listing = true", "")?;
    fs::write(site.root().join("folder/<b>&\"'.txt"), "x")?;
    let list = curl(program, &[&site.url("/folder/")?])?;
    for word in ["./a%20b.txt", "./deep/", "%3Cb%3E%26%22%27.txt", "&lt;b&gt;&amp;"] {
        ensure!(list.contains(word), "it does not say {word:?}:\n{list}");
    }
    ensure!(!list.contains("<b>"), "{list}");
    let without = Site::new("", "")?;
    ensure!(status(program, &[&without.url("/folder/")?])? == "404", "it is listed unasked");
    Ok(())
}

fn asks_what_can_be_done(program: &Path) -> Result<()> {
    let site = Site::new("", "")?;
    for arguments in [
        &["-i", "-X", "OPTIONS", &site.url("/ten.txt")?][..],
        &["-i", "-X", "OPTIONS", "--request-target", "*", &site.url("/")?],
    ] {
        let answer = curl(program, arguments)?;
        ensure!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        ensure!(field(&answer, "Allow").is_some_and(|allow| allow.contains("GET")), "{answer}");
    }
    Ok(())
}
