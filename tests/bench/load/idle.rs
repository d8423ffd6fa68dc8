//! Keep-alive connections that ask once and then do nothing.

use std::io::{Read, Write};
use std::path::Path;

use anyhow::{Result, ensure};
use torsade_tests::{http, tls};

use super::{GO, dial};

/// A connection that is kept.
trait Kept: Read + Write {}

impl<S: Read + Write> Kept for S {}

/// Opens `warm` connections, prints `GO`, waits for a line; opens `count` more, prints
/// `GO` again, and keeps all of them until the next line, or the end of its input. They are
/// encrypted where there is somebody to trust.
pub(crate) fn run(
    port: u16,
    warm: usize,
    count: usize,
    path: &str,
    authority: Option<&Path>,
) -> Result<()> {
    let config = authority.map(tls::trusting).transpose()?;
    let connect = |nth| -> Result<Box<dyn Kept>> {
        let stream = dial(port, nth)?;
        Ok(match &config {
            None => Box::new(stream),
            Some(config) => Box::new(tls::begin(config, stream)?),
        })
    };
    let mut kept = Vec::with_capacity(warm + count);
    for until in [warm, warm + count] {
        while kept.len() < until {
            let mut stream = connect(kept.len())?;
            let answer = http::ask(&mut stream, path)?;
            ensure!(answer.keeps_alive, "the server does not keep connection {} alive", kept.len());
            kept.push(stream);
        }
        println!("{GO}");
        std::io::stdin().read_line(&mut String::new())?;
    }
    Ok(())
}
