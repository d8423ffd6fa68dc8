//! The keys `allow` and `deny` of a service: which peers may come.

use std::sync::Arc;

use crate::transport::peers::{Peers, Who};

use super::GRANTED_MAX;
use super::error::Mistakes;
use super::field::{Field, Section};

/// Reads both keys; what is missing keeps nobody out.
pub(super) fn read(section: &mut Section<'_>, mistakes: &mut Mistakes) -> Peers {
    let allow = section.field("allow").map(|field| {
        let nobody = || field.mistake("is empty, so nobody may come; leave it out to allow all");
        match field.list("") {
            Ok(items) if items.is_empty() => mistakes.push(nobody()),
            _ => {}
        }
        read_all(&list(&field, mistakes), mistakes)
    });
    let deny = section.field("deny").map(|field| read_all(&list(&field, mistakes), mistakes));
    Peers { allow, deny: deny.unwrap_or_default() }
}

fn list<'a>(field: &Field<'a>, mistakes: &mut Mistakes) -> Vec<Field<'a>> {
    const WANTED: &str = "a list of networks, such as [\"10.0.0.0/8\", \"unix\"]";
    let mut items = mistakes.keep(field.list(WANTED)).unwrap_or_default();
    if items.len() > GRANTED_MAX {
        mistakes.push(field.mistake(format!("has more than {GRANTED_MAX} entries")));
        items.truncate(1);
    }
    items
}

/// The entries that are right.
fn read_all(items: &[Field<'_>], mistakes: &mut Mistakes) -> Arc<[Who]> {
    let who = |item: &Field<'_>| {
        let text = item.string("a network, such as \"10.0.0.0/8\"")?;
        text.parse::<Who>().map_err(|problem| item.mistake(problem))
    };
    items.iter().filter_map(|item| mistakes.keep(who(item))).collect()
}
