//! What a plugin says of itself, in a custom section that can be read without running it.

/// Whether a text can stand in a JSON string as it is.
///
/// For [`export!`](crate::export), which puts Cargo's words into the manifest as it compiles.
pub const fn is_plain(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b'"' || bytes[at] == b'\\' || bytes[at] < b' ' {
            return false;
        }
        at += 1;
    }
    true
}

/// The bytes of a text, as a static needs them to be a section's whole content.
pub const fn bytes<const N: usize>(text: &str) -> [u8; N] {
    *text.as_bytes().first_chunk().expect("N is the text's length")
}

#[cfg(test)]
mod tests {
    use super::{bytes, is_plain};

    #[test]
    fn what_json_escapes_is_not_plain() {
        assert!(is_plain("Apache-2.0 OR MIT"));
        assert!(!is_plain("a \"b\""));
        assert!(!is_plain("a\\b"));
        assert!(!is_plain("a\nb"));
    }

    #[test]
    fn a_text_becomes_its_bytes() {
        assert_eq!(bytes::<3>("abc"), *b"abc");
    }
}
