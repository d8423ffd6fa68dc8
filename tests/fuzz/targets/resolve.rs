//! The resolver's conversation: the same lines wherever its input is cut, and whatever order the
//! answers come in.

#![no_main]

use libfuzzer_sys::fuzz_target;
use torsade_fuzz::{Numbers, cuts};
use torsade_resolve::conversation::{Conversation, PIPELINE_MAX, Question};

fuzz_target!(|stream: &[u8]| {
    let whole = converse(&[stream], &mut Numbers::of(b""));
    for pieces in cuts(stream) {
        let cut = converse(&pieces, &mut Numbers::of(stream));
        assert_eq!(cut, whole, "{pieces:?}");
    }
});

/// All that is said to these pieces.
fn converse(pieces: &[&[u8]], numbers: &mut Numbers) -> String {
    let (mut conversation, mut open) = (Conversation::default(), Vec::new());
    let mut said = String::new();
    for piece in pieces {
        conversation.received(piece);
        ask(&mut conversation, &mut open);
        // While it is full the host delivers nothing.
        while conversation.is_full() || numbers.below(2) == 0 && !open.is_empty() {
            answer(&mut conversation, &mut open, numbers, &mut said);
        }
    }
    conversation.ended();
    ask(&mut conversation, &mut open);
    while !open.is_empty() {
        answer(&mut conversation, &mut open, numbers, &mut said);
    }
    said.push_str(&conversation.take_answers());
    assert!(conversation.is_over(), "there is nothing left to answer: {conversation:?}");
    said
}

fn ask(conversation: &mut Conversation, open: &mut Vec<Question>) {
    open.extend(std::iter::from_fn(|| conversation.next_question()));
    assert!(open.len() <= PIPELINE_MAX, "{} questions are asked", open.len());
}

/// Answers one of the questions, and asks what may be asked then.
fn answer(
    conversation: &mut Conversation,
    open: &mut Vec<Question>,
    numbers: &mut Numbers,
    said: &mut String,
) {
    if !open.is_empty() {
        let question = open.swap_remove(numbers.below(open.len()));
        conversation.answered(question.number, question.name);
    }
    said.push_str(&conversation.take_answers());
    ask(conversation, open);
}
