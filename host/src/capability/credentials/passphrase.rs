//! Names and passwords as they are compared: prepared by SASLprep (RFC 4013).

use zeroize::Zeroizing;

/// The longest name of a user, in bytes.
pub const NAME_MAX: usize = 255;

/// The longest password, in bytes.
pub(super) const PASSWORD_MAX: usize = 1024;

/// A name as it is compared, and as a file of users has it.
///
/// # Errors
/// Says what would be right, where a user can't be called so.
pub fn prepared_name(name: &str) -> Result<String, String> {
    let prepared = stringprep::saslprep(name)
        .map_err(|_| "has characters that no name may have (RFC 4013)".to_owned())?;
    match prepared.len() {
        0 => Err("is empty".to_owned()),
        1..=NAME_MAX if prepared.starts_with('#') => {
            Err("begins with #, which begins a comment".to_owned())
        }
        1..=NAME_MAX if prepared.contains(':') => {
            Err("has a colon, which ends a name in the file of users".to_owned())
        }
        1..=NAME_MAX if prepared.trim() != prepared => {
            Err("begins or ends with a space".to_owned())
        }
        1..=NAME_MAX => Ok(prepared.into_owned()),
        _ => Err(format!("is longer than {NAME_MAX} bytes")),
    }
}

/// A password as it is hashed.
///
/// # Errors
/// Says what would be right, without the password.
pub(super) fn prepared_password(password: &[u8]) -> Result<Zeroizing<String>, String> {
    if password.len() > PASSWORD_MAX {
        return Err(format!("is longer than {PASSWORD_MAX} bytes"));
    }
    let text = std::str::from_utf8(password).map_err(|_| "is not UTF-8".to_owned())?;
    let prepared = stringprep::saslprep(text)
        .map_err(|_| "has characters that no password may have (RFC 4013)".to_owned())?;
    match prepared.is_empty() {
        true => Err("is empty".to_owned()),
        false => Ok(Zeroizing::new(prepared.into_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_alike_is_the_same() {
        // The examples of RFC 4013, section 3.
        assert_eq!(prepared_name("I\u{ad}X").as_deref(), Ok("IX"));
        assert_eq!(prepared_name("\u{aa}").as_deref(), Ok("a"));
        assert_eq!(prepared_name("\u{2168}").as_deref(), Ok("IX"));
        assert_eq!(
            prepared_password("a\u{a0}b".as_bytes()).map(|it| it.to_string()),
            Ok("a b".into())
        );
    }

    #[test]
    fn a_name_that_the_file_can_not_have_is_none() {
        for name in ["", "\u{ad}", "a:b", "#a", " a", "a\n", "\u{7}", "\u{627}1", &"a".repeat(256)]
        {
            assert!(prepared_name(name).is_err(), "{name:?}");
        }
        for password in [&b""[..], b"\xff", b"a\0b", &[b'a'; 1025]] {
            assert!(prepared_password(password).is_err());
        }
    }
}
