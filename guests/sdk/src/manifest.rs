//! What a plugin says of itself, in a custom section that can be read without running it.
//! `wit/README.md` has the format.

/// The most that a manifest may have, in bytes: what the host reads.
pub const MANIFEST_BYTES: usize = 64 * 1024;

/// The schema of a configuration that is none.
pub const NO_CONFIG: &str = r#"{"type":"object","additionalProperties":false}"#;

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

/// How many bytes some texts have, all together.
pub const fn length(parts: &[&str]) -> usize {
    let (mut length, mut at) = (0, 0);
    while at < parts.len() {
        length += parts[at].len();
        at += 1;
    }
    length
}

/// The bytes of some texts, one behind the other, as a static needs them to be a section's whole
/// content. `N` is their [`length`].
pub const fn joined<const N: usize>(parts: &[&str]) -> [u8; N] {
    let mut joined = [0; N];
    let mut rest: &mut [u8] = &mut joined;
    let mut at = 0;
    while at < parts.len() {
        let (part, behind) = rest.split_at_mut(parts[at].len());
        part.copy_from_slice(parts[at].as_bytes());
        (rest, at) = (behind, at + 1);
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::{is_plain, joined, length};

    #[test]
    fn what_json_escapes_is_not_plain() {
        assert!(is_plain("Apache-2.0 OR MIT"));
        assert!(!is_plain("a \"b\""));
        assert!(!is_plain("a\\b"));
        assert!(!is_plain("a\nb"));
    }

    #[test]
    fn texts_become_their_bytes() {
        const PARTS: [&str; 3] = ["ab", "", "c"];
        assert_eq!(joined::<{ length(&PARTS) }>(&PARTS), *b"abc");
    }

    /// What `export!` makes of a list, which is written by hand there.
    #[test]
    fn a_manifest_is_json() {
        let lists = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        let of = |text: &str, key: &str| lists(text)[key].clone();
        let none = crate::manifest_words!([] []);
        let one = crate::manifest_words!(["a"]["sql"]);
        let more = crate::manifest_words!(["a", "b/1", "c"] ["sql", "files"]);
        let whole = |words: &str| format!("{words}false}}");
        assert_eq!(of(&whole(none), "serves"), serde_json::json!([]));
        assert_eq!(of(&whole(one), "serves"), serde_json::json!(["a"]));
        assert_eq!(of(&whole(more), "serves"), serde_json::json!(["a", "b/1", "c"]));
        assert_eq!(of(&whole(more), "optional-imports"), serde_json::json!(["sql", "files"]));
        assert_eq!(of(&whole(more), "name"), "torsade-guest");
        assert_eq!(of(&whole(more), "manifest"), 1);
    }
}
