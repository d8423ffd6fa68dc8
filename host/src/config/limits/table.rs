//! The table of limits: what is said of each, once, and all that follows from it.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::super::error::Mistakes;
use super::super::field::Section;
use super::super::keys::{self, Key, NAME, Without};
use super::kinds::Kind;

/// A limit, as the configuration has it and as it is for one service.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Limit {
    /// Its key in `limits`.
    pub key: &'static str,
    /// What it is for the service: `16MiB`, `none`.
    pub value: String,
    /// Where that comes from.
    pub source: Source,
}

/// Where a limit's value comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Source {
    /// Nothing was said.
    Default,
    /// A line of the configuration, counted from 1.
    Line(usize),
}

/// The lines of the configuration on which a service's limits stand, by their keys.
pub type LimitLines = BTreeMap<&'static str, usize>;

/// Makes a struct of limits from a row for each: words, field, key, kind with range, default. A
/// limit without a default is one that there may not be.
macro_rules! limits {
    (@value Size) => { usize };
    (@value Count) => { usize };
    (@value Time) => { Duration };
    (@value Part) => { Share };
    (@held $kind:ident $default:expr) => { limits!(@value $kind) };
    (@held $kind:ident) => { Option<limits!(@value $kind)> };
    (@default $default:expr) => { $default };
    (@default) => { None };
    (
        $(#[$attribute:meta])*
        pub struct $name:ident {
            $(
                $(#[doc = $words:literal])+
                $field:ident $key:literal $kind:ident($range:expr) $(= $default:expr)?;
            )+
        }
    ) => {
        $(#[$attribute])*
        pub struct $name {
            $( $(#[doc = $words])+ pub $field: limits!(@held $kind $($default)?), )+
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $( $field: limits!(@default $($default)?), )+ }
            }
        }

        impl $name {
            /// All of them, in the order of the documentation. `lines` says where they stand.
            pub fn list(&self, lines: &LimitLines) -> Vec<Limit> {
                vec![$( Limit {
                    key: $key,
                    value: table::show::<$kind>(self.$field),
                    source: lines.get($key).map_or(Source::Default, |line| Source::Line(*line)),
                } ),+]
            }

            /// What is said of each.
            pub(super) fn keys() -> Vec<Key> {
                let default = Self::default();
                vec![$( table::key::<$kind>(
                    $key,
                    &[$( $words ),+],
                    $range,
                    default.$field,
                ) ),+]
            }

            /// Each that is missing or wrong is the default.
            fn read_section(
                section: &mut Section<'_>,
                lines: &mut LimitLines,
                mistakes: &mut Mistakes,
            ) -> Self {
                let default = Self::default();
                Self { $(
                    $field: table::or(
                        table::read::<$kind>(section, $key, $range, lines, mistakes),
                        default.$field,
                    ),
                )+ }
            }
        }
    };
}

pub(super) use limits;

pub(super) fn read<K: Kind>(
    section: &mut Section<'_>,
    key: &'static str,
    range: RangeInclusive<K::Value>,
    lines: &mut LimitLines,
    mistakes: &mut Mistakes,
) -> Option<K::Value> {
    let field = section.field(key)?;
    lines.insert(key, field.line());
    mistakes.keep(K::read(&field, range))
}

pub(super) fn or<V, H: From<V>>(value: Option<V>, default: H) -> H {
    value.map_or(default, H::from)
}

pub(super) fn show<K: Kind>(value: impl Into<Option<K::Value>>) -> String {
    value.into().map_or_else(|| "none".to_owned(), K::show)
}

pub(super) fn key<K: Kind>(
    key: &str,
    words: &[&str],
    range: RangeInclusive<K::Value>,
    default: impl Into<Option<K::Value>>,
) -> Key {
    let default = default.into().map(K::toml);
    Key {
        path: format!("service.{NAME}.limits.{key}"),
        words: keys::words(words),
        form: K::form(range),
        example: default.clone().unwrap_or_else(|| K::EXAMPLE.to_owned()),
        without: default.map_or(Without::Means("none"), Without::Is),
    }
}
