//! The forms that browsers send, and the queries of targets: `application/x-www-form-urlencoded`,
//! as the URL Standard parses it (section 5.1), but that what isn't UTF-8 is refused.

use std::borrow::Cow;

use percent_encoding::percent_decode;

/// The value of the first field of this name; none where there is no such field.
///
/// # Errors
/// [`NotUtf8`] where a name or the value can't be read.
pub fn value(form: &[u8], name: &str) -> Result<Option<String>, NotUtf8> {
    for pair in form.split(|&byte| byte == b'&') {
        let mut halves = pair.splitn(2, |&byte| byte == b'=');
        if decode(halves.next().unwrap_or_default())? == name {
            return decode(halves.next().unwrap_or_default()).map(Some);
        }
    }
    Ok(None)
}

/// A name or a value is not UTF-8.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NotUtf8;

fn decode(text: &[u8]) -> Result<String, NotUtf8> {
    let spaced: Vec<u8> = text.iter().map(|&byte| if byte == b'+' { b' ' } else { byte }).collect();
    percent_decode(&spaced).decode_utf8().map(Cow::into_owned).map_err(|_| NotUtf8)
}

#[cfg(test)]
mod tests {
    use super::{NotUtf8, value};

    #[test]
    fn values_are_decoded() {
        for (form, text) in [
            ("text=hello", "hello"),
            ("name=x&text=a+b%20c%2Bd", "a b c+d"),
            ("text=%C3%A4%F0%9F%8E%88", "\u{e4}\u{1f388}"),
            ("text=a=b&text=c", "a=b"),
            ("te%78t=100%&x", "100%"),
            ("&&text&", ""),
        ] {
            assert_eq!(value(form.as_bytes(), "text"), Ok(Some(text.into())), "{form}");
        }
    }

    #[test]
    fn what_is_missing_is_none() {
        for form in ["", "name=text", "Text=a", "=text"] {
            assert_eq!(value(form.as_bytes(), "text"), Ok(None), "{form}");
        }
    }

    #[test]
    fn what_is_not_utf_8_is_refused() {
        for form in [&b"text=\xff"[..], b"text=%FF", b"%C3=a&text=b"] {
            assert_eq!(value(form, "text"), Err(NotUtf8), "{}", form.escape_ascii());
        }
    }
}
