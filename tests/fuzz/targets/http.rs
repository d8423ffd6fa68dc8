//! The server of files: the same answers wherever its input is cut.

#![no_main]

#[path = "../../../guests/http/tests/it/server.rs"]
#[expect(dead_code, reason = "the tests let time pass, too")]
mod server;

use libfuzzer_sys::fuzz_target;
use server::Server;
use torsade_fuzz::cuts;

fuzz_target!(|stream: &[u8]| {
    for config in CONFIGS {
        let whole = serve(config, &[stream]);
        for pieces in cuts(stream) {
            let cut = serve(config, &pieces);
            assert_eq!(cut.asked, whole.asked, "{pieces:?}");
            assert_eq!(cut.out.escape_ascii().to_string(), whole.out.escape_ascii().to_string());
            assert_eq!(cut.is_closed, whole.is_closed, "{pieces:?}");
        }
    }
});

/// Without any rules, and with all kinds of them.
const CONFIGS: [&str; 2] = [
    r#"{"listing": true, "max-body": 100}"#,
    r#"{
        "precompressed": ["br", "zstd", "gzip"],
        "cache-control": [{"path": "/**/*.html", "value": "no-cache"}],
        "error-pages": {"404": "error.html", "405": "error.html", "421": "none.html"},
        "redirects": [{"from": "/old/**", "to": "/{rest}"}],
        "hosts": {"a": {}, "*.a": {"root": "docs"}, "[::1]": {}}
    }"#,
];

fn serve(config: &str, pieces: &[&[u8]]) -> Server {
    let mut server = Server::new(config);
    for piece in pieces {
        server.receive(piece);
    }
    server
}
