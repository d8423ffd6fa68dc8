//! What an operator can set: the `config` table of a service that runs this plugin.

use serde::Deserialize;
use torsade_http::config::Limits;

/// The `config` table. Every key has a default.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// What stands above the page.
    pub title: String,
    /// Posts on one page, 1 to 100.
    pub posts_a_page: u32,
    /// Seconds from the first byte of a request's head to its last. What is slower is answered
    /// 408.
    pub head_timeout: u32,
    /// Seconds that a connection may wait for its first or its next request.
    pub keep_alive_timeout: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            title: "Guestbook".into(),
            posts_a_page: 20,
            head_timeout: 10,
            keep_alive_timeout: 60,
        }
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
        for (key, value) in
            [("head-timeout", self.head_timeout), ("keep-alive-timeout", self.keep_alive_timeout)]
        {
            if value == 0 {
                return Err(format!("{key}: must be at least 1"));
            }
        }
        Ok(())
    }

    /// What a peer may take of a connection's memory and time.
    pub fn limits(&self) -> Limits {
        Limits {
            head: 16 * 1024,
            target: 1024,
            headers: 100,
            body: MAX_BODY,
            head_timeout: u64::from(self.head_timeout) * SECOND,
            body_timeout: 30 * SECOND,
            keep_alive_timeout: u64::from(self.keep_alive_timeout) * SECOND,
            requests: u32::MAX,
        }
    }
}

/// The longest body of a request, in bytes: a post of the greatest length, each of its characters
/// four bytes and each of those encoded as three, and some more.
pub const MAX_BODY: u64 = 32 * 1024;

const MAX_POSTS_A_PAGE: u32 = 100;

/// In nanoseconds.
const SECOND: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::Config;

    #[test]
    fn the_schema_is_that_of_the_table() {
        let schema = schemars::schema_for!(Config);
        torsade_guest::testing::assert_schema(env!("CARGO_MANIFEST_DIR"), &schema);
    }
}
