//! `torsade.toml`: nothing in it is too much for the reader, and mistakes lie within the file.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use torsade::config;

fuzz_target!(|bytes: &[u8]| {
    // Nothing is there, so that what is found depends on the bytes alone.
    let file = Path::new("/nowhere/torsade.toml");
    let first = config::parse(file, bytes);
    let Err(error) = &first else { return };
    let shown = error.to_string();
    assert_eq!(config::parse(file, bytes), first, "the second time it is another mistake");
    assert!(!shown.is_empty(), "it is wrong, and nobody says why");
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.split('\n').collect();
    for mistake in shown.lines().filter_map(|line| line.strip_prefix("/nowhere/torsade.toml:")) {
        let mut numbers = mistake.split(':').map_while(|word| word.parse::<usize>().ok());
        let (Some(line), Some(column)) = (numbers.next(), numbers.next()) else { continue };
        let found = lines.get(line - 1).unwrap_or_else(|| panic!("there is no line {line}"));
        assert!(column <= found.chars().count() + 1, "line {line} has no column {column}");
    }
});
