//! Masks: patterns with `*` for anything and `?` for one character (RFC 2812, section 2.5).

/// Bytes of a mask in a channel's lists.
pub(crate) const MASK_BYTES_MAX: usize = 150;

/// Whether a pattern matches a text, whatever the case of ASCII's letters. It takes no more steps
/// than the product of both lengths.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let (mut pattern, mut text) = (pattern.chars(), text.chars());
    // Where to go on with a longer match of the last `*`.
    let mut star = None;
    loop {
        let before = (pattern.clone(), text.clone());
        match (pattern.next(), text.next()) {
            (Some('*'), _) => {
                text = before.1;
                star = Some((pattern.clone(), text.clone()));
            }
            (Some('?'), Some(_)) => {}
            (Some(one), Some(other)) if one.eq_ignore_ascii_case(&other) => {}
            (None, None) => return true,
            _ => {
                let Some((behind, from)) = &mut star else { return false };
                if from.next().is_none() {
                    return false;
                }
                (pattern, text) = (behind.clone(), from.clone());
            }
        }
    }
}

/// A mask with all its parts, `nick!user@host`, where some were left out.
pub(crate) fn complete(mask: &str) -> String {
    match (mask.split_once('!'), mask.split_once('@')) {
        (Some((nick, rest)), _) => match rest.split_once('@') {
            Some((user, host)) => format!("{}!{}@{}", any(nick), any(user), any(host)),
            None => format!("{}!{}@*", any(nick), any(rest)),
        },
        (None, Some((user, host))) => format!("*!{}@{}", any(user), any(host)),
        (None, None) if mask.contains(['.', ':', '/']) => format!("*!*@{mask}"),
        (None, None) => format!("{}!*@*", any(mask)),
    }
}

fn any(part: &str) -> &str {
    if part.is_empty() { "*" } else { part }
}

#[cfg(test)]
mod tests {
    use super::{complete, matches};

    #[test]
    fn stars_match_anything_and_question_marks_one_character() {
        for (pattern, text) in [
            ("*", ""),
            ("a*c", "abbc"),
            ("*!*@*.example", "Al!x@host.EXAMPLE"),
            ("?", "ä"),
            ("**a**", "xxAyy"),
            ("*ab*ab", "abxabab"),
            ("#a", "#A"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("", "a"), ("?", ""), ("a", "ab"), ("*b", "a"), ("a*b*c", "acb")] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn a_mask_made_to_take_long_does_not() {
        let pattern = "*a".repeat(70) + "b";
        assert!(!matches(&pattern, &"a".repeat(500)));
    }

    #[test]
    fn what_is_left_out_of_a_mask_is_anything() {
        assert_eq!(complete("alice"), "alice!*@*");
        assert_eq!(complete("a!b"), "a!b@*");
        assert_eq!(complete("a!b@c"), "a!b@c");
        assert_eq!(complete("b@c"), "*!b@c");
        assert_eq!(complete("@c"), "*!*@c");
        assert_eq!(complete("192.0.2.*"), "*!*@192.0.2.*");
        assert_eq!(complete(""), "*!*@*");
    }
}
