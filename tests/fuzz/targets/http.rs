//! The server of files: the same answers wherever its input is cut.

#![no_main]

#[path = "../../../guests/http/tests/it/server.rs"]
#[expect(dead_code, reason = "the tests let time pass, too")]
mod server;

use libfuzzer_sys::fuzz_target;
use server::Server;
use torsade_fuzz::cuts;

fuzz_target!(|stream: &[u8]| {
    let whole = serve(&[stream]);
    for pieces in cuts(stream) {
        let cut = serve(&pieces);
        assert_eq!(cut.asked, whole.asked, "{pieces:?}");
        assert_eq!(cut.out.escape_ascii().to_string(), whole.out.escape_ascii().to_string());
        assert_eq!(cut.is_closed, whole.is_closed, "{pieces:?}");
    }
});

fn serve(pieces: &[&[u8]]) -> Server {
    let mut server = Server::new(r#"{"listing": true, "max-body": 100}"#);
    for piece in pieces {
        server.receive(piece);
    }
    server
}
