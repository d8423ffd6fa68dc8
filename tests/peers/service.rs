//! What is attacked: services as somebody careful configures them, and whether they answer.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::ATTACKED;
use crate::certificates::Authority;
use crate::{dial, http, tls};

/// What is served, and how.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Service {
    /// `guests/echo`, over datagrams
    Datagrams,
    /// `guests/echo`
    Echo,
    /// `guests/http` over TLS
    Encrypted,
    /// `guests/echo` behind a proxy
    Proxied,
    /// `guests/http`
    Site,
}

/// Limits that a service has which strangers can reach.
const LIMITS: &str = "idle = \"1s\", drain = \"1s\", handshake = \"1s\", linger = \"500ms\"";
/// The same for the plugin that serves files.
const SITE: &str = "config = { head-timeout = 1, body-timeout = 1, keep-alive-timeout = 1 }\n";
/// The size of the file that fits into no buffer.
const LARGE: u64 = 64 << 20;
/// What the small file holds.
const SMALL: &[u8] = &[b's'; 1024];
/// How long one who asks waits for an answer.
const PATIENCE: Duration = Duration::from_secs(1);

impl Service {
    /// See `Peer::service`.
    pub(super) fn table(
        self,
        folder: &Path,
        port: u16,
        plugins: impl Fn(&str) -> Result<String>,
        limits: &str,
    ) -> Result<String> {
        let (guest, kind) = match self {
            Self::Datagrams => ("guests/echo", "udp"),
            Self::Echo => ("guests/echo", "tcp"),
            Self::Encrypted => ("guests/http", "tls"),
            Self::Proxied => ("guests/echo", "haproxy:tcp"),
            Self::Site => ("guests/http", "tcp"),
        };
        let plugin = plugins(guest)?;
        let limits = if limits.is_empty() { LIMITS } else { &format!("{LIMITS}, {limits}") };
        let mut table = format!(
            "\n[service.{ATTACKED}]\nplugin = {plugin:?}\n\
             listen = [\"{kind}:{port}:interface=127.0.0.1\"]\nlimits = {{ {limits} }}\n"
        );
        if guest == "guests/http" {
            let public = folder.join("attacked");
            fs::create_dir_all(&public)?;
            fs::write(public.join("small.txt"), SMALL)?;
            File::create(public.join("large.bin"))?.set_len(LARGE)?;
            table += &format!("grants = {{ files = {{ read = {public:?} }} }}\n{SITE}");
        }
        if self == Self::Encrypted {
            let authority = Authority::new("attacked")?;
            fs::write(folder.join("attacked-ca.pem"), authority.pem())?;
            authority.sign(&["127.0.0.1"])?.write(folder, "attacked")?;
            let files = ["attacked.pem", "attacked-key.pem"].map(|name| folder.join(name));
            table += &format!("tls = {{ cert = {:?}, key = {:?} }}\n", files[0], files[1]);
        }
        Ok(table)
    }

    /// See `Peer::ask`.
    pub(super) fn ask(self, folder: &Path, address: SocketAddr) -> Result<()> {
        match self {
            Self::Datagrams => {
                let socket = UdpSocket::bind((dial::source(0)?, 0))?;
                socket.connect(address)?;
                socket.set_read_timeout(Some(PATIENCE))?;
                socket.send(b"hello")?;
                let mut answer = [0; 6];
                let length = socket.recv(&mut answer)?;
                ensure!(&answer[..length] == b"hello", "the echo is wrong");
                Ok(())
            }
            Self::Echo => echoes(&mut connect(address)?, b""),
            Self::Proxied => {
                let header = b"PROXY TCP4 192.0.2.1 192.0.2.2 1000 1000\r\n";
                echoes(&mut connect(address)?, header)
            }
            Self::Encrypted => {
                let trusting = tls::trusting(&folder.join("attacked-ca.pem"))?;
                serves(&mut tls::begin(&trusting, connect(address)?)?)
            }
            Self::Site => serves(&mut connect(address)?),
        }
    }
}

fn connect(address: SocketAddr) -> Result<TcpStream> {
    let stream = dial::dial(address, 0)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn echoes(stream: &mut TcpStream, before: &[u8]) -> Result<()> {
    stream.write_all(&[before, b"hello"].concat())?;
    let mut answer = [0; 5];
    stream.read_exact(&mut answer)?;
    ensure!(&answer == b"hello", "the echo is wrong");
    Ok(())
}

fn serves(stream: &mut (impl Read + Write)) -> Result<()> {
    let answer = http::ask_once(stream, "/small.txt")?;
    ensure!(answer.body == SMALL, "another content is served");
    Ok(())
}
