//! No path leads out of the root, however it is written.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;

use super::super::trial;
use super::Site;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("http::no_path_leads_out_of_the_root", no_path_leads_out_of_the_root),
        trial("http::no_link_leads_out_of_the_root", no_link_leads_out_of_the_root),
        trial("http::what_is_no_file_is_not_served", what_is_no_file_is_not_served),
        trial("http::a_root_that_moves_is_still_the_root", a_root_that_moves),
    ]
}

/// What nobody may see.
const SECRET: &str = "the secret beside the root";

/// A site with a listing, and beside its root a file and a folder with the secret.
fn site() -> Result<Site> {
    let site = Site::new("listing = true", "")?;
    let beside = site.root().parent().context("the root is in a folder")?.to_owned();
    fs::write(beside.join("secret.txt"), SECRET)?;
    fs::create_dir(beside.join("other"))?;
    fs::write(beside.join("other/secret.txt"), SECRET)?;
    // A name that begins like the root's.
    fs::create_dir(beside.join("root-other"))?;
    fs::write(beside.join("root-other/secret.txt"), SECRET)?;
    Ok(site)
}

/// Asks for a target, and sees to it that no secret is told. Returns the status.
fn status(site: &Site, target: &[u8]) -> Result<u16> {
    let name = target.escape_ascii().to_string();
    let request = [b"GET ", target, b" HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
    let answer = site.ask(request).with_context(|| name.clone())?;
    let whole = format!("{}{}", answer.head, String::from_utf8_lossy(&answer.body));
    // Neither the content, nor a list of the folder above.
    for word in [SECRET, "secret.txt", "torsade.toml", "root-other", "root:x:0"] {
        let is_echo = name.contains(word);
        ensure!(is_echo || !whole.contains(word), "{name} tells {word:?}:\n{whole}");
    }
    ensure!(!whole.contains(SECRET), "{name}:\n{whole}");
    Ok(answer.status)
}

fn no_path_leads_out_of_the_root() -> Result<()> {
    let site = site()?;
    let ups: [&[u8]; 14] = [
        b"..",
        b"%2e%2e",
        b"%2E%2e",
        b"%2e.",
        b".%2e",
        b"%252e%252e",
        b"%c0%ae%c0%ae",
        b"%c0%2e%c0%2e",
        b"%e0%80%ae%e0%80%ae",
        b"%f0%80%80%ae%f0%80%80%ae",
        b"\xc0\xae\xc0\xae",
        b"%uff0e%uff0e",
        b"..%00",
        b"..;",
    ];
    let slashes: [&[u8]; 10] =
        [b"/", b"%2f", b"%2F", b"\\", b"%5c", b"%252f", b"%c0%af", b"//", b"/./", b"%00/"];
    for up in ups {
        for slash in slashes {
            for (start, end) in [
                (&b"/"[..], &b"secret.txt"[..]),
                (b"/folder/", b"secret.txt"),
                (b"/", b""),
                (b"/folder/deep/", b"root-other/secret.txt"),
            ] {
                let depth = start.iter().filter(|&&byte| byte == b'/').count();
                let climb = [up, slash].concat().repeat(depth);
                let target = [start, &climb, end].concat();
                let status = status(&site, &target)?;
                ensure!(status >= 400, "{}: {status}", target.escape_ascii());
            }
        }
    }
    for target in [
        "http://a/../secret.txt",
        "http://a/%2e%2e/secret.txt",
        "http://..%2fsecret.txt",
        "http:///../secret.txt",
        "file:///etc/passwd",
        "/etc/passwd",
        "//etc/passwd",
        "/%2fetc/passwd",
        "//../secret.txt",
        "/../../../../../../../../etc/passwd",
        "/..%2f..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
        "/folder/../../secret.txt",
        "/folder/..",
        "/folder/../ten.txt",
        "/ten.txt/../../secret.txt",
        "/ten.txt/",
        "/ten.txt%00.html",
        "/.",
        "/?../secret.txt",
        "/ten.txt?/../../secret.txt",
        "/~root/",
        "/%00",
        "/\\..\\secret.txt",
        "../secret.txt",
        "secret.txt",
        "..",
        "/root-other/secret.txt",
        "/proc/self/environ",
    ] {
        status(&site, target.as_bytes())?;
    }
    ensure!(status(&site, b"/ten.txt")? == 200, "what is in the root is served");
    Ok(())
}

fn no_link_leads_out_of_the_root() -> Result<()> {
    let site = site()?;
    let root = site.root();
    let beside = root.parent().context("the root is in a folder")?;
    symlink("../secret.txt", root.join("near"))?;
    symlink(beside.join("secret.txt"), root.join("far"))?;
    symlink("../other", root.join("near-folder"))?;
    symlink(beside.join("other"), root.join("far-folder"))?;
    symlink("/", root.join("everything"))?;
    symlink("..", root.join("above"))?;
    symlink("near", root.join("twice"))?;
    symlink("loop", root.join("loop"))?;
    symlink("../../secret.txt", root.join("folder/index.html"))?;
    symlink("/proc/self/root", root.join("magic"))?;
    for target in [
        "/near",
        "/far",
        "/twice",
        "/loop",
        "/near-folder",
        "/near-folder/",
        "/near-folder/secret.txt",
        "/far-folder/secret.txt",
        "/everything/etc/passwd",
        "/above/secret.txt",
        "/above/root/ten.txt",
        "/magic/etc/passwd",
    ] {
        let status = status(&site, target.as_bytes())?;
        ensure!(status == 404, "{target}: {status}");
    }
    // The index leads out, so the folder has none; the listing shows nothing that does.
    for target in ["/folder/", "/"] {
        status(&site, target.as_bytes())?;
    }
    // Links that stay within are followed.
    symlink("ten.txt", root.join("within"))?;
    symlink("folder/deep", root.join("within-folder"))?;
    symlink("../../ten.txt", root.join("folder/deep/up"))?;
    for (target, body) in [
        ("/within", "0123456789"),
        ("/within-folder/", "<p>deep</p>"),
        ("/folder/deep/up", "0123456789"),
    ] {
        let answer = site.ask(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"))?;
        ensure!(answer.status == 200 && answer.body == body.as_bytes(), "{target}: {answer:?}");
    }
    Ok(())
}

/// Neither does it wait for a writer of a pipe that there is not.
fn what_is_no_file_is_not_served() -> Result<()> {
    let site = site()?;
    let root = site.root();
    let made = Command::new("mkfifo").arg(root.join("pipe")).status()?;
    ensure!(made.success(), "mkfifo: {made}");
    let _socket = UnixListener::bind(root.join("socket"))?;
    symlink("/dev/zero", root.join("zero"))?;
    for target in ["/pipe", "/socket", "/zero", "/pipe/", "/socket/"] {
        let status = status(&site, target.as_bytes())?;
        ensure!(status == 404, "{target}: {status}");
    }
    Ok(())
}

/// Names are looked up below the folder that was opened at the start, whatever becomes of its
/// name.
fn a_root_that_moves() -> Result<()> {
    let site = site()?;
    let root = site.root();
    let beside = root.parent().context("the root is in a folder")?;
    fs::rename(&root, beside.join("moved"))?;
    symlink("other", &root)?;
    ensure!(status(&site, b"/secret.txt")? == 404, "it follows the name");
    ensure!(status(&site, b"/ten.txt")? == 200, "it lost the folder");
    Ok(())
}
