//! Connections that a proxy hands over: by proxies that others wrote, and by one that lies.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv6Addr, Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use tempfile::TempDir;
use torsade_tests::host::{Host, PATIENCE};

use super::super::streams::echoes;
use super::super::{folder, program_trial, trial, warns};
use super::{GRANTS, service};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        program_trial("ways_in::haproxy_says_who_the_client_is", "haproxy", "haproxy", haproxy),
        program_trial("ways_in::curl_says_who_the_client_is", "curl", "curl", curl),
        trial("ways_in::a_header_may_come_in_pieces", a_header_may_come_in_pieces),
        trial("ways_in::a_bad_header_ends_one_connection", a_bad_header_ends_one_connection),
        trial("ways_in::a_header_has_its_time", a_header_has_its_time),
        trial("ways_in::a_proxy_that_is_not_trusted_is_refused", not_trusted),
        trial("ways_in::clients_behind_a_proxy_are_counted_apart", counted_apart),
        trial("ways_in::a_proxy_that_speaks_for_itself_keeps_its_address", for_itself),
    ]
}

/// What [`v2_of_ipv6`] tells.
pub(super) const V2_OF_IPV6: [&str; 2] = ["tcp[2001:db8::1]258", "tcp[2001:db8::2]443"];

/// A header of version 2, with a vector that means nothing here.
pub(super) fn v2_of_ipv6() -> Vec<u8> {
    let ip = |last: u16| Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last).octets();
    let payload = [&ip(1)[..], &ip(2), &[1, 2], &[1, 187], &[0xee, 0, 2, 7, 7]].concat();
    v2(0x21, 0x21, &payload)
}

fn v2(command: u8, family: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).expect("it is short").to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n", &[command, family][..], &length, payload].concat()
}

/// A host that serves a plugin behind a proxy, and its port.
fn behind_proxy(plugin: &str, more: &str) -> Result<(TempDir, Host, u16)> {
    let folder = folder(&(service(plugin, "haproxy:tcp:0:interface=127.0.0.1") + more))?;
    let host = Host::up(folder.path(), 1)?;
    let port = host.endpoints[0].1.split(':').nth(2).context("a port")?.parse()?;
    Ok((folder, host, port))
}

fn connect(port: u16) -> Result<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// What the inquirer is told of its addresses.
fn addresses(stream: &mut TcpStream) -> Result<String> {
    stream.write_all(b"a addresses\n")?;
    stream.shutdown(Shutdown::Write)?;
    let mut told = String::new();
    stream.read_to_string(&mut told)?;
    let told = told.strip_prefix("hello\na ok ").with_context(|| format!("{told:?}"))?;
    Ok(told.trim_end().to_owned())
}

/// The connection ends, with nothing said; by a reset where something was not read.
fn is_closed(stream: &mut TcpStream) -> Result<()> {
    let mut said = Vec::new();
    let ended = match stream.read_to_end(&mut said) {
        Ok(_) => true,
        Err(e) => e.kind() == std::io::ErrorKind::ConnectionReset,
    };
    ensure!(ended && said.is_empty(), "{} was said", said.escape_ascii());
    Ok(())
}

fn haproxy(program: &Path) -> Result<()> {
    for way in
        ["send-proxy", "send-proxy-v2", "send-proxy-v2-ssl-cn check check-send-proxy inter 50"]
    {
        let (folder, mut host, port) = behind_proxy("inquirer", GRANTS)?;
        let front = TcpListener::bind("127.0.0.1:0")?;
        let address = front.local_addr()?;
        let file = folder.path().join("haproxy.cfg");
        fs::write(
            &file,
            format!(
                "defaults\n mode tcp\n timeout connect 20s\n timeout client 20s\n \
                 timeout server 20s\nfrontend f\n bind fd@3\n default_backend b\n\
                 backend b\n server s 127.0.0.1:{port} {way}\n"
            ),
        )?;
        let mut proxy = Command::new("sh")
            .args(["-c", "exec 3<&0 </dev/null; exec \"$0\" -db -f \"$1\""])
            .arg(program)
            .arg(&file)
            .stdin(Stdio::from(std::os::fd::OwnedFd::from(front)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let told =
            TcpStream::connect(address).map_err(anyhow::Error::from).and_then(|mut stream| {
                stream.set_read_timeout(Some(PATIENCE))?;
                let from = stream.local_addr()?.port();
                let wanted = format!("tcp[127.0.0.1]{from} tcp[127.0.0.1]{}", address.port());
                Ok((addresses(&mut stream)?, wanted))
            });
        proxy.kill()?;
        proxy.wait()?;
        let (told, wanted) = told.with_context(|| format!("{way}: {}", host.log()))?;
        ensure!(told == wanted, "{way}: {told:?} instead of {wanted:?}");
        ensure!(host.terminate()?.success() && !warns(&host.log()), "{}", host.log());
    }
    Ok(())
}

fn curl(program: &Path) -> Result<()> {
    let public = tempfile::tempdir()?;
    fs::write(public.path().join("a.txt"), "it is served")?;
    let grants = format!("grants = {{ files = {{ read = {:?} }} }}\n", public.path());
    let (_folder, host, port) = behind_proxy("http", &grants)?;
    let url = format!("http://127.0.0.1:{port}/a.txt");
    let fetch = |more: &[&str]| {
        let common = ["-q", "-sS", "--max-time", "20", "--noproxy", "*"];
        Command::new(program).args(common).args(more).arg(&url).output()
    };
    let output = fetch(&["--haproxy-protocol"])?;
    ensure!(output.stdout == b"it is served", "{output:?}");
    // Without a header it is none of its clients.
    ensure!(!fetch(&[])?.status.success(), "it is served without a header");
    host.log_with(&["does not begin with a PROXY header"])?;
    Ok(())
}

fn a_header_may_come_in_pieces() -> Result<()> {
    let (_folder, _host, port) = behind_proxy("echo", "")?;
    for header in [b"PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n".to_vec(), v2_of_ipv6()] {
        let mut stream = connect(port)?;
        for byte in &header {
            stream.write_all(&[*byte])?;
        }
        echoes(&mut stream, b"hello")?;
        // What comes in the same segment is the protocol's, and so is what looks like a header.
        let mut stream = connect(port)?;
        stream.write_all(&header)?;
        echoes(&mut stream, &header)?;
        let mut stream = connect(port)?;
        let long = vec![b'x'; 300_000];
        let both = [&header[..], &long].concat();
        let mut writer = stream.try_clone()?;
        let sent = std::thread::spawn(move || writer.write_all(&both));
        let mut back = vec![0; long.len()];
        stream.read_exact(&mut back)?;
        sent.join().expect("writing doesn't panic")?;
        ensure!(back == long, "other bytes came back");
    }
    Ok(())
}

fn a_bad_header_ends_one_connection() -> Result<()> {
    let (_folder, host, port) = behind_proxy("echo", "")?;
    let mut other = connect(port)?;
    other.write_all(b"PROXY UNKNOWN\r\n")?;
    let long = format!("PROXY TCP4 {}", "1".repeat(200));
    for (bytes, word) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], "it does not begin with a PROXY header"),
        (b"PROXY TCP4 1.2.3.4 1.2.3.4 1 99999\r\n", "\"99999\" for a port"),
        (long.as_bytes(), "more than 107 bytes"),
        (&v2(0x21, 0x11, b"short"), "5 bytes where its addresses take 12"),
        (&v2(0x21, 0, &[0; 5000]), "4096 are the most"),
    ] {
        let mut stream = connect(port)?;
        // It may be refused before all of it is sent.
        let _ = stream.write_all(bytes);
        is_closed(&mut stream).with_context(|| bytes.escape_ascii().to_string())?;
        host.log_with(&["WARN", word, "haproxy:tcp:"])?;
        echoes(&mut other, b"hello")?;
    }
    let mut cut = connect(port)?;
    cut.write_all(b"PROXY TCP4")?;
    cut.shutdown(Shutdown::Write)?;
    is_closed(&mut cut)?;
    host.log_with(&["it ended after 10 bytes of a PROXY header"])?;
    Ok(())
}

fn a_header_has_its_time() -> Result<()> {
    let (_folder, host, port) = behind_proxy("echo", "limits = { handshake = \"100ms\" }\n")?;
    let mut good = connect(port)?;
    good.write_all(b"PROXY UNKNOWN\r\n")?;
    echoes(&mut good, b"hello")?;
    for begin in [&b""[..], b"PROXY TCP4 1"] {
        let mut stream = connect(port)?;
        stream.write_all(begin)?;
        is_closed(&mut stream)?;
    }
    host.log_with(&["its PROXY header did not come within limits.handshake"])?;
    echoes(&mut good, b"it has as long as it wants afterwards")?;
    Ok(())
}

fn not_trusted() -> Result<()> {
    let (_folder, host, port) = behind_proxy("echo", "trusted-proxies = [\"192.0.2.0/24\"]\n")?;
    let mut stream = connect(port)?;
    // It is closed whatever it says, and maybe before.
    let _ = stream.write_all(b"PROXY TCP4 192.0.2.1 192.0.2.1 1 1\r\n");
    is_closed(&mut stream)?;
    host.log_with(&["trusted-proxies", "tcp:127.0.0.1"])?;
    Ok(())
}

fn counted_apart() -> Result<()> {
    let limits = "limits = { connections-per-peer = 1 }\n";
    let (_folder, host, port) = behind_proxy("echo", limits)?;
    let of = |client: &str| -> Result<TcpStream> {
        let mut stream = connect(port)?;
        stream.write_all(format!("PROXY TCP4 {client} 10.0.0.1 1 1\r\n").as_bytes())?;
        Ok(stream)
    };
    let mut one = of("192.0.2.1")?;
    echoes(&mut one, b"one")?;
    let mut two = of("192.0.2.2")?;
    echoes(&mut two, b"two")?;
    is_closed(&mut of("192.0.2.1")?)?;
    host.log_with(&["limits.connections-per-peer", "192.0.2.1"])?;
    // Once it is gone there is room again.
    one.shutdown(Shutdown::Write)?;
    is_closed(&mut one)?;
    drop(one);
    super::super::asking::until(|| Ok(echoes(&mut of("192.0.2.1")?, b"again").is_ok()))?;
    echoes(&mut two, b"two")
}

fn for_itself() -> Result<()> {
    let (_folder, _host, port) = behind_proxy("inquirer", GRANTS)?;
    let headers =
        [b"PROXY UNKNOWN ::1 ::1 1 1\r\n".to_vec(), v2(0x20, 0x21, b""), v2(0x21, 0, b"more")];
    for header in headers {
        let mut stream = connect(port)?;
        let from = stream.local_addr()?.port();
        stream.write_all(&header)?;
        let (told, wanted) =
            (addresses(&mut stream)?, format!("tcp[127.0.0.1]{from} tcp[127.0.0.1]{port}"));
        ensure!(told == wanted, "{told:?} instead of {wanted:?}");
    }
    // One who connects and says nothing only looks whether somebody listens.
    let silent = connect(port)?;
    silent.shutdown(Shutdown::Write)?;
    Ok(())
}
