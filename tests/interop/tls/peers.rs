//! Peers that break TLS, stall in it or flood it: each ends within its limit, while others are
//! served.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, ClientConnection, Error, StreamOwned};
use tempfile::TempDir;
use torsade_tests::certificates::Authority;
use torsade_tests::host::{Host, PATIENCE};

use crate::interop::streams::{echoes, reset, resident};
use crate::interop::{configure, program_trial, trial};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("tls::who_speaks_in_clear_is_told", who_speaks_in_clear_is_told),
        trial("tls::who_stalls_in_the_handshake_ends", who_stalls_ends),
        trial("tls::a_hello_that_is_too_long_ends", a_hello_that_is_too_long_ends),
        trial("tls::a_long_hello_in_tiny_records_ends", a_long_hello_in_tiny_records_ends),
        trial("tls::a_reset_in_the_handshake_leaves_nothing", a_reset_leaves_nothing),
        trial("tls::a_flood_of_handshakes_waits", a_flood_of_handshakes_waits),
        trial("tls::a_forged_record_is_told", a_forged_record_is_told),
        trial("tls::a_cut_is_told_from_an_end", a_cut_is_told_from_an_end),
        trial("tls::one_who_never_reads_is_cut_off", one_who_never_reads_is_cut_off),
        program_trial("tls::openssl_may_not_renegotiate", "openssl", "openssl", renegotiates),
    ]
}

/// Plugins behind TLS, and who signs for them.
struct Setting {
    /// Held for its files.
    _folder: TempDir,
    host: Host,
    authority: Authority,
}

type Client = StreamOwned<ClientConnection, TcpStream>;

fn setting(limits: &str) -> Result<Setting> {
    let (folder, authority) = (tempfile::tempdir()?, Authority::new("tests")?);
    authority.sign(&["a.test"])?.write(folder.path(), "own")?;
    let service = |name: &str| {
        format!(
            "[service.{name}]\nplugin = \"@{name}\"\n\
             listen = [\"tls:0:interface=127.0.0.1:backlog=4096\"]\n\
             tls = {{ cert = \"own.pem\", key = \"own-key.pem\" }}\nlimits = {{ {limits} }}\n"
        )
    };
    let grants = "grants = { connect = [\"tcp:127.0.0.1:*\"] }\n";
    let services = service("upgrader") + grants + &service("echo");
    configure(folder.path(), &format!("workers = 1\ngrace = \"0s\"\n{services}"))?;
    let host = Host::up(folder.path(), 2)?;
    Ok(Setting { _folder: folder, host, authority })
}

impl Setting {
    fn port(&self, service: &str) -> Result<u16> {
        let mut endpoints = self.host.endpoints.iter();
        let (_, endpoint) = endpoints.find(|(name, _)| name == service).context("it is served")?;
        Ok(endpoint.split(':').nth(1).context("a port")?.parse()?)
    }

    fn connect(&self, service: &str) -> Result<TcpStream> {
        let stream = TcpStream::connect(("127.0.0.1", self.port(service)?))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// A connection whose handshake is over.
    fn client(&self, service: &str) -> Result<Client> {
        let config = Arc::new(self.authority.client(None)?);
        let side = ClientConnection::new(config, ServerName::try_from("a.test")?)?;
        let mut client = StreamOwned::new(side, self.connect(service)?);
        while client.conn.is_handshaking() {
            client.conn.complete_io(&mut client.sock)?;
        }
        Ok(client)
    }

    /// One whose end the plugin tells the log.
    fn logged(&self) -> Result<Client> {
        let mut client = self.client("upgrader")?;
        let mut greeting = [0; 11];
        client.read_exact(&mut greeting)?;
        ensure!(&greeting == b"220 hello\r\n", "{}", greeting.escape_ascii());
        Ok(client)
    }

    /// Has another be served all the time while `test` runs.
    fn meanwhile<T>(&self, test: impl FnOnce() -> Result<T>) -> Result<T> {
        let mut other = self.client("echo")?;
        echoes(&mut other, b"before")?;
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let served = scope.spawn(|| -> Result<()> {
                while !over.load(Ordering::Relaxed) {
                    echoes(&mut other, b"meanwhile")?;
                }
                echoes(&mut other, b"afterwards")
            });
            let tested = test();
            over.store(true, Ordering::Relaxed);
            served.join().expect("an echo doesn't panic").context("the other")?;
            tested
        })
    }

    fn ends_well(mut self) -> Result<()> {
        let status = self.host.terminate()?;
        let log = self.host.log();
        ensure!(status.success(), "{status}: {log}");
        for word in ["panicked", "ERROR", "the plugin failed"] {
            ensure!(!log.contains(word), "{word} is in the log: {log}");
        }
        Ok(())
    }
}

/// Reads to the end, by a reset where something was not read.
fn rest(stream: &mut TcpStream) -> Result<Vec<u8>> {
    let mut said = Vec::new();
    match stream.read_to_end(&mut said) {
        Err(e) if e.kind() != ErrorKind::ConnectionReset => Err(e).context("its end"),
        _ => Ok(said),
    }
}

/// Whether this is one record with a fatal alert (RFC 8446, section 6).
fn is_alert(said: &[u8]) -> bool {
    matches!(said, [21, 3, _, 0, 2, 2, _])
}

fn who_speaks_in_clear_is_told() -> Result<()> {
    let setting = setting("handshake = \"20s\"")?;
    setting.meanwhile(|| {
        for words in [&b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"[..], b"EHLO a.test\r\n", &[0; 99]]
        {
            let mut stream = setting.connect("upgrader")?;
            stream.write_all(words)?;
            let said = rest(&mut stream)?;
            ensure!(is_alert(&said), "{} answers {}", said.escape_ascii(), words.escape_ascii());
        }
        Ok(())
    })?;
    setting.ends_well()
}

fn who_stalls_ends() -> Result<()> {
    let setting = setting("handshake = \"300ms\"")?;
    setting.meanwhile(|| {
        for begin in [&b""[..], &HELLO[..1], HELLO] {
            let mut stream = setting.connect("upgrader")?;
            stream.write_all(begin)?;
            let said = rest(&mut stream)?;
            ensure!(said.is_empty(), "{} is said", said.escape_ascii());
        }
        Ok(())
    })?;
    setting.ends_well()
}

/// The heads of a record and of a ClientHello of 200 bytes (RFC 8446, section 4), and the version.
const HELLO: &[u8] = &[22, 3, 1, 0, 204, 1, 0, 0, 200, 3, 3];

/// A ClientHello that claims `length` bytes, in records of one byte each; `sent` of them.
fn tiny_records(length: u32, sent: usize) -> Vec<u8> {
    let [_, length @ ..] = length.to_be_bytes();
    let head = [&[1][..], &length, &[3, 3]].concat();
    let bytes = head.into_iter().chain(std::iter::repeat(0)).take(sent);
    bytes.flat_map(|byte| [22, 3, 1, 0, 1, byte]).collect()
}

/// Sends as much of `records` as the host takes, and says how much more memory it has then.
fn hello_in_tiny_records(setting: &Setting, records: &[u8]) -> Result<usize> {
    setting.meanwhile(|| {
        let before = resident(setting.host.id())?;
        let mut stream = setting.connect("upgrader")?;
        let mut most = before;
        for piece in records.chunks(64 * 1024) {
            if stream.write_all(piece).is_err() {
                break;
            }
            most = most.max(resident(setting.host.id())?);
        }
        let said = rest(&mut stream)?;
        ensure!(said.is_empty() || is_alert(&said), "{} is said", said.escape_ascii());
        Ok(most - before)
    })
}

fn a_hello_that_is_too_long_ends() -> Result<()> {
    // Longer than the test waits: it has to end by its length.
    let setting = setting("handshake = \"60s\"")?;
    let more = hello_in_tiny_records(&setting, &tiny_records((1 << 24) - 1, 1 << 22))?;
    ensure!(more < 4 << 20, "the host took {more} bytes");
    setting.ends_well()
}

fn a_long_hello_in_tiny_records_ends() -> Result<()> {
    // As long as it may be, and never whole.
    for length in [0xffff, 0xf000] {
        let setting = setting("handshake = \"2s\"")?;
        let records = tiny_records(length, length as usize - 1);
        let more = hello_in_tiny_records(&setting, &records)?;
        ensure!(more < 4 << 20, "the host took {more} bytes");
        setting.ends_well()?;
    }
    Ok(())
}

fn a_reset_leaves_nothing() -> Result<()> {
    let setting = setting("handshake = \"60s\"")?;
    let descriptors = || -> Result<usize> {
        Ok(fs::read_dir(format!("/proc/{}/fd", setting.host.id()))?.count())
    };
    setting.meanwhile(|| {
        let before = descriptors()?;
        for begin in [&b""[..], &HELLO[..1], HELLO, b"no TLS at all"].repeat(50) {
            let mut stream = setting.connect("upgrader")?;
            stream.write_all(begin)?;
            reset(stream)?;
        }
        crate::interop::asking::until(|| Ok(descriptors()? <= before))
    })?;
    setting.ends_well()
}

fn a_flood_of_handshakes_waits() -> Result<()> {
    const FLOOD: usize = 2_000;
    let setting = setting("handshakes = 100, handshake = \"200ms\", connections-per-peer = 4000")?;
    rustix::process::setrlimit(rustix::process::Resource::Nofile, {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        rustix::process::Rlimit { current: limit.maximum, ..limit }
    })?;
    setting.meanwhile(|| {
        let flood: Vec<_> =
            (0..FLOOD).map(|_| setting.connect("upgrader")).collect::<Result<_>>()?;
        let (mut most, until) = (0, Instant::now() + 2 * PATIENCE);
        // The handshake of an honest client may be too slow for this limit.
        while setting.logged().is_err() {
            let open = fs::read_dir(format!("/proc/{}/fd", setting.host.id()))?.count();
            most = most.max(open);
            ensure!(Instant::now() < until, "an honest client is not served");
        }
        ensure!(most < 200, "the host has {most} descriptors");
        drop(flood);
        Ok(())
    })?;
    setting.ends_well()
}

fn a_forged_record_is_told() -> Result<()> {
    let setting = setting("")?;
    setting.meanwhile(|| {
        let mut client = setting.logged()?;
        client.sock.write_all(&[&[23, 3, 3, 0, 32][..], &[7; 32]].concat())?;
        let error = client.read(&mut [0; 9]).err().context("it reads on")?;
        let told = error.get_ref().and_then(|error| error.downcast_ref());
        let alert = Error::AlertReceived(AlertDescription::BadRecordMac);
        ensure!(told == Some(&alert), "{error:?}");
        setting.host.log_with(&["lost tls"])
    })?;
    setting.ends_well()
}

fn a_cut_is_told_from_an_end() -> Result<()> {
    let setting = setting("")?;
    setting.meanwhile(|| {
        let mut client = setting.logged()?;
        client.conn.send_close_notify();
        client.flush()?;
        let mut rest = Vec::new();
        client.read_to_end(&mut rest)?;
        setting.host.log_with(&["lost done"])?;
        ensure!(rest.is_empty() && !setting.host.log().contains("truncated"));
        let client = setting.logged()?;
        client.sock.shutdown(Shutdown::Write)?;
        setting.host.log_with(&["lost truncated"])
    })?;
    setting.ends_well()
}

fn one_who_never_reads_is_cut_off() -> Result<()> {
    let setting = setting("drain = \"300ms\", unsent = \"256KiB\"")?;
    setting.meanwhile(|| {
        let before = resident(setting.host.id())?;
        let mut client = setting.client("echo")?;
        let piece = [7; 16 * 1024];
        // The host takes no more, too, and in the end cuts it off.
        let error = loop {
            if let Err(error) = client.write_all(&piece) {
                break error;
            }
        };
        let gone = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
        ensure!(gone.contains(&error.kind()), "{error}");
        let more = resident(setting.host.id())?.saturating_sub(before);
        ensure!(more < 4 << 20, "the host took {more} bytes");
        Ok(())
    })?;
    setting.ends_well()
}

fn renegotiates(openssl: &Path) -> Result<()> {
    let setting = setting("")?;
    let said = setting.meanwhile(|| {
        // Of a peer that says nothing unasked: openssl takes a greeting that comes while it waits for
        // an answer to its handshake for a fault.
        let mut child = Command::new(openssl)
            .args(["s_client", "-tls1_2", "-connect"])
            .arg(format!("127.0.0.1:{}", setting.port("echo")?))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut stdin = child.stdin.take().context("stdin is a pipe")?;
        // A line that begins so is a command of its own.
        stdin.write_all(b"R\n")?;
        let output = child.wait_with_output()?;
        drop(stdin);
        Ok(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    })?;
    ensure!(said.contains("RENEGOTIATING"), "openssl doesn't ask for it:\n{said}");
    ensure!(said.contains("no renegotiation"), "it is not refused:\n{said}");
    setting.ends_well()
}
