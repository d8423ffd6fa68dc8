//! The client's side of SCRAM-SHA-256 (RFC 7677), for tests that log in.

use std::num::NonZeroU32;

use anyhow::{Context, Result, ensure};
use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A client that has said its first message.
pub struct Client {
    bare: String,
    password: Vec<u8>,
    /// What the server has to prove, once the client has proved its own.
    wanted: Vec<u8>,
}

impl Client {
    /// The client, and its first message.
    pub fn new(name: &str, password: &[u8]) -> (Self, Vec<u8>) {
        let bare = format!("n={},r=fyko+d2lbbFgONRv9qkxdawL", name.replace('=', "=3D"));
        let first = format!("n,,{bare}").into_bytes();
        (Self { bare, password: password.to_owned(), wanted: Vec::new() }, first)
    }

    /// Its second message, for what the server said to the first.
    pub fn prove(&mut self, challenge: &[u8]) -> Result<Vec<u8>> {
        let challenge = std::str::from_utf8(challenge)?;
        let part = |key: &str| {
            let found = challenge.split(',').find_map(|part| part.strip_prefix(key));
            found.with_context(|| format!("{challenge} has no {key}"))
        };
        let (salt, nonce) = (STANDARD.decode(part("s=")?)?, part("r=")?);
        let iterations: NonZeroU32 = part("i=")?.parse()?;
        let mut salted = [0; 32];
        let algorithm = pbkdf2::PBKDF2_HMAC_SHA256;
        pbkdf2::derive(algorithm, iterations, &salt, &self.password, &mut salted);
        let key = mac(&salted, b"Client Key");
        let stored = digest::digest(&digest::SHA256, &key);
        let last = format!("c=biws,r={nonce}");
        let about = format!("{},{challenge},{last}", self.bare);
        let signature = mac(stored.as_ref(), about.as_bytes());
        let proof: Vec<u8> = key.iter().zip(signature).map(|(key, other)| key ^ other).collect();
        let server = mac(&mac(&salted, b"Server Key"), about.as_bytes());
        self.wanted = format!("v={}", STANDARD.encode(server)).into_bytes();
        Ok(format!("{last},p={}", STANDARD.encode(proof)).into_bytes())
    }

    /// Whether the server knows the user, too.
    pub fn check(&self, proof: &[u8]) -> Result<()> {
        ensure!(proof == self.wanted, "the server does not know the user");
        Ok(())
    }
}

/// Bytes in hexadecimal, as the tests' plugin for logins takes them.
pub fn to_hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes again.
pub fn from_hexadecimal(text: &str) -> Result<Vec<u8>> {
    let pair =
        |at: usize| Ok(u8::from_str_radix(text.get(at..at + 2).context("half a byte")?, 16)?);
    (0..text.len()).step_by(2).map(pair).collect()
}

fn mac(key: &[u8], data: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data).as_ref().to_vec()
}
