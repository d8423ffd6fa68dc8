//! Passwords that can't be read back: argon2id (RFC 9106), written as PHC strings.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use argon2::{Algorithm, Argon2, Block, Params, PasswordHash, Version};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use crate::capability::Failure;

/// The hash of a password, with what it was made by.
#[derive(Clone, PartialEq)]
pub(super) struct Hash {
    params: Params,
    salt: Vec<u8>,
    output: Vec<u8>,
}

/// The memory that hashes are computed in: as much as is computed at once, used again and again.
/// Given back each time, such large pieces would leave an allocator several times as much.
#[derive(Default)]
pub struct Memory(Mutex<Vec<Vec<Block>>>);

impl Memory {
    /// Lends so many blocks, which are wiped afterwards.
    fn lend<T>(&self, blocks: usize, work: impl FnOnce(&mut [Block]) -> T) -> T {
        let mut memory = self.spare().pop().unwrap_or_default();
        memory.resize(memory.len().max(blocks), Block::new());
        let done = work(&mut memory[..blocks]);
        memory[..blocks].fill(Block::new());
        self.spare().push(memory);
        done
    }

    fn spare(&self) -> MutexGuard<'_, Vec<Vec<Block>>> {
        // No code that holds it can panic half-way through a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hash {
    /// That of a prepared password, with the parameters that OWASP recommends.
    pub(super) fn of(password: &str, salt: [u8; 16], memory: &Memory) -> Result<Self, Failure> {
        let hash = Self::nobodys(Params::DEFAULT, salt);
        Ok(Self { output: hash.output_of(password.as_bytes(), memory)?, ..hash })
    }

    /// One that takes as long as others with these parameters, and that no password has.
    pub(super) fn nobodys(params: Params, salt: [u8; 16]) -> Self {
        Self { params, salt: salt.to_vec(), output: vec![0; OUTPUT] }
    }

    /// Reads a PHC string. What it says is nowhere in the message.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let wrong =
            || "its hash is no PHC string, such as $argon2id$v=19$m=19456,t=2,p=1$SALT$HASH";
        let read = PasswordHash::new(text).map_err(|_| wrong().to_owned())?;
        let version = Version::try_from(read.version.unwrap_or_default());
        let algorithm = Algorithm::new(read.algorithm.as_str());
        if algorithm != Ok(Algorithm::Argon2id) || version != Ok(Version::V0x13) {
            return Err("its hash has to be argon2id of version 19".to_owned());
        }
        let params = Params::try_from(&read).map_err(|_| wrong().to_owned())?;
        if !params.keyid().is_empty() || !params.data().is_empty() {
            return Err("its hash has a key or data of others, which this host has not".to_owned());
        }
        let (memory, passes, lanes) = (params.m_cost(), params.t_cost(), params.p_cost());
        if memory > MEMORY_MAX || passes > PASSES_MAX || lanes > LANES_MAX {
            return Err(format!(
                "its hash takes more than it may: at most m={MEMORY_MAX},t={PASSES_MAX},p={LANES_MAX}"
            ));
        }
        let (Some(salt), Some(output)) = (read.salt, read.hash) else {
            return Err(wrong().to_owned());
        };
        if salt.len() < SALT_MIN || output.len() < OUTPUT_MIN {
            return Err(format!(
                "its hash is too short: a salt has {SALT_MIN} bytes or more, a hash {OUTPUT_MIN}"
            ));
        }
        Ok(Self { params, salt: salt.as_ref().to_vec(), output: output.as_bytes().to_vec() })
    }

    /// Whether a prepared password is the one. It takes its time.
    pub(super) fn matches(&self, password: &[u8], memory: &Memory) -> Result<bool, Failure> {
        let output = self.output_of(password, memory)?;
        Ok(verify_slices_are_equal(&output, &self.output).is_ok())
    }

    /// What it costs.
    pub(super) fn params(&self) -> &Params {
        &self.params
    }

    fn output_of(&self, password: &[u8], memory: &Memory) -> Result<Vec<u8>, Failure> {
        let failed = |error| Failure::new("io", format!("a password can't be hashed: {error}"));
        let mut output = vec![0; self.output.len()];
        let (blocks, passes, lanes) =
            (self.params.m_cost(), self.params.t_cost(), self.params.p_cost());
        let params = Params::new(blocks, passes, lanes, Some(output.len())).map_err(failed)?;
        let blocks = params.block_count();
        let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        memory
            .lend(blocks, |memory| {
                argon.hash_password_into_with_memory(password, &self.salt, &mut output, memory)
            })
            .map_err(failed)?;
        Ok(output)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (memory, passes, lanes) =
            (self.params.m_cost(), self.params.t_cost(), self.params.p_cost());
        let (salt, hash) =
            (STANDARD_NO_PAD.encode(&self.salt), STANDARD_NO_PAD.encode(&self.output));
        write!(out, "$argon2id$v=19$m={memory},t={passes},p={lanes}${salt}${hash}")
    }
}

/// Bytes of a hash that is made here.
const OUTPUT: usize = 32;

/// The least bytes of one that is read.
const OUTPUT_MIN: usize = 16;

/// The least bytes of a salt.
const SALT_MIN: usize = 8;

/// The most memory that a hash may take, in KiB: what is under way at once takes as much for each.
pub(super) const MEMORY_MAX: u32 = 64 * 1024;

/// The most passes over the memory.
const PASSES_MAX: u32 = 10;

/// The most lanes, which are computed one after the other.
const LANES_MAX: u32 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_written_and_read_as_the_same() {
        let memory = Memory::default();
        let hash = Hash::of("pencil", [7; 16], &memory).unwrap();
        let read = Hash::parse(&hash.to_string()).unwrap();
        assert!(
            read.matches(b"pencil", &memory).unwrap()
                && !read.matches(b"pencils", &memory).unwrap()
        );
        assert!(hash.to_string().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
    }

    #[test]
    fn a_hash_of_the_reference_program_is_read() {
        // echo -n password | argon2 somesalt -id -t 2 -m 8 -p 1 -l 32 -e
        const TEXT: &str = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$\
                            nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
        let (hash, memory) = (Hash::parse(TEXT).unwrap(), Memory::default());
        let is_it = |password: &[u8]| hash.matches(password, &memory).unwrap();
        assert!(is_it(b"password") && !is_it(b"Password"));
    }

    #[test]
    fn memory_is_used_again_and_wiped_whatever_was_hashed_before() {
        const SMALL: &str = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$\
                             nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
        let (small, memory) = (Hash::parse(SMALL).unwrap(), Memory::default());
        let large = Hash::nobodys(Params::new(512, 1, 1, None).unwrap(), [1; 16]);
        for _ in 0..3 {
            assert!(small.matches(b"password", &memory).unwrap());
            assert!(!large.matches(b"password", &memory).unwrap());
        }
        let spare = memory.spare();
        assert_eq!(spare.iter().map(Vec::len).collect::<Vec<_>>(), [512]);
        let is_wiped = |block: &Block| block.as_ref().iter().all(|word| *word == 0);
        assert!(spare[0].iter().all(is_wiped));
    }

    #[test]
    fn what_is_too_costly_or_too_weak_is_refused() {
        let text =
            |rest: &str| format!("${rest}$c29tZXNhbHQ$K8EPGw95xk7h1Q2A3+jCTeZb8EQPOCqVqnq0b0NbzuY");
        for wrong in [
            "argon2i$v=19$m=64,t=2,p=1",
            "argon2id$v=16$m=64,t=2,p=1",
            "argon2id$v=19$m=131072,t=2,p=1",
            "argon2id$v=19$m=64,t=11,p=1",
            "argon2id$v=19$m=256,t=2,p=17",
            "argon2id$v=19$m=64,t=2,p=1,keyid=AAAA",
            "2y$10",
        ] {
            let refused = Hash::parse(&text(wrong)).err();
            assert!(refused.is_some_and(|why| !why.contains("K8EP")), "{wrong}");
        }
        assert!(Hash::parse(&text("argon2id$v=19$m=64,t=2,p=1")).is_ok());
    }
}
