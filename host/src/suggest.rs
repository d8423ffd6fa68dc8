//! What somebody may have meant: of the names that there are, the one that is nearest to another.

/// The name that was meant, if any is near enough.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Longer names can't be close to any other, and comparing takes their length squared.
    let short = |name: &str| name.len() <= SHOWN;
    let near = |key: &'a str| {
        let typos = strsim::damerau_levenshtein(name, key);
        (typos <= TYPOS_MAX.min(key.len() / 2)).then_some((typos, key))
    };
    let known = known.into_iter().filter(|key| short(name) && short(key));
    known.filter_map(near).min_by_key(|(typos, _)| *typos).map(|(_, key)| key)
}

/// Says that a table has a key that is none of the known ones, and which was meant.
pub(crate) fn unknown_key(name: &str, known: &[&str]) -> String {
    let shown: String = name.chars().take(SHOWN).collect();
    if known.is_empty() {
        return format!("unknown key {shown:?}; there are no keys here");
    }
    let meant = nearest(name, known.iter().copied());
    let meant = meant.map_or(String::new(), |key| format!("did you mean {key}? "));
    format!("unknown key {shown:?}; {meant}known here: {}", known.join(", "))
}

/// How many single letters may be wrong in a name for another to be what was meant.
const TYPOS_MAX: usize = 3;

/// The longest name that is compared, in bytes, and how many characters of one are shown.
const SHOWN: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_near_was_meant() {
        let known = ["listen", "limits", "tls"];
        assert_eq!(nearest("lisetn", known), Some("listen"));
        assert_eq!(nearest("tsl", known), Some("tls"));
        assert_eq!(nearest("xyz", known), None);
        assert_eq!(nearest(&"l".repeat(1 << 20), known), None);
    }

    #[test]
    fn an_unknown_key_is_told_with_the_known_ones() {
        let told = unknown_key("lisetn", &["listen", "tls"]);
        assert_eq!(told, "unknown key \"lisetn\"; did you mean listen? known here: listen, tls");
        assert_eq!(unknown_key("a", &[]), "unknown key \"a\"; there are no keys here");
    }
}
