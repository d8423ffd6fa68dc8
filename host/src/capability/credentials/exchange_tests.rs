//! Exchanges from their mechanism to their end.

use std::path::Path;

use super::*;
use crate::capability::credentials::users::Users;

/// Of `password`, and of `pencil` with the salt of RFC 7677.
const TEXT: &str = "\
alice:$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4
user:SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=
carol:certificate:abababababababababababababababababababababababababababababababab
";

fn users(text: &str) -> Users {
    Users::parse(Path::new("users"), text, [1; 32]).unwrap()
}

type Stepped = Result<(Option<Exchange>, Progress), Failure>;

fn said(exchange: Exchange, said: &[u8], text: &str) -> Stepped {
    let shown = Shown { certificate: Some([0xab; 32]), nonce: [0; 18] };
    exchange.step(&Secret::new(said.to_vec()), &shown, &users(text))
}

/// Who the peer is by its one message, or the failure's code.
fn once(mechanism: Mechanism, message: &[u8]) -> Result<String, String> {
    match said(Exchange::begin(mechanism), message, TEXT) {
        Ok((None, Progress::Success { identity, data: None })) => Ok(identity),
        Ok((_, other)) => panic!("{other:?}"),
        Err(failure) => Err(failure.code.into_owned()),
    }
}

#[test]
fn plain_takes_two_names_and_a_password() {
    for (message, want) in [
        (&b"\0alice\0password"[..], Ok("alice")),
        (b"alice\0alice\0password", Ok("alice")),
        (b"user\0alice\0password", Err("denied")),
        (b"alice\0user\0password", Err("denied")),
        (b"\0alice\0passwort", Err("denied")),
        (b"\0nobody\0password", Err("denied")),
        (b"\0user\0pencil", Ok("user")),
        (b"", Err("invalid")),
        (b"alice\0password", Err("invalid")),
        (b"\0alice\0pass\0word", Err("invalid")),
        (b"\0\0password", Err("invalid")),
        (b"\0alice\0", Err("invalid")),
        (b"\0\xff\0password", Err("invalid")),
        (b"\xff\0alice\0password", Err("invalid")),
        (b"\0alice\0\xff", Err("denied")),
    ] {
        let want = want.map(str::to_owned).map_err(str::to_owned);
        assert_eq!(once(Mechanism::Plain, message), want, "{}", String::from_utf8_lossy(message));
    }
}

#[test]
fn external_takes_the_certificate_for_whose_it_is() {
    for (message, want) in [
        (&b""[..], Ok("carol")),
        (b"carol", Ok("carol")),
        (b"car\xc2\xadol", Ok("carol")),
        (b"alice", Err("denied")),
        (b"carol\0", Err("invalid")),
        (b"\xff", Err("invalid")),
    ] {
        let want = want.map(str::to_owned).map_err(str::to_owned);
        assert_eq!(once(Mechanism::External, message), want, "{message:?}");
    }
    let step = |shown: &Shown| {
        Exchange::begin(Mechanism::External).step(&Secret::new(Vec::new()), shown, &users(TEXT))
    };
    for certificate in [None, Some([0xac; 32])] {
        let failure = step(&Shown { certificate, nonce: [0; 18] }).unwrap_err();
        assert_eq!(failure.code, "denied");
    }
}

/// The client of SCRAM, for a challenge that it got.
fn proof(first: &str, challenge: &[u8], password: &[u8]) -> String {
    use aws_lc_rs::{digest, hmac, pbkdf2};
    use base64::{Engine, engine::general_purpose::STANDARD};
    let challenge = str::from_utf8(challenge).unwrap();
    let part = |key: &str| {
        let found = challenge.split(',').find_map(|part| part.strip_prefix(key));
        found.unwrap().to_owned()
    };
    let (salt, rounds) = (STANDARD.decode(part("s=")).unwrap(), part("i=").parse().unwrap());
    let mut salted = [0; 32];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, &salt, password, &mut salted);
    let mac = |key: &[u8], data: &[u8]| {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data).as_ref().to_vec()
    };
    let key = mac(&salted, b"Client Key");
    let bare_at = first.match_indices(',').nth(1).unwrap().0 + 1;
    let (header, bare) = first.split_at(bare_at);
    let last = format!("c={},r={}", STANDARD.encode(header), part("r="));
    let signature = mac(
        digest::digest(&digest::SHA256, &key).as_ref(),
        format!("{bare},{challenge},{last}").as_bytes(),
    );
    let proof: Vec<u8> = key.iter().zip(signature).map(|(key, other)| key ^ other).collect();
    format!("{last},p={}", STANDARD.encode(proof))
}

fn scram(first: &str, password: &[u8], then: &str) -> Result<(String, Vec<u8>), String> {
    let stepped = said(Exchange::begin(Mechanism::ScramSha256), first.as_bytes(), TEXT);
    let (next, progress) = stepped.map_err(|failure| failure.code.into_owned())?;
    let Progress::Challenge(challenge) = progress else { panic!("{progress:?}") };
    let last = proof(first, &challenge, password);
    match said(next.unwrap(), last.as_bytes(), then) {
        Ok((None, Progress::Success { identity, data })) => Ok((identity, data.unwrap())),
        Ok((_, other)) => panic!("{other:?}"),
        Err(failure) => Err(failure.code.into_owned()),
    }
}

#[test]
fn scram_takes_a_proof_and_gives_one() {
    for first in ["n,,n=user,r=abc", "y,,n=user,r=abc", "n,a=user,n=us\u{ad}er,r=abc"] {
        let (identity, proof) = scram(first, b"pencil", TEXT).unwrap();
        assert!(identity == "user" && proof.starts_with(b"v="), "{first}");
    }
    for (first, password, code) in [
        ("n,,n=user,r=abc", &b"pencils"[..], "denied"),
        ("n,a=alice,n=user,r=abc", b"pencil", "denied"),
        // These have no keys, and are asked for a proof all the same.
        ("n,,n=nobody,r=abc", b"pencil", "denied"),
        ("n,,n=alice,r=abc", b"password", "denied"),
        ("p=tls-exporter,,n=user,r=abc", b"pencil", "invalid"),
    ] {
        assert_eq!(scram(first, password, TEXT).unwrap_err(), code, "{first}");
    }
}

#[test]
fn who_is_taken_out_of_the_file_meanwhile_is_refused() {
    let others = TEXT.replace("user:", "other:");
    assert_eq!(scram("n,,n=user,r=abc", b"pencil", &others).unwrap_err(), "denied");
}

#[test]
fn a_secret_is_not_shown() {
    let begun = Exchange::begin(Mechanism::Plain);
    assert_eq!(format!("{begun:?} {:?}", Secret::new(b"pencil".to_vec())), "Exchange Secret");
}

#[test]
fn mechanisms_have_the_names_of_the_registry() {
    for mechanism in Mechanism::ALL {
        assert_eq!(Mechanism::of(mechanism.name()), Some(mechanism));
    }
    assert_eq!(Mechanism::of("plain"), Some(Mechanism::Plain));
    assert_eq!(Mechanism::of("SCRAM-SHA-256-PLUS"), None);
}
