//! The dialogues of `tests/conversations/irc`, replayed against the server alone, cut everywhere.

mod table;
mod world;

use std::path::Path;
use std::thread;

use torsade_guest::testing::conversation::{Conversation, Cut, chunked, replay};

use table::Table;

#[test]
fn every_dialogue_goes_as_told_wherever_it_is_cut() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/conversations/irc");
    let dialogues = Conversation::folder(&folder).unwrap();
    assert!(dialogues.len() > 50, "only {} dialogues were found", dialogues.len());
    let all_go = |play: fn(&Conversation) -> Result<(), String>| {
        let faults: Vec<String> = thread::scope(|scope| {
            let faults_of =
                |part: &[Conversation]| part.iter().filter_map(|it| play(it).err()).collect();
            let parts = dialogues.chunks(dialogues.len().div_ceil(THREADS));
            let threads: Vec<_> =
                parts.map(|part| scope.spawn(move || -> Vec<String> { faults_of(part) })).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    };
    // What goes wrong without cuts is told before those take their time.
    all_go(|dialogue| {
        let mut table = Table::new(&dialogue.config)?;
        replay(dialogue, &mut table, Cut::Never).map(drop).map_err(|fault| fault.to_string())
    });
    all_go(|dialogue| {
        chunked(dialogue, || Table::new(&dialogue.config)).map_err(|fault| fault.to_string())
    });
}

/// How many dialogues are replayed at once.
const THREADS: usize = 4;
