//! What plugins say, made fit for a log and a terminal that others read, too.

/// The first `most` bytes of a plugin's words, on one line: what would begin another, or control a
/// terminal, is escaped, and then it is longer.
pub(super) fn plain(mut words: String, most: usize) -> String {
    words.truncate(words.floor_char_boundary(most));
    if !words.contains(controls) {
        return words;
    }
    let mut plain = String::with_capacity(words.len() + 16);
    for character in words.chars() {
        if controls(character) {
            plain.extend(character.escape_default());
        } else {
            plain.push(character);
        }
    }
    plain
}

/// Also the marks that have text written from the right, in which what is read is not what is
/// written.
fn controls(character: char) -> bool {
    let is_mark = matches!(character, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    character != '\t' && (character.is_control() || is_mark)
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn words_stay_on_their_line() {
        for (words, shown) in [
            ("all is well", "all is well"),
            ("größer\tals", "größer\tals"),
            ("one\nERROR two\r", "one\\nERROR two\\r"),
            ("\x1b[2J\u{9b}1m\0", "\\u{1b}[2J\\u{9b}1m\\u{0}"),
            ("\u{202e}evil", "\\u{202e}evil"),
        ] {
            assert_eq!(plain(words.to_owned(), 100), shown);
        }
        assert_eq!(plain("größer".to_owned(), 3), "gr");
    }
}
