//! What `credentials` grants: a file of users, and where their passwords may be said.

use std::path::PathBuf;

/// `credentials = "users"`, or a table.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Users {
    /// `users`: the file.
    pub file: PathBuf,
    /// `plain`: where a password may be said.
    pub plain: Clear,
    /// `create`: who is in the file where the host has to make it.
    pub create: Vec<String>,
}

/// Where a password may be said in clear, beside transports that nobody can listen to: those that
/// are encrypted, Unix sockets, standard input and output.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Clear {
    /// `"always"`.
    Always,
    /// `"loopback"`: where the peer is on this host.
    Loopback,
    /// `"encrypted"`.
    #[default]
    Never,
}

impl Clear {
    /// What it is in the configuration.
    pub fn key(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Loopback => "loopback",
            Self::Never => "encrypted",
        }
    }
}
