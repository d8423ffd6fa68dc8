//! Connections forwarded through one host and through two: whole, in order, and no faster than
//! the far end takes them.

mod ends;
mod grants;
mod programs;
mod slow;

use std::net::{SocketAddr, TcpListener, TcpStream};

use anyhow::Result;
use libtest_mimic::Trial;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use tempfile::TempDir;
use torsade_tests::host::{Host, PATIENCE};

use super::folder;

pub(super) fn trials() -> Vec<Trial> {
    let parts = [ends::trials(), grants::trials(), programs::trials(), slow::trials()];
    parts.into_iter().flatten().collect()
}

/// How many sandboxes the hops have.
const INSTANCES: [&str; 2] = ["per-connection", "per-worker"];

/// A service that listens on `listen` and forwards to `to`.
fn hop(name: &str, listen: &str, to: &str, instances: &str) -> String {
    format!(
        "[service.{name}]\nplugin = \"@portforward\"\nlisten = [\"{listen}\"]\n\
         instances = \"{instances}\"\ngrants = {{ connect = [\"{to}\"] }}\n\
         config = {{ to = \"{to}\" }}\n"
    )
}

/// `one` forwards to what `to` names; `two` forwards to a third service, which does the same.
fn hops(to: &str, instances: &str, more: &str) -> Result<(TempDir, Host)> {
    let tcp = "tcp:0:interface=127.0.0.1";
    // An address that nobody else uses, and a port that was free a moment ago. A Unix socket would
    // not do: there a reset can't be told from an end.
    let second = TcpListener::bind("127.0.0.3:0")?.local_addr()?.port();
    let folder = folder(&format!(
        "workers = 1\n{}{}{}{more}",
        hop("one", tcp, to, instances),
        hop("two", tcp, &format!("tcp:127.0.0.3:{second}"), instances),
        hop("second", &format!("tcp:{second}:interface=127.0.0.3"), to, instances),
    ))?;
    let host = Host::up(folder.path(), 3 + more.matches("[service.").count())?;
    Ok((folder, host))
}

/// The far end, which a test plays.
struct Target(TcpListener);

impl Target {
    fn new() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        set_socket_timeout(&listener, Timeout::Recv, Some(PATIENCE))?;
        Ok(Target(listener))
    }

    fn endpoint(&self) -> Result<String> {
        Ok(endpoint(self.0.local_addr()?))
    }

    /// What was forwarded. It has time-outs, as this has, so that a test can't hang.
    fn accept(&self) -> Result<TcpStream> {
        let (stream, _) = self.0.accept()?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(stream)
    }
}

fn endpoint(address: SocketAddr) -> String {
    format!("tcp:{}:{}", address.ip(), address.port())
}
