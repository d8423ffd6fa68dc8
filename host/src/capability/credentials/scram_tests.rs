//! The example of RFC 7677, and messages that are wrong.

use super::*;

/// RFC 7677, section 3: the user is `user`, the password `pencil`.
const FIRST: &[u8] = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
const CHALLENGE: &str = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                         s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
const FINAL: &[u8] = b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                       p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
const PROOF: &str = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

fn keys() -> Keys {
    let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
    Keys::derived(b"pencil", &salt, NonZeroU32::new(4096).unwrap())
}

/// The offer of the example, whose nonce is no base64.
fn offer() -> Offer {
    let First { header, bare, nonce, .. } = First::parse(FIRST).unwrap();
    let nonce = format!("{nonce}%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0");
    Offer { header, nonce, said: format!("{bare},{CHALLENGE}") }
}

#[test]
fn the_example_of_the_rfc_comes_out() {
    assert_eq!(offer().finish(FINAL, &keys()).unwrap().as_deref(), Some(PROOF));
}

#[test]
fn a_challenge_is_what_the_rfc_says() {
    let (challenge, offer) = First::parse(FIRST).unwrap().answer(&keys(), &[0xff; 18]);
    let nonce = "rOprNGfwEbeRWgbNEkqO////////////////////////";
    assert_eq!(challenge, format!("r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"));
    // The proof was about another nonce.
    let wrong = String::from_utf8(FINAL.to_vec()).unwrap();
    let moved = wrong.replace("rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", nonce);
    assert_eq!(offer.finish(moved.as_bytes(), &keys()).unwrap(), None);
}

#[test]
fn a_proof_for_another_password_is_wrong() {
    let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
    let others = Keys::derived(b"pencils", &salt, NonZeroU32::new(4096).unwrap());
    assert_eq!(offer().finish(FINAL, &others).unwrap(), None);
}

#[test]
fn keys_are_written_and_read_as_the_same() {
    let keys = keys();
    let text = keys.to_string();
    assert_eq!(
        text,
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$\
         WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    );
    let read = Keys::parse(text.strip_prefix("SCRAM-SHA-256$").unwrap()).unwrap();
    assert!(read == keys && read.matches(b"pencil") && !read.matches(b"pencil "));
    for wrong in [
        "",
        "4096:W22ZaJ0SNY7soEsUEjb6gQ==",
        "4095:W22Z$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
        "4096:$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
        "4096:W22Z$WG5d:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
        "4000000000:W22Z$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
    ] {
        let refused = Keys::parse(wrong).err();
        assert!(refused.is_some_and(|why| !why.contains("WG5d")), "{wrong}");
    }
}

#[test]
fn a_name_has_its_signs_back() {
    let first = First::parse(b"y,a=x=3Dy,n=a=2Cb=3Dc,r=1,x=extension").unwrap();
    assert_eq!((&*first.name, first.authorization.as_deref()), ("a,b=c", Some("x=y")));
    assert_eq!((&*first.header, &*first.bare), ("y,a=x=3Dy,", "n=a=2Cb=3Dc,r=1,x=extension"));
}

#[test]
fn a_first_message_that_breaks_the_rules_is_refused() {
    let wrong: [&[u8]; 14] = [
        b"",
        b"n",
        b"n,",
        b"n,,",
        b"x,,n=user,r=1",
        b"p=tls-exporter,,n=user,r=1",
        b"n,user,n=user,r=1",
        b"n,,m=ext,n=user,r=1",
        b"n,,r=1,n=user",
        b"n,,n=,r=1",
        b"n,,n=us=er,r=1",
        b"n,,n=user,r=",
        b"n,,n=user,r=a\x7f",
        b"n,,n=\xff,r=1",
    ];
    for message in wrong {
        let failure = First::parse(message).unwrap_err();
        assert_eq!(failure.code, "invalid", "{}", String::from_utf8_lossy(message));
    }
}

#[test]
fn a_last_message_that_breaks_the_rules_is_refused() {
    let right = String::from_utf8(FINAL.to_vec()).unwrap();
    for (from, to) in [
        ("c=biws", "c=eSws"),
        ("c=biws", "c=biw"),
        ("c=biws,", ""),
        ("r=rOpr", "r=rOpR"),
        (",p=", ",q="),
        ("p=dHzb", "p=dHz"),
        ("p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", "p="),
    ] {
        let message = right.replace(from, to);
        let failure = offer().finish(message.as_bytes(), &keys()).unwrap_err();
        assert_eq!(failure.code, "invalid", "{message}");
    }
}

#[test]
fn no_message_breaks_it() {
    let mut all: Vec<Vec<u8>> = Vec::new();
    for message in [FIRST, FINAL] {
        all.extend((0..message.len()).map(|end| message[..end].to_vec()));
        all.extend((0..message.len()).flat_map(|at| {
            [b',', b'=', 0, 0xff].map(|byte| {
                let mut changed = message.to_vec();
                changed[at] = byte;
                changed
            })
        }));
    }
    for message in all.into_iter().filter(|message| message != FINAL) {
        let _ = First::parse(&message);
        // Whatever is changed of it, the proof is none.
        assert!(!matches!(offer().finish(&message, &keys()), Ok(Some(_))), "{message:?}");
    }
}
