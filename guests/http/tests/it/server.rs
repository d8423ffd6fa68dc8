//! A server whose files are a table, which conversations and fuzzing share.

use torsade_http::config::Config;
use torsade_http::file::{Kind, Metadata};
use torsade_http::listing::Entry;
use torsade_http::protection::Login;
use torsade_http::session::{Failure, Session, Step};
use torsade_http::site::Site;
use torsade_http::user::Stranger;

/// A server whose files are a table, and one connection to it.
pub(crate) struct Server {
    pub(crate) site: Site<&'static str>,
    pub(crate) session: Session,
    pub(crate) now: u64,
    pub(crate) out: Vec<u8>,
    pub(crate) is_closed: bool,
    /// What the host was asked for.
    pub(crate) asked: Vec<String>,
}

impl Server {
    pub(crate) fn new(config: &str) -> Self {
        let config: Config = serde_json::from_str(config).expect("the configuration is sound");
        let mut site = Site::new(&config).expect("the configuration is sound");
        let now = 1_000_000_000_000;
        site.set_time(now, DATE);
        let session = Session::new(&site);
        Self { site, session, now, out: Vec::new(), is_closed: false, asked: Vec::new() }
    }

    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        if !self.is_closed {
            let step = self.session.received(&mut self.site, bytes);
            self.drive(step);
        }
    }

    /// Lets time pass, and tells the session when its deadline is over.
    pub(crate) fn advance(&mut self, seconds: f64) {
        self.now += (seconds * 1e9) as u64;
        self.site.set_time(self.now, DATE);
        if !self.is_closed && self.session.deadline().is_some_and(|deadline| deadline <= self.now) {
            let step = self.session.timed_out(&mut self.site);
            self.drive(step);
        }
    }

    pub(crate) fn stop(&mut self) {
        self.site.stop();
        let step = self.session.stopping();
        self.drive(step);
    }

    fn drive(&mut self, mut step: Step<&'static str>) {
        loop {
            self.out.append(&mut self.site.out);
            let path = self.session.path().to_owned();
            step = match step {
                Step::Close => {
                    self.is_closed = true;
                    return;
                }
                Step::List => {
                    self.asked.push(format!("list {path}"));
                    self.session.listed(&mut self.site, list(&path))
                }
                Step::Open => {
                    self.asked.push(format!("open {path}"));
                    self.session.opened(&mut self.site, open(&path))
                }
                Step::Resume => self.session.resume(&mut self.site),
                Step::Send { file, offset, length } => {
                    let (offset, length) = (offset as usize, length as usize);
                    self.out.extend_from_slice(&file.as_bytes()[offset..offset + length]);
                    self.session.resume(&mut self.site)
                }
                Step::SendParts { file, content } => {
                    for piece in &content.pieces {
                        let (start, length) = (piece.part.offset as usize, piece.part.length);
                        self.out.extend_from_slice(&piece.head);
                        let part = &file.as_bytes()[start..start + length as usize];
                        self.out.extend_from_slice(part);
                    }
                    self.out.extend_from_slice(&content.end);
                    self.session.resume(&mut self.site)
                }
                Step::Verify => {
                    let login = self.session.login();
                    let name = login.as_ref().map_or("nobody", |login| &login.name);
                    self.asked.push(format!("verify {name}"));
                    self.session.verified(&mut self.site, verify(login))
                }
                Step::Wait => return,
            };
        }
    }

    /// What was sent so far, and whether the connection was closed behind it.
    pub(crate) fn said(&self) -> String {
        let text = String::from_utf8(self.out.clone()).expect("answers are text here");
        let mut text = text.replace("\r\n", "\n");
        for fixed in ["Server: torsade\n", "Date: Sun, 06 Nov 1994 08:49:37 GMT\n"] {
            text = text.replace(fixed, "");
        }
        if self.is_closed { text + "[closed]" } else { text }
    }
}

pub(crate) fn metadata(kind: Kind, size: usize) -> Metadata {
    // Nine minutes before the time of day.
    Metadata { kind, size: size as u64, seconds: DATE - 540, nanoseconds: 17, inode: 5 }
}

pub(crate) fn open(path: &str) -> Result<(&'static str, Metadata), Failure> {
    if FOLDERS.contains(&path) {
        return Ok(("", metadata(Kind::Folder, 0)));
    }
    match path {
        "busy" => Err(Failure::Busy),
        "broken" => Err(Failure::Other),
        _ => {
            let file = FILES.iter().find(|(name, _)| *name == path);
            let (_, content) = file.ok_or(Failure::NotFound)?;
            let mut metadata = metadata(Kind::Regular, content.len());
            metadata.seconds -= i64::from(path.starts_with("old.js."));
            Ok((content, metadata))
        }
    }
}

/// Everybody's password is the same, and some names stand for what else can be wrong.
fn verify(login: Option<Login>) -> Result<String, Stranger> {
    let login = login.filter(|login| login.password == b"secret").ok_or(Stranger::Unknown)?;
    match &*login.name {
        "busy" => Err(Stranger::Busy),
        "clear" => Err(Stranger::Clear),
        "often" => Err(Stranger::Throttled),
        "strange" => Err(Stranger::Unsure),
        _ => Ok(login.name),
    }
}

fn list(path: &str) -> Result<Vec<Entry>, Failure> {
    let at = FOLDERS.contains(&path).then_some(path).ok_or(Failure::NotFound)?;
    let inside = |name: &&str| {
        let rest =
            if at.is_empty() { Some(*name) } else { name.strip_prefix(at)?.strip_prefix('/') };
        rest.filter(|rest| !rest.is_empty() && !rest.contains('/')).map(str::to_owned)
    };
    let files = FILES.iter().map(|(name, _)| *name).filter_map(|name| inside(&name));
    let files = files.map(|name| Entry { name, metadata: metadata(Kind::Regular, 10) });
    let folders = FOLDERS.iter().copied().filter_map(|name| inside(&name));
    Ok(files
        .chain(folders.map(|name| Entry { name, metadata: metadata(Kind::Folder, 0) }))
        .collect())
}

/// Sun, 06 Nov 1994 08:49:37 GMT.
pub(crate) const DATE: i64 = 784_111_777;

const FOLDERS: &[&str] = &["", "docs", "empty", "example", "odd", "odd/index.html"];

const FILES: &[(&str, &str)] = &[
    ("index.html", "<p>home"),
    ("digits", "0123456789"),
    ("nothing.txt", ""),
    ("a b.txt", "spaced"),
    ("\u{e4}.txt", "umlaut"),
    ("app.js", "let app"),
    ("app.js.br", "BROTLI"),
    ("app.js.gz", "GZIP"),
    ("index.html.gz", "PAGE"),
    // Older than its original.
    ("old.js", "let old"),
    ("old.js.br", "OLD"),
    ("error.html", "<p>error"),
    ("example/index.html", "<p>example"),
    ("example/lost.txt", "lost here"),
    ("docs/index.html", "<p>docs"),
    ("docs/default.htm", "<p>default"),
    ("docs/page.html", "<p>page"),
];
