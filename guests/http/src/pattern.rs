//! Patterns of paths, as the configuration writes them: `/assets/**`, `/*.html`.
//!
//! A pattern begins with `/` and is compared with a decoded path, part by part, in the case of
//! its letters. In a part, `*` stands for any number of characters, also none. A part that is `**`
//! stands for any number of parts, also none; a pattern has one at most. A slash at the end of
//! either makes no difference.

/// A pattern of paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// The parts before `**`, or all.
    before: Vec<Box<str>>,
    /// The parts behind `**`; none where there is no `**`.
    after: Option<Vec<Box<str>>>,
}

impl Pattern {
    /// Reads a pattern; says what is wrong with it, if anything.
    pub fn new(text: &str) -> Result<Self, String> {
        let wrong = |what: &str| Err(format!("`{text}` {what}"));
        let Some(parts) = text.strip_prefix('/') else {
            return wrong("has to begin with `/`");
        };
        if text.len() > MAX_PATTERN {
            return wrong("is too long: a pattern has at most 255 bytes");
        }
        let (mut before, mut after) = (Vec::new(), None);
        for part in parts.strip_suffix('/').unwrap_or(parts).split('/') {
            match (part, &mut after) {
                // The root alone: `/`, `/**` has it, too.
                ("", None) if parts.is_empty() => {}
                ("" | "." | "..", _) => return wrong("has a part that no path has"),
                ("**", Some(_)) => return wrong("has more than one `**`"),
                ("**", None) => after = Some(Vec::new()),
                _ if part.contains("**") => return wrong("has `**` beside other characters"),
                _ if part.contains(['\\', '\0']) => return wrong("has a character no path has"),
                (_, None) => before.push(part.into()),
                (_, Some(after)) => after.push(part.into()),
            }
        }
        Ok(Self { before, after })
    }

    /// Whether it has a `**`.
    pub fn has_rest(&self) -> bool {
        self.after.is_some()
    }

    /// What `**` stands for in a path that has no slashes at its ends, also none inside that
    /// follow each other; nothing where there is no `**`. None where the path doesn't match.
    pub fn matches<'a>(&self, path: &'a str) -> Option<&'a str> {
        let mut rest = path;
        for pattern in &self.before {
            let (part, behind) = rest.split_once('/').unwrap_or((rest, ""));
            if rest.is_empty() || !matches_part(pattern, part) {
                return None;
            }
            rest = behind;
        }
        for pattern in self.after.iter().flatten().rev() {
            let (ahead, part) = rest.rsplit_once('/').unwrap_or(("", rest));
            if rest.is_empty() || !matches_part(pattern, part) {
                return None;
            }
            rest = ahead;
        }
        (self.has_rest() || rest.is_empty()).then_some(rest)
    }
}

/// Compares a part of a path, in which `*` is any number of characters.
fn matches_part(pattern: &str, part: &str) -> bool {
    let (mut pattern, mut part) = (pattern.as_bytes(), part.as_bytes());
    // What follows the last `*`, and what it had not taken yet when it was tried last.
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        match (pattern, part) {
            ([b'*', after @ ..], _) => {
                retry = Some((after, part));
                pattern = after;
            }
            ([wanted, after @ ..], [found, rest @ ..]) if wanted == found => {
                (pattern, part) = (after, rest);
            }
            ([], []) => return true,
            _ => match retry {
                Some((after, [_, rest @ ..])) => {
                    retry = Some((after, rest));
                    (pattern, part) = (after, rest);
                }
                _ => return false,
            },
        }
    }
}

/// The longest pattern, in bytes: comparing takes at most the product of its length and the path's.
const MAX_PATTERN: usize = 255;

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn patterns_match_part_by_part() {
        for (pattern, path, want) in [
            ("/", "", Some("")),
            ("/", "a", None),
            ("/a", "a", Some("")),
            ("/a/", "a", Some("")),
            ("/a", "A", None),
            ("/a", "a/b", None),
            ("/a", "", None),
            ("/*", "a", Some("")),
            ("/*", "", None),
            ("/*", "a/b", None),
            ("/*.html", "x.html", Some("")),
            ("/*.html", ".html", Some("")),
            ("/*.html", "x.htm", None),
            ("/*.html", "a/x.html", None),
            ("/a*b*c", "a-bb-c", Some("")),
            ("/a*b*c", "abc", Some("")),
            ("/a*b*c", "acb", None),
            ("/*ab", "aab", Some("")),
            ("/**", "", Some("")),
            ("/**", "a/b", Some("a/b")),
            ("/a/**", "a", Some("")),
            ("/a/**", "a/b/c", Some("b/c")),
            ("/a/**", "ab", None),
            ("/a/**", "ab/c", None),
            ("/**/*.js", "x.js", Some("")),
            ("/**/*.js", "a/b/x.js", Some("a/b")),
            ("/**/*.js", "a/b/x.jsx", None),
            ("/a/**/b", "a/b", Some("")),
            ("/a/**/b", "a/x/y/b", Some("x/y")),
            // No part is two.
            ("/a/**/a", "a", None),
            ("/\u{e4}*", "\u{e4}\u{f6}", Some("")),
        ] {
            let found = Pattern::new(pattern).unwrap().matches(path).map(str::to_owned);
            assert_eq!(found.as_deref(), want, "{pattern} {path}");
        }
    }

    #[test]
    fn patterns_that_match_nothing_are_refused() {
        for pattern in
            ["", "a", "*", "//", "/a//b", "/a/../b", "/.", "/**/a/**", "/a**", "/***", "/a\\b"]
        {
            assert!(Pattern::new(pattern).is_err(), "{pattern}");
        }
        assert!(Pattern::new(&format!("/{}", "a".repeat(254))).is_ok());
        assert!(Pattern::new(&format!("/{}", "a".repeat(255))).is_err());
    }

    #[test]
    fn no_path_makes_a_comparison_long() {
        let pattern = Pattern::new(&format!("/{}b", "*a".repeat(120))).unwrap();
        assert_eq!(pattern.matches(&"a".repeat(255)), None);
    }
}
