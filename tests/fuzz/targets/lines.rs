//! The SDK's framer: lines are the same wherever the stream is cut, and it holds no more than a
//! line.

#![no_main]

use libfuzzer_sys::fuzz_target;
use torsade_fuzz::cuts;
use torsade_guest::{Line, LineReceiver};

fuzz_target!(|stream: &[u8]| {
    let whole = lines(&[stream]);
    for pieces in cuts(stream) {
        assert_eq!(lines(&pieces), whole, "{pieces:?}");
    }
});

fn lines(pieces: &[&[u8]]) -> Vec<Line> {
    let mut receiver = LineReceiver::new(MOST);
    let mut lines = Vec::new();
    for piece in pieces {
        receiver.extend(piece);
        lines.extend(&mut receiver);
        assert!(receiver.len() <= MOST + 1, "it holds {} bytes", receiver.len());
    }
    lines
}

const MOST: usize = 20;
