//! What an operator can set: the `config` table of a service that runs this plugin.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::encoding::Coding;
use crate::request::MAX_HEADERS;

/// The `config` table. Every key has a default.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// The files that stand for their folder, in the order in which they are tried.
    pub index: Vec<String>,
    /// Whether a folder without an index file is answered with a list of its entries.
    pub listing: bool,
    /// The codings in which a file may lie beside the original, as `a.js.br` beside `a.js`, the
    /// best first. One that is older than the original is not used.
    pub precompressed: Vec<Coding>,
    /// What `Cache-Control` is for a file: the first whose pattern matches.
    pub cache_control: Vec<CacheControl>,
    /// The pages that go with statuses: paths below the root, by the status's number.
    pub error_pages: BTreeMap<String, String>,
    /// Where paths are to be looked for instead: the first whose pattern matches.
    pub redirects: Vec<Redirect>,
    /// The paths that only users may see: the first whose pattern matches. Who the users are, and
    /// their passwords, is the host's to know.
    pub auth: Vec<Auth>,
    /// The names that are served, and what is otherwise for each. Where there are any, a request
    /// for another name is answered 421.
    pub hosts: BTreeMap<String, Host>,
    /// Whether each answer writes a line to the host's log, in the Combined Log Format.
    pub access_log: bool,
    /// The `Server` field of every answer; empty for none.
    pub server: String,
    /// The longest head of a request, in bytes. What is beyond is answered 431.
    pub max_head: u32,
    /// The longest target of a request, in bytes. What is beyond is answered 414.
    pub max_target: u32,
    /// The largest number of header fields, at most 128. What is beyond is answered 431.
    pub max_headers: u32,
    /// The longest body of a request, in bytes, without its framing. What is beyond is answered
    /// 413.
    pub max_body: u64,
    /// Seconds from the first byte of a request's head to its last. What is slower is answered
    /// 408.
    pub head_timeout: u32,
    /// Seconds from the end of a request's head to the end of its body. What is slower is
    /// answered 408.
    pub body_timeout: u32,
    /// Seconds that a connection may wait for its first or its next request.
    pub keep_alive_timeout: u32,
    /// Requests that one connection may send; 0 for any number.
    pub keep_alive_requests: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            index: vec!["index.html".into()],
            listing: false,
            precompressed: Vec::new(),
            cache_control: Vec::new(),
            error_pages: BTreeMap::new(),
            redirects: Vec::new(),
            auth: Vec::new(),
            hosts: BTreeMap::new(),
            access_log: false,
            server: "torsade".into(),
            max_head: 16 * 1024,
            max_target: 8 * 1024,
            max_headers: 100,
            max_body: 1024 * 1024,
            head_timeout: 10,
            body_timeout: 30,
            keep_alive_timeout: 60,
            keep_alive_requests: 0,
        }
    }
}

impl Config {
    /// Says what is wrong with values whose types are right, as far as they are about the
    /// protocol, and not about files.
    pub fn check(&self) -> Result<(), String> {
        if !self.server.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
            return Err("server: only visible ASCII characters and spaces can be sent".into());
        }
        if self.max_headers as usize > MAX_HEADERS {
            return Err(format!("max-headers: at most {MAX_HEADERS}"));
        }
        let positive = [
            ("max-head", self.max_head),
            ("max-target", self.max_target),
            ("max-headers", self.max_headers),
            ("head-timeout", self.head_timeout),
            ("body-timeout", self.body_timeout),
            ("keep-alive-timeout", self.keep_alive_timeout),
        ];
        for (key, value) in positive {
            if value == 0 {
                return Err(format!("{key}: must be at least 1"));
            }
        }
        let bounded = [("max-head", self.max_head), ("max-target", self.max_target)];
        for (key, value) in bounded {
            if value > MAX_HEAD {
                return Err(format!("{key}: at most {MAX_HEAD}"));
            }
        }
        Ok(())
    }

    /// The part of the configuration that is about the protocol, and not about files.
    pub fn limits(&self) -> Limits {
        Limits {
            head: self.max_head as usize,
            target: self.max_target as usize,
            headers: self.max_headers as usize,
            body: self.max_body,
            head_timeout: seconds(self.head_timeout),
            body_timeout: seconds(self.body_timeout),
            keep_alive_timeout: seconds(self.keep_alive_timeout),
            requests: if self.keep_alive_requests == 0 {
                u32::MAX
            } else {
                self.keep_alive_requests
            },
        }
    }
}

/// What is otherwise for one host than for all. What is missing is said for all.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Host {
    /// The folder below the granted one that is this host's root; none for the granted one.
    pub root: Option<String>,
    /// As `index` is for all.
    pub index: Option<Vec<String>>,
    /// As `listing` is for all.
    pub listing: Option<bool>,
    /// As `precompressed` is for all.
    pub precompressed: Option<Vec<Coding>>,
    /// As `cache-control` is for all.
    pub cache_control: Option<Vec<CacheControl>>,
    /// As `error-pages` is for all, below this host's root.
    pub error_pages: Option<BTreeMap<String, String>>,
    /// As `redirects` is for all.
    pub redirects: Option<Vec<Redirect>>,
    /// As `auth` is for all.
    pub auth: Option<Vec<Auth>>,
}

/// What `Cache-Control` is for some files.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CacheControl {
    /// The pattern of their paths.
    pub path: String,
    /// The field's value.
    pub value: String,
}

/// Paths that only users may see.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Auth {
    /// The pattern of the paths.
    pub path: String,
    /// What a browser shows where it asks for the password.
    #[serde(default = "restricted")]
    pub realm: String,
    /// Who may see them; without it every user.
    pub users: Option<Vec<String>>,
}

fn restricted() -> String {
    "restricted".into()
}

/// Where some paths are to be looked for instead.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Redirect {
    /// The pattern of the paths.
    pub from: String,
    /// A path, or a URL with a host. `{rest}` in it is what `**` stands for in the pattern.
    pub to: String,
    /// 301, 302, 303, 307 or 308.
    #[serde(default = "found")]
    pub status: u16,
}

/// What says least of the future, and so can be taken back.
fn found() -> u16 {
    302
}

/// What a peer may take of a connection's memory and time. Times are in nanoseconds.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The longest head, in bytes.
    pub head: usize,
    /// The longest target, in bytes.
    pub target: usize,
    /// The largest number of header fields.
    pub headers: usize,
    /// The longest body, in bytes, without its framing.
    pub body: u64,
    /// From the first byte of a head to its last.
    pub head_timeout: u64,
    /// From the end of a head to the end of its body.
    pub body_timeout: u64,
    /// Between requests.
    pub keep_alive_timeout: u64,
    /// Requests on one connection.
    pub requests: u32,
}

fn seconds(count: u32) -> u64 {
    u64::from(count) * 1_000_000_000
}

/// The largest `max-head` and `max-target`: each connection may hold that much.
const MAX_HEAD: u32 = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::Config;

    fn check(json: &str) -> Result<(), String> {
        serde_json::from_str::<Config>(json).map_err(|error| error.to_string())?.check()
    }

    #[test]
    fn the_schema_is_that_of_the_table() {
        let schema = schemars::schema_for!(Config);
        torsade_guest::testing::assert_schema(env!("CARGO_MANIFEST_DIR"), &schema);
    }

    #[test]
    fn defaults_are_fit_to_serve() {
        assert_eq!(check("{}"), Ok(()));
    }

    #[test]
    fn mistakes_name_their_key() {
        for (json, key) in [
            (r#"{"indx": []}"#, "indx"),
            (r#"{"listing": "yes"}"#, "string"),
            (r#"{"server": "a\r\nb"}"#, "server"),
            (r#"{"max-headers": 1000}"#, "max-headers"),
            (r#"{"max-head": 0}"#, "max-head"),
            (r#"{"max-head": 100000000}"#, "max-head"),
            (r#"{"head-timeout": 0}"#, "head-timeout"),
        ] {
            let error = check(json).expect_err(json);
            assert!(error.contains(key), "{json}: {error}");
        }
    }
}
