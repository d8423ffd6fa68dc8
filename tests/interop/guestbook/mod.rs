//! The guestbook: a web application with a database, to real clients over real sockets.

mod kill;
mod pages;

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use serde_json::Value;
use tempfile::TempDir;
use torsade_tests::host::{Host, PATIENCE};

use super::folder;
use super::http::client::Answer;

pub(super) fn trials() -> Vec<Trial> {
    let mut trials = pages::trials();
    trials.extend(kill::trials());
    trials
}

/// A guestbook that is being served, with its state.
struct Guestbook {
    host: Host,
    folder: TempDir,
}

impl Guestbook {
    /// Serves an empty one. `service` is what belongs into the service's table besides.
    fn new(instances: &str, service: &str) -> Result<Self> {
        let folder = folder(&format!(
            "workers = 2\n[service.guestbook]\nplugin = \"@guestbook\"\n\
             listen = [\"tcp:0:interface=127.0.0.1\"]\ninstances = \"{instances}\"\n\
             grants = {{ sql = \"file\" }}\n{service}\n"
        ))?;
        let host = Host::up(folder.path(), 1)?;
        Ok(Self { host, folder })
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    fn url(&self, path: &str) -> Result<String> {
        Ok(format!("http://{}{path}", self.host.address("guestbook")?))
    }

    fn client(&self) -> Result<Client> {
        Client::connect(self.host.address("guestbook")?)
    }
}

/// A connection that stays open.
struct Client(TcpStream);

impl Client {
    fn connect(to: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(to)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self(stream))
    }

    fn ask(&mut self, request: &str) -> Result<Answer> {
        self.0.write_all(request.as_bytes())?;
        Answer::read(&mut self.0)
    }

    /// Posts what is encoded already; done once it is acknowledged.
    fn post(&mut self, form: &str) -> Result<()> {
        let answer = self.ask(&format!(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\n\r\n{form}",
            form.len()
        ))?;
        ensure!(answer.status == 303, "not acknowledged:\n{}", answer.head);
        Ok(())
    }

    /// A page of posts, the newest first, and whether older ones follow.
    fn page(&mut self, before: Option<i64>) -> Result<(Vec<Post>, bool)> {
        let query = before.map(|id| format!("?before={id}")).unwrap_or_default();
        let request = format!("GET /posts.json{query} HTTP/1.1\r\nHost: a\r\n\r\n");
        let answer = self.ask(&request)?;
        ensure!(answer.status == 200, "no list:\n{}", answer.head);
        let page: Value = serde_json::from_slice(&answer.body)?;
        let posts = page["posts"].as_array().context("posts")?;
        let posts = posts.iter().map(Post::read).collect::<Option<_>>().context("a post")?;
        Ok((posts, page["older"].as_bool().context("older")?))
    }

    /// All posts after an id, the newest first, page by page.
    fn posts(&mut self, after: i64) -> Result<Vec<Post>> {
        let mut posts: Vec<Post> = Vec::new();
        loop {
            let before = posts.last().map(|post| post.id);
            let (page, older) = self.page(before)?;
            posts.extend(page);
            if !older || posts.last().is_none_or(|post| post.id <= after) {
                posts.retain(|post| post.id > after);
                return Ok(posts);
            }
        }
    }
}

/// What a guest has written.
#[derive(Debug)]
struct Post {
    id: i64,
    name: String,
    text: String,
}

impl Post {
    fn read(json: &Value) -> Option<Self> {
        let text = |key: &str| Some(json[key].as_str()?.to_owned());
        Some(Self { id: json["id"].as_i64()?, name: text("name")?, text: text("text")? })
    }
}
