//! What happened, in words.

use torsade::reactor::Seen;

/// What happened, in a line.
pub(crate) fn brief(seen: &Seen) -> String {
    match seen {
        Seen::DataReceived { conn, data } => {
            format!("DataReceived {{ conn: {conn}, {} bytes }}", data.len())
        }
        Seen::Wrote { conn, data } => format!("Wrote {{ conn: {conn}, {} bytes }}", data.len()),
        other => format!("{other:?}"),
    }
}

/// What kind of thing happened.
pub(crate) fn kind(seen: &Seen) -> String {
    match seen {
        Seen::ConnectionLost { code, .. } => format!("ConnectionLost {code}"),
        Seen::Fired { failure: Some(code), .. } => format!("Fired {code}"),
        other => brief(other).split(' ').next().unwrap_or_default().to_owned(),
    }
}
