//! The dialogues in `conversations/`, with the plugin as it is, uncut and cut at every place.

use std::path::Path;

use template_line::component::Server;
use torsade_guest::testing::conversations;

#[test]
fn conversations_go_as_told() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("conversations");
    if let Err(fault) = conversations::<Server>(&folder) {
        panic!("{fault}");
    }
}
