//! What is wrong with the arguments, in few lines.

/// The most lines of a message.
const LINES_MAX: usize = 3;

/// clap's message, whose paragraphs are lines here: what is wrong, what would be right, and where
/// there is more.
pub(super) fn told(error: &clap::Error) -> String {
    let message = error.render().to_string();
    let paragraphs = message.split("\n\n").map(|paragraph| {
        let words: Vec<&str> = paragraph.split_whitespace().collect();
        words.join(" ") + "\n"
    });
    paragraphs.filter(|line| line != "\n").take(LINES_MAX).collect()
}
