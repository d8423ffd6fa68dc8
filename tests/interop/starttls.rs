//! TLS that begins in mid-stream, on either side; and what came in clear behind the request never
//! counts as encrypted.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, ServerConnection, StreamOwned};
use tempfile::TempDir;
use torsade_tests::certificates::Authority;
use torsade_tests::host::{Host, PATIENCE};

use super::{configure, trial};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("starttls::a_server_begins_it", a_server_begins_it),
        trial("starttls::a_client_begins_it", a_client_begins_it),
        trial("starttls::a_client_may_begin_with_it", a_client_may_begin_with_it),
        trial("starttls::plugins_begin_it_with_each_other", plugins_begin_it_with_each_other),
        trial("starttls::a_client_checks_the_name", a_client_checks_the_name),
        trial("starttls::a_client_checks_the_signature", a_client_checks_the_signature),
        trial("starttls::injected_with_the_request", injected_with_the_request),
        trial("starttls::injected_half_a_line", injected_half_a_line),
        trial("starttls::injected_behind_the_answer", injected_behind_the_answer),
        trial("starttls::injected_into_a_client", injected_into_a_client),
        trial("starttls::injected_into_a_clients_handshake", injected_into_a_clients_handshake),
        trial("starttls::a_handshake_that_stalls_ends", a_handshake_that_stalls_ends),
        trial("starttls::without_a_certificate_it_ends", without_a_certificate_it_ends),
        trial("starttls::refused_while_it_begins", refused_while_it_begins),
        trial("starttls::a_cut_is_told_from_an_end", a_cut_is_told_from_an_end),
    ]
}

/// A host whose plugin begins TLS, and who signs its certificate.
struct Setting {
    folder: TempDir,
    host: Host,
    authority: Authority,
}

const TLS: &str = "tls = { cert = \"own.pem\", key = \"own-key.pem\", trust = \"ca.pem\" }\n";

fn setting(more: &str) -> Result<Setting> {
    let (folder, authority) = (tempfile::tempdir()?, Authority::new("tests")?);
    authority.sign(&["mail.example", "127.0.0.1"])?.write(folder.path(), "own")?;
    std::fs::write(folder.path().join("ca.pem"), authority.pem())?;
    let head = "workers = 1\ngrace = \"0s\"\n[service.upgrader]\nplugin = \"@upgrader\"\n";
    let rest = "listen = [\"tcp:0:interface=127.0.0.1\"]\n\
                grants = { connect = [\"tcp:127.0.0.1:*\"] }\n";
    configure(folder.path(), &format!("{head}{rest}{more}"))?;
    let host = Host::up(folder.path(), 1)?;
    Ok(Setting { folder, host, authority })
}

/// Anything that carries lines.
struct Lines<S>(BufReader<S>);

impl<S: Read + Write> Lines<S> {
    fn new(stream: S) -> Self {
        Self(BufReader::new(stream))
    }

    fn next(&mut self) -> Result<String> {
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }

    fn expect(&mut self, want: &str) -> Result<()> {
        let line = self.next()?;
        ensure!(line == want, "{want:?} was expected, not {line:?}");
        Ok(())
    }

    fn send(&mut self, text: &str) -> Result<()> {
        self.0.get_mut().write_all(text.as_bytes())?;
        Ok(self.0.get_mut().flush()?)
    }

    fn ask(&mut self, question: &str, answer: &str) -> Result<()> {
        self.send(&format!("{question}\r\n"))?;
        self.expect(answer)
    }

    /// The stream, of which nothing may have been read ahead.
    fn into_inner(self) -> Result<S> {
        ensure!(self.0.buffer().is_empty(), "{:?} came too early", self.0.buffer());
        Ok(self.0.into_inner())
    }
}

type Client = StreamOwned<ClientConnection, TcpStream>;
type Server = StreamOwned<ServerConnection, TcpStream>;

impl Setting {
    fn connect(&self) -> Result<Lines<TcpStream>> {
        let mut lines = Lines::new(self.host.connect("upgrader")?);
        lines.expect("220 hello")?;
        Ok(lines)
    }

    /// Goes on encrypted, as a client.
    fn secure(&self, plain: Lines<TcpStream>) -> Result<Lines<Client>> {
        let config = Arc::new(self.authority.client(None)?);
        let side = ClientConnection::new(config, ServerName::try_from("mail.example")?)?;
        let mut lines = Lines::new(StreamOwned::new(side, plain.into_inner()?));
        lines.expect("behind the barrier")?;
        lines.expect("EHLO")?;
        Ok(lines)
    }

    fn ends_well(mut self) -> Result<()> {
        let status = self.host.terminate()?;
        let log = self.host.log();
        ensure!(status.success() && !log.contains("panicked"), "{status}: {log}");
        ensure!(!log.contains("the plugin failed"), "{log}");
        drop(self.folder);
        Ok(())
    }

    /// Has the plugin dial a server of the test's, which has greeted it and was asked for TLS.
    fn dialled(&self) -> Result<(Lines<TcpStream>, Lines<TcpStream>)> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let mut front = self.connect()?;
        front.send(&format!("DIAL tcp:{} mail.example\r\n", listener.local_addr()?))?;
        let stream = listener.accept()?.0;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut back = Lines::new(stream);
        back.ask("220 hello", "STARTTLS")?;
        front.expect("back clear: 220 hello")?;
        Ok((front, back))
    }

    fn server(&self, name: &str, plain: Lines<TcpStream>) -> Result<Lines<Server>> {
        let config = self.authority.sign(&[name])?.server()?;
        let side = ServerConnection::new(config)?;
        Ok(Lines::new(StreamOwned::new(side, plain.into_inner()?)))
    }
}

fn a_server_begins_it() -> Result<()> {
    let setting = setting(TLS)?;
    let mut plain = setting.connect()?;
    plain.ask("TLS", "unsupported")?;
    plain.ask("one", "clear: one")?;
    plain.ask("STARTTLS", "220 go ahead")?;
    let mut lines = setting.secure(plain)?;
    lines.ask("two", "encrypted: two")?;
    lines.send("TLS\r\n")?;
    let agreed = lines.next()?;
    for part in ["TLSv1.3 TLS_", "name=Some(\"mail.example\")", "handshakes=1", "peer=[]"] {
        ensure!(agreed.contains(part), "{part} is not in {agreed}");
    }
    lines.send("STARTTLS\r\n")?;
    lines.expect("220 go ahead")?;
    lines.expect("failed unsupported")?;
    lines.expect("behind the barrier")?;
    lines.0.get_mut().conn.send_close_notify();
    lines.send("")?;
    let mut rest = Vec::new();
    lines.0.read_to_end(&mut rest)?;
    ensure!(rest.is_empty(), "{rest:?}");
    setting.host.log_with(&["lost done"])?;
    setting.ends_well()
}

fn a_client_begins_it() -> Result<()> {
    let setting = setting(TLS)?;
    let (mut front, mut back) = setting.dialled()?;
    back.send("220 go ahead\r\n")?;
    let mut back = setting.server("mail.example", back)?;
    back.expect("behind the barrier")?;
    back.expect("EHLO")?;
    back.send("250 welcome\r\n")?;
    front.expect("back clear: 220 go ahead")?;
    front.expect("back encrypted: 250 welcome")?;
    back.0.get_mut().conn.send_close_notify();
    back.send("")?;
    drop(back);
    front.expect("back lost done")?;
    setting.ends_well()
}

fn a_client_may_begin_with_it() -> Result<()> {
    let setting = setting(TLS)?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let at = listener.local_addr()?;
    for (endpoint, works) in
        [(format!("tls:{at}"), true), (format!("tls:{at}:name=other.example"), false)]
    {
        let mut front = setting.connect()?;
        front.send(&format!("DIAL {endpoint} -\r\n"))?;
        let stream = listener.accept()?.0;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut back = setting.server("127.0.0.1", Lines::new(stream))?;
        if works {
            back.send("220 hello\r\n")?;
            front.expect("back encrypted: 220 hello")?;
        } else {
            ensure!(back.next().is_err(), "the client must not take a certificate of another");
            front.expect("failed tls")?;
        }
    }
    setting.ends_well()
}

fn plugins_begin_it_with_each_other() -> Result<()> {
    let setting = setting(TLS)?;
    let mut front = setting.connect()?;
    front.send(&format!("DIAL tcp:{} 127.0.0.1\r\n", setting.host.address("upgrader")?))?;
    front.expect("back clear: 220 hello")?;
    front.expect("back clear: 220 go ahead")?;
    let mut heard: Vec<_> = (0..4).map(|_| front.next()).collect::<Result<_>>()?;
    heard.sort();
    let want = ["behind the barrier", "EHLO", "encrypted: EHLO", "encrypted: behind the barrier"];
    let mut want = want.map(|line| format!("back encrypted: {line}"));
    want.sort();
    ensure!(heard == want, "{heard:?}");
    setting.ends_well()
}

fn a_client_checks_the_name() -> Result<()> {
    let setting = setting(TLS)?;
    let (mut front, mut back) = setting.dialled()?;
    back.send("220 go ahead\r\n")?;
    let mut back = setting.server("other.example", back)?;
    ensure!(back.next().is_err(), "the client must not take a certificate of another");
    front.expect("back clear: 220 go ahead")?;
    let mut ends = [front.next()?, front.next()?];
    ends.sort();
    ensure!(ends == ["back lost tls", "failed tls"], "{ends:?}");
    setting.ends_well()
}

fn a_client_checks_the_signature() -> Result<()> {
    let mut setting = setting(TLS)?;
    let (mut front, mut back) = setting.dialled()?;
    setting.authority = Authority::new("somebody else")?;
    back.send("220 go ahead\r\n")?;
    let mut back = setting.server("mail.example", back)?;
    ensure!(back.next().is_err(), "the client must not take what a stranger signed");
    front.expect("back clear: 220 go ahead")?;
    let mut ends = [front.next()?, front.next()?];
    ends.sort();
    ensure!(ends == ["back lost tls", "failed tls"], "{ends:?}");
    setting.ends_well()
}

fn injected_with_the_request() -> Result<()> {
    let setting = setting(TLS)?;
    let mut plain = setting.connect()?;
    plain.send("STARTTLS\r\nINJECTED\r\n")?;
    plain.expect("220 go ahead")?;
    let mut lines = setting.secure(plain)?;
    lines.ask("two", "encrypted: two")?;
    setting.ends_well()
}

fn injected_half_a_line() -> Result<()> {
    let setting = setting(TLS)?;
    let mut plain = setting.connect()?;
    plain.send("STARTTLS\r\nINJ")?;
    plain.expect("220 go ahead")?;
    let mut lines = setting.secure(plain)?;
    lines.ask("ECTED", "encrypted: ECTED")?;
    setting.ends_well()
}

fn injected_behind_the_answer() -> Result<()> {
    let setting = setting(TLS)?;
    let mut plain = setting.connect()?;
    plain.ask("STARTTLS", "220 go ahead")?;
    plain.send("INJECTED\r\n")?;
    let mut rest = Vec::new();
    // A reset is an end, too.
    let _ = plain.0.read_to_end(&mut rest);
    let rest = String::from_utf8_lossy(&rest);
    ensure!(!rest.contains("INJECTED") && !rest.contains("encrypted"), "{rest}");
    setting.host.log_with(&["lost tls"])?;
    ensure!(!setting.host.log().contains("INJECTED"), "{}", setting.host.log());
    setting.ends_well()
}

fn injected_into_a_client() -> Result<()> {
    let setting = setting(TLS)?;
    let (mut front, mut back) = setting.dialled()?;
    back.send("220 go ahead\r\n250 INJECTED\r\n250 INJ")?;
    let mut back = setting.server("mail.example", back)?;
    back.expect("behind the barrier")?;
    back.send("ECTED\r\n")?;
    front.expect("back clear: 220 go ahead")?;
    front.expect("back encrypted: ECTED")?;
    setting.ends_well()
}

fn injected_into_a_clients_handshake() -> Result<()> {
    let setting = setting(TLS)?;
    let (mut front, mut back) = setting.dialled()?;
    back.send("220 go ahead\r\n")?;
    back.0.fill_buf().context("the client begins")?;
    back.send("250 INJECTED\r\n")?;
    front.expect("back clear: 220 go ahead")?;
    let mut ends = [front.next()?, front.next()?];
    ends.sort();
    ensure!(ends == ["back lost tls", "failed tls"], "{ends:?}");
    setting.ends_well()
}

fn a_handshake_that_stalls_ends() -> Result<()> {
    let setting = setting(&format!("{TLS}limits = {{ handshake = \"200ms\" }}\n"))?;
    let mut plain = setting.connect()?;
    plain.ask("STARTTLS", "220 go ahead")?;
    let mut other = setting.connect()?;
    let mut rest = Vec::new();
    let _ = plain.0.read_to_end(&mut rest);
    ensure!(rest.is_empty(), "{rest:?}");
    setting.host.log_with(&["lost timed-out"])?;
    other.ask("one", "clear: one")?;
    setting.ends_well()
}

fn without_a_certificate_it_ends() -> Result<()> {
    let setting = setting("tls = { trust = \"ca.pem\" }\n")?;
    let mut plain = setting.connect()?;
    plain.send("STARTTLS\r\n")?;
    let mut rest = Vec::new();
    let _ = plain.0.read_to_end(&mut rest);
    ensure!(rest.is_empty(), "what was to be encrypted went out in clear: {rest:?}");
    setting.host.log_with(&["lost tls"])?;
    setting.ends_well()
}

/// Who asked for the handshake hears what became of it, though there is no protocol.
fn refused_while_it_begins() -> Result<()> {
    let Setting { folder, host, authority } = setting(TLS)?;
    drop(host);
    let file = folder.path().join("torsade.toml");
    let text = std::fs::read_to_string(&file)?;
    let one = "\"tcp:0:interface=127.0.0.1\"";
    std::fs::write(&file, text.replace(one, &format!("{one}, \"unix:a.sock\"")))?;
    let host = Host::up(folder.path(), 2)?;
    let plain = UnixStream::connect(folder.path().join("a.sock"))?;
    plain.set_read_timeout(Some(PATIENCE))?;
    let side = ClientConnection::new(
        Arc::new(authority.client(None)?),
        ServerName::try_from("mail.example")?,
    )?;
    let mut said = String::new();
    StreamOwned::new(side, plain).read_to_string(&mut said)?;
    ensure!(said == "go away\r\n", "{said:?}");
    host.log_with(&["refused: closed"])?;
    Setting { folder, host, authority }.ends_well()
}

fn a_cut_is_told_from_an_end() -> Result<()> {
    let setting = setting(TLS)?;
    let mut plain = setting.connect()?;
    plain.ask("STARTTLS", "220 go ahead")?;
    let mut lines = setting.secure(plain)?;
    lines.ask("two", "encrypted: two")?;
    lines.0.get_ref().sock.shutdown(std::net::Shutdown::Write)?;
    setting.host.log_with(&["lost truncated"])?;
    setting.ends_well()
}
