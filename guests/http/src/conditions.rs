//! Conditional requests (RFC 9110, section 13).

use crate::date;
use crate::request::{Field, Head, Method};
use crate::status::Status;

/// What tells one state of a file from another.
#[derive(Clone, Copy, Debug)]
pub struct Validators<'a> {
    /// The strong entity tag, with its quotes.
    pub tag: &'a [u8],
    /// When the file was last changed, in seconds since 1970.
    pub modified: i64,
}

/// The status that a request's conditions ask for instead of the file; none where the file
/// is to be sent. In the order of section 13.2.2.
pub fn check(head: Head<'_>, current: Validators<'_>) -> Option<Status> {
    let outline = head.outline();
    let is_read = matches!(outline.method, Method::Get | Method::Head);
    if outline.has(Field::IfMatch) {
        if !lists_tag(head, Field::IfMatch, current.tag, Comparison::Strong) {
            return Some(Status::PreconditionFailed);
        }
    } else if moment(head, Field::IfUnmodifiedSince).is_some_and(|since| current.modified > since) {
        return Some(Status::PreconditionFailed);
    }
    if outline.has(Field::IfNoneMatch) {
        let is_listed = lists_tag(head, Field::IfNoneMatch, current.tag, Comparison::Weak);
        return is_listed.then_some(if is_read {
            Status::NotModified
        } else {
            Status::PreconditionFailed
        });
    }
    let is_unchanged =
        moment(head, Field::IfModifiedSince).is_some_and(|since| current.modified <= since);
    (is_read && is_unchanged).then_some(Status::NotModified)
}

/// Whether a range still means what the client thinks (section 13.1.5). `now` is in seconds
/// since 1970.
pub fn range_holds(head: Head<'_>, current: Validators<'_>, now: i64) -> bool {
    if !head.outline().has(Field::IfRange) {
        return true;
    }
    match head.only(Field::IfRange) {
        Some(value) if value.first() == Some(&b'"') => value == current.tag,
        // A date tells two states apart only when none can follow within its second.
        Some(value) => date::parse(value) == Some(current.modified) && current.modified < now,
        None => false,
    }
}

fn moment(head: Head<'_>, field: Field) -> Option<i64> {
    date::parse(head.only(field)?)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Strong,
    Weak,
}

fn lists_tag(head: Head<'_>, field: Field, tag: &[u8], comparison: Comparison) -> bool {
    head.values_of(field).any(|value| value == b"*" || list_has(value, tag, comparison))
}

/// Whether a list of entity tags has this one. What is not a tag ends the list.
fn list_has(mut list: &[u8], tag: &[u8], comparison: Comparison) -> bool {
    loop {
        let start = list.iter().position(|&byte| !b" \t,".contains(&byte));
        let Some(start) = start else { return false };
        list = &list[start..];
        let opaque = list.strip_prefix(b"W/");
        let is_weak = opaque.is_some();
        let opaque = opaque.unwrap_or(list);
        let Some(rest) = opaque.strip_prefix(b"\"") else { return false };
        let Some(end) = memchr::memchr(b'"', rest) else { return false };
        let (found, rest) = opaque.split_at(end + 2);
        if found == tag && !(is_weak && comparison == Comparison::Strong) {
            return true;
        }
        list = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::{Comparison, list_has};

    #[test]
    fn lists_of_tags() {
        for (list, strong, weak) in [
            (r#""x""#, true, true),
            (r#"W/"x""#, false, true),
            (r#""a", "x""#, true, true),
            (r#""a,b" ,, "x""#, true, true),
            (r#"W/"a", "b","x""#, true, true),
            (r#""a""#, false, false),
            (r#"x"#, false, false),
            (r#""x"#, false, false),
            (r#"w/"x""#, false, false),
            (r#"junk, "x""#, false, false),
            ("", false, false),
            (r#""""#, false, false),
        ] {
            let has = |comparison| list_has(list.as_bytes(), br#""x""#, comparison);
            assert_eq!((has(Comparison::Strong), has(Comparison::Weak)), (strong, weak), "{list}");
        }
    }
}
