//! Which of the descriptors that the host was started with an endpoint means.

use std::fmt;

use super::pieces::{Escaped, Pieces, number};

/// The first descriptor that a process is handed besides standard input, output and error, as
/// sd_listen_fds(3) has it.
pub const FIRST_DESCRIPTOR: u32 = 3;

/// The highest number of a descriptor that an endpoint may name.
pub const DESCRIPTOR_MAX: u32 = 65_535;

/// The longest name of a descriptor in bytes, as systemd has it (`FileDescriptorName=`).
pub const DESCRIPTOR_NAME_MAX: usize = 255;

/// A socket that whoever started the host has opened for it.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Inherited {
    /// By its number, at least [`FIRST_DESCRIPTOR`].
    Descriptor(u32),
    /// By its place among those that systemd hands over, from 0.
    Index(u32),
    /// By the name that systemd gives it (`FileDescriptorName=`).
    Name(String),
}

impl Inherited {
    /// Takes the arguments of `fd:` out.
    pub(super) fn descriptor(pieces: &mut Pieces) -> Result<Self, String> {
        let text = pieces.take("fd")?.ok_or("it has no number; write fd:3")?;
        number(&text, FIRST_DESCRIPTOR, DESCRIPTOR_MAX).map(Self::Descriptor).ok_or_else(|| {
            format!("fd {text:?} is not a number from {FIRST_DESCRIPTOR} to {DESCRIPTOR_MAX}")
        })
    }

    /// Takes the arguments of `systemd:` out.
    pub(super) fn systemd(pieces: &mut Pieces) -> Result<Self, String> {
        // Twisted wants to be told what kind of socket it is; here the kernel is asked.
        match pieces.take("domain")?.as_deref() {
            None | Some("INET" | "INET6" | "UNIX") => {}
            Some(domain) => {
                return Err(format!("domain {domain:?} is neither INET, INET6 nor UNIX"));
            }
        }
        let (index, name) = (pieces.take("index")?, pieces.take("name")?);
        match (index, name) {
            (Some(_), Some(_)) => Err("it has an index and a name; one is enough".to_owned()),
            (None, None) => Err("it has no index; write systemd:index=0".to_owned()),
            (Some(index), None) => {
                let most = DESCRIPTOR_MAX - FIRST_DESCRIPTOR;
                number(&index, 0, most)
                    .map(Self::Index)
                    .ok_or_else(|| format!("index {index:?} is not a number from 0 to {most}"))
            }
            (None, Some(name)) => {
                let good = |byte: u8| byte.is_ascii() && !byte.is_ascii_control() && byte != b':';
                if name.is_empty() || name.len() > DESCRIPTOR_NAME_MAX || !name.bytes().all(good) {
                    return Err(format!(
                        "name {name:?} is not 1 to {DESCRIPTOR_NAME_MAX} of ASCII, without colons"
                    ));
                }
                Ok(Self::Name(name))
            }
        }
    }

    /// Its number, where the string tells it.
    pub fn number(&self) -> Option<u32> {
        match self {
            Self::Descriptor(number) => Some(*number),
            Self::Index(index) => Some(FIRST_DESCRIPTOR + index),
            Self::Name(_) => None,
        }
    }

    /// Whether both are one descriptor, as far as the strings tell.
    pub(super) fn is(&self, other: &Self) -> bool {
        self == other || self.number().is_some() && self.number() == other.number()
    }
}

/// The endpoint's kind and how it is named.
impl fmt::Display for Inherited {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Descriptor(number) => write!(out, "fd:{number}"),
            Self::Index(index) => write!(out, "systemd:index={index}"),
            Self::Name(name) => write!(out, "systemd:name={}", Escaped(name)),
        }
    }
}
