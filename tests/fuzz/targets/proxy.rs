//! The PROXY header: whatever was found at some byte, no later byte changes it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use torsade::transport::proxy::{HEADER_MAX, parse};

fuzz_target!(|bytes: &[u8]| {
    let mut before = Ok(None);
    for length in (0..=bytes.len()).filter(|length| *length <= 300 || *length == bytes.len()) {
        let found = parse(&bytes[..length]);
        match (&before, &found) {
            (Ok(None), Ok(None)) => assert!(length < HEADER_MAX, "{length} bytes are no header"),
            (Ok(None), Ok(Some(header))) => {
                assert!(header.length <= length, "{header:?} of {length} bytes");
                assert!(length > 300 || header.length == length, "{header:?} came late");
            }
            (Ok(None), Err(_)) => {}
            _ => assert_eq!(found, before, "of {length} bytes"),
        }
        before = found;
    }
    if let Ok(Some(header)) = before {
        assert_eq!(parse(&bytes[..header.length]), Ok(Some(header.clone())));
        assert_eq!(parse(&bytes[..header.length - 1]), Ok(None));
    }
});
