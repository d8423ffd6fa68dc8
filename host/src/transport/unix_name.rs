//! What a Unix socket is called, in endpoint strings and by the kernel.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

use super::pieces::Escaped;
use crate::net::Address;

/// The longest path, and the longest abstract name, of a Unix socket in bytes: `sun_path` less a
/// byte that ends the path, or begins the name.
pub const UNIX_NAME_MAX: usize = 107;

/// The name of a Unix socket.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum UnixName {
    /// A name outside the file system, without its leading `@` (Linux).
    Abstract(String),
    /// A file.
    Path(PathBuf),
}

impl UnixName {
    /// The name that an address has.
    pub(crate) fn of(address: &str) -> Self {
        match address.strip_prefix('@') {
            Some(name) => Self::Abstract(name.to_owned()),
            None => Self::Path(PathBuf::from(address)),
        }
    }

    /// The address that [`Net`](crate::net::Net) knows it by; `None` for a path that isn't UTF-8.
    pub fn address(&self) -> Option<Address> {
        match self {
            Self::Path(path) if path.to_str().is_none() => None,
            _ => Some(Address::Unix(self.text().into())),
        }
    }

    /// Reads a path, or an abstract name with its `@`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.contains('\0') {
            return Err("the path has a NUL byte in it".to_owned());
        }
        let (name, length) = match text.strip_prefix('@') {
            Some("") => return Err("the abstract name is empty; write unix:@site".to_owned()),
            Some(_) if !cfg!(target_os = "linux") => {
                return Err("abstract names (@) are Linux's; this system needs a path".to_owned());
            }
            Some(name) => (Self::Abstract(name.to_owned()), name.len()),
            None => (Self::Path(PathBuf::from(text)), text.len()),
        };
        match length {
            0 => Err("it has no path; write unix:/run/site.sock".to_owned()),
            length if length > UNIX_NAME_MAX => Err(too_long(length)),
            _ => Ok(name),
        }
    }

    /// The same name, with a relative path taken to be below `folder`; where that is too long, the
    /// name and what is wrong with it.
    pub(super) fn below(self, folder: &Path) -> Result<Self, (Self, String)> {
        let Self::Path(path) = self else {
            return Ok(self);
        };
        let joined = folder.join(path);
        let length = joined.as_os_str().len();
        let below = Self::Path(joined);
        if length > UNIX_NAME_MAX { Err((below, too_long(length))) } else { Ok(below) }
    }

    fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Abstract(name) => format!("@{name}").into(),
            // A path that begins with `@` would read as an abstract name.
            Self::Path(path) if path.as_os_str().as_encoded_bytes().starts_with(b"@") => {
                format!("./{}", path.display()).into()
            }
            Self::Path(path) => path.to_string_lossy(),
        }
    }
}

/// As an endpoint string has it: special characters escaped, an abstract name with its `@`.
impl fmt::Display for UnixName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        Escaped(&self.text()).fmt(out)
    }
}

fn too_long(length: usize) -> String {
    format!("its path is {length} bytes long; the system takes at most {UNIX_NAME_MAX}")
}
