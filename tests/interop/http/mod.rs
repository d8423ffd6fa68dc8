//! Files over HTTP, to real clients over real sockets.

mod browser;
pub(super) mod client;
mod limits;
mod logs;
mod paths;
mod programs;
mod rules;
mod stream;
mod users;
mod with_curl;

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::path::PathBuf;

use anyhow::Result;
use libtest_mimic::Trial;
use tempfile::TempDir;
use torsade_tests::host::Host;

use client::Answer;

pub(super) fn trials() -> Vec<Trial> {
    let parts = [
        browser::trials(),
        limits::trials(),
        logs::trials(),
        paths::trials(),
        programs::trials(),
        rules::trials(),
        stream::trials(),
        users::trials(),
        with_curl::trials(),
    ];
    parts.into_iter().flatten().collect()
}

/// A site that is being served, on TCP and on a Unix socket. The root is a folder of its own in
/// the folder of the configuration.
pub(super) struct Site {
    pub(super) host: Host,
    folder: TempDir,
}

impl Site {
    /// Serves a root with some files in it. `config` is the plugin's, `service` whatever else
    /// belongs into the service's table.
    pub(super) fn new(config: &str, service: &str) -> Result<Self> {
        let text = format!(
            "workers = 2\ngrace = \"20s\"\n[service.site]\nplugin = \"@http\"\n\
             listen = [\"tcp:0:interface=127.0.0.1\", \"unix:site.sock\"]\n\
             grants = {{ files = {{ read = \"root\" }} }}\nconfig = {{ {config} }}\n{service}\n"
        );
        let folder = tempfile::tempdir()?;
        let root = folder.path().join("root");
        fs::create_dir_all(root.join("folder/deep"))?;
        fs::write(root.join("index.html"), "<p>index</p>")?;
        fs::write(root.join("ten.txt"), "0123456789")?;
        fs::write(root.join("empty"), "")?;
        fs::write(root.join("folder/a b.txt"), "a file with a space")?;
        fs::write(root.join("folder/deep/index.html"), "<p>deep</p>")?;
        fs::write(root.join("large.bin"), large())?;
        super::configure(folder.path(), &text)?;
        let host = Host::up(folder.path(), 2)?;
        Ok(Self { host, folder })
    }

    /// The folder that is granted.
    pub(super) fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    /// The Unix socket.
    fn socket(&self) -> PathBuf {
        self.folder.path().join("site.sock")
    }

    /// The URL of a path that begins with a slash.
    fn url(&self, path: &str) -> Result<String> {
        Ok(format!("http://{}{path}", self.host.address("site")?))
    }

    fn connect(&self) -> Result<TcpStream> {
        self.host.connect("site")
    }

    /// What is answered to these bytes, on a connection of their own.
    fn ask(&self, request: impl AsRef<[u8]>) -> Result<Answer> {
        let mut stream = self.connect()?;
        // A request that is refused early may be cut off while it is sent.
        let _ = stream.write_all(request.as_ref());
        Answer::read(&mut stream)
    }
}

/// More than the host sends at once, and not the same anywhere.
pub(super) fn large() -> Vec<u8> {
    (0..3_000_000_u32).map(|place| (place.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}
