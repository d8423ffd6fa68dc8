//! What an operator can set: the `config` table of a service that runs this plugin.

use serde::Deserialize;
use torsade_http::config::Limits;

/// The `config` table. Every key has a default.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// What stands above the page.
    pub title: String,
    /// Posts on one page, 1 to 100.
    pub posts_a_page: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self { title: "Guestbook".into(), posts_a_page: 20 }
    }
}

impl Config {
    /// Says what is wrong with values whose types are right.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn check(&self) -> Result<(), String> {
        if !(1..=MAX_POSTS_A_PAGE).contains(&self.posts_a_page) {
            return Err(format!("posts-a-page: must be 1 to {MAX_POSTS_A_PAGE}"));
        }
        Ok(())
    }
}

/// What a peer may take of a connection's memory and time.
pub fn limits() -> Limits {
    Limits {
        head: 16 * 1024,
        target: 1024,
        headers: 100,
        body: MAX_BODY,
        head_timeout: 10 * SECOND,
        body_timeout: 30 * SECOND,
        keep_alive_timeout: 60 * SECOND,
        requests: u32::MAX,
    }
}

/// The longest body of a request, in bytes: a post of the greatest length, each of its characters
/// four bytes and each of those encoded as three, and some more.
pub const MAX_BODY: u64 = 32 * 1024;

const MAX_POSTS_A_PAGE: u32 = 100;

/// In nanoseconds.
const SECOND: u64 = 1_000_000_000;
