//! Content codings, and which of them a client takes (RFC 9110, sections 8.4.1 and 12.5.3).

use serde::Deserialize;

use crate::request::Head;

/// A coding in which a file may lie beside the original.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Coding {
    /// Brotli (RFC 7932).
    Br,
    /// gzip (RFC 1952).
    Gzip,
    /// Zstandard (RFC 8878).
    Zstd,
}

impl Coding {
    /// Its name in `Accept-Encoding` and `Content-Encoding`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Br => "br",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// What is behind the name of a file that is coded so.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Br => ".br",
            Self::Gzip => ".gz",
            Self::Zstd => ".zst",
        }
    }
}

/// How many codings there are.
pub(crate) const CODINGS: usize = 3;

/// Codings, each at most once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Codings(u8);

impl Codings {
    /// All there are.
    pub(crate) const ALL: Self = Self((1 << CODINGS) - 1);

    /// Adds one.
    pub(crate) fn insert(&mut self, coding: Coding) {
        self.0 |= 1 << coding as u8;
    }

    /// Whether it is one of them.
    pub(crate) fn has(self, coding: Coding) -> bool {
        self.0 & 1 << coding as u8 != 0
    }
}

/// What a client takes: how much it likes each coding, in thousandths; 0 is not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    codings: [u16; CODINGS],
    /// How much it likes the file as it is, where it says so.
    identity: Option<u16>,
    any: Option<u16>,
}

impl Accepted {
    /// What the request says. One that says nothing gets the file as it is: any coding would be
    /// allowed then, but who says nothing may know none.
    pub fn of(head: Head<'_>) -> Self {
        Self::in_values(head.values("accept-encoding"))
    }

    fn in_values<'a>(values: impl Iterator<Item = &'a [u8]>) -> Self {
        let (mut named, mut identity, mut any) = ([None; CODINGS], None, None);
        let elements = values.flat_map(|value| value.split(|&byte| byte == b','));
        for (name, weight) in elements.filter_map(element) {
            let is = |wanted: &str| name.eq_ignore_ascii_case(wanted.as_bytes());
            // Another name that section 8.4.1.3 wants to be known.
            let alias = if is("x-gzip") { Some(Coding::Gzip) } else { None };
            let known = [Coding::Br, Coding::Gzip, Coding::Zstd];
            let coding = alias.or_else(|| known.into_iter().find(|coding| is(coding.name())));
            match coding {
                Some(coding) => named[coding as usize] = Some(weight),
                None if is("identity") => identity = Some(weight),
                None if name == b"*" => any = Some(weight),
                None => {}
            }
        }
        Self { codings: named.map(|weight| weight.or(any).unwrap_or(0)), identity, any }
    }

    /// Those of the offered codings that are to be tried before the file as it is, the best first;
    /// of two that are liked as much, the one that is offered first.
    pub fn preferred(self, offered: &[Coding]) -> impl Iterator<Item = Coding> {
        let least = self.identity.unwrap_or(0).max(1);
        let weight = move |coding: Coding| self.codings[coding as usize];
        let mut order = [None; CODINGS];
        let liked = offered.iter().filter(|&&coding| weight(coding) >= least).take(CODINGS);
        for (count, &coding) in liked.enumerate() {
            let before = order.iter().flatten().take_while(|&&one| weight(one) >= weight(coding));
            let place = before.count();
            order[place..=count].rotate_right(1);
            order[place] = Some(coding);
        }
        order.into_iter().flatten()
    }

    /// Whether the client takes the file as it is.
    pub fn takes_identity(self) -> bool {
        // It is excluded by its own name, or by `*` where it isn't named.
        self.identity.or(self.any) != Some(0)
    }
}

/// An element of the list: its name and its weight. None for what is empty or malformed.
fn element(text: &[u8]) -> Option<(&[u8], u16)> {
    let mut parts = text.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
    let name = parts.next().filter(|name| !name.is_empty())?;
    let weight = match parts.next() {
        Some([b'q' | b'Q', b'=', value @ ..]) => thousandths(value)?,
        Some(_) => return None,
        None => 1000,
    };
    parts.next().is_none().then_some((name, weight))
}

/// A weight, as `0.8`, in thousandths (section 12.4.2).
fn thousandths(value: &[u8]) -> Option<u16> {
    let (&whole, rest) = value.split_first()?;
    let digits = match rest {
        [] => rest,
        [b'.', digits @ ..] if digits.len() <= 3 => digits,
        _ => return None,
    };
    let mut sum = match whole {
        b'0' => 0,
        b'1' => 1000,
        _ => return None,
    };
    for (&digit, unit) in digits.iter().zip([100, 10, 1]) {
        sum += u16::from(char::from(digit).to_digit(10)? as u8) * unit;
    }
    (sum <= 1000).then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::{Accepted, Coding};

    fn tried(field: &str) -> String {
        let accepted = Accepted::in_values(std::iter::once(field.as_bytes()));
        let offered = [Coding::Br, Coding::Zstd, Coding::Gzip];
        let mut names: Vec<_> = accepted.preferred(&offered).map(Coding::name).collect();
        if accepted.takes_identity() {
            names.push("identity");
        }
        names.join(" ")
    }

    #[test]
    fn codings_are_tried_as_the_client_likes_them() {
        for (field, want) in [
            ("", "identity"),
            ("gzip", "gzip identity"),
            ("GZIP, x", "gzip identity"),
            ("x-gzip", "gzip identity"),
            ("gzip, br", "br gzip identity"),
            ("gzip, deflate, br, zstd", "br zstd gzip identity"),
            ("gzip;q=1.0, br;q=0.5", "gzip br identity"),
            ("zstd;q=0.4,gzip ; q=0.9 , br;Q=0.401", "gzip br zstd identity"),
            ("br;q=0", "identity"),
            ("*", "br zstd gzip identity"),
            ("*;q=0.5, gzip", "gzip br zstd identity"),
            ("br;q=0, *", "zstd gzip identity"),
            ("gzip;q=0.5, identity", "identity"),
            ("gzip;q=0.5, identity;q=0.5", "gzip identity"),
            ("gzip;q=0.5, identity;q=0.2", "gzip identity"),
            ("gzip, identity;q=0", "gzip"),
            ("identity;q=0", ""),
            ("*;q=0", ""),
            ("*;q=0, identity;q=0.1", "identity"),
            ("gzip, *;q=0", "gzip"),
            // Elements that are malformed are nothing.
            ("gzip;q=2, br;q=0.1234, zstd;q=x", "identity"),
            ("gzip;level=1, br;q=1;q=1, ;q=1, ,", "identity"),
            ("gzip;q=1.001, br;q=1.000", "br identity"),
        ] {
            assert_eq!(tried(field), want, "{field}");
        }
    }

    #[test]
    fn several_fields_are_one_list() {
        let fields = [&b"gzip;q=0.5"[..], b"br"];
        let accepted = Accepted::in_values(fields.into_iter());
        let order: Vec<_> = accepted.preferred(&[Coding::Gzip, Coding::Br]).collect();
        assert_eq!(order, [Coding::Br, Coding::Gzip]);
    }
}
