//! Paths that only users may see, and how a request says whose it is (RFC 7617).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::config::Auth;
use crate::pattern::Pattern;
use crate::request::Head;

/// Paths that only users may see.
#[derive(Clone, Debug)]
pub(crate) struct Protection {
    pattern: Pattern,
    realm: String,
    /// Who may see them; none for every user.
    users: Option<Vec<String>>,
}

impl Protection {
    /// Turns an element of the configuration into rules; says what is wrong with it, if anything,
    /// behind the key.
    pub(crate) fn new(rule: &Auth) -> Result<Self, String> {
        let pattern = Pattern::new(&rule.path).map_err(|what| format!("path: {what}"))?;
        let is_sound = |byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
        if rule.realm.is_empty() || !rule.realm.bytes().all(is_sound) {
            return Err(
                "realm: has to be visible ASCII characters and spaces, without `\"` and `\\`"
                    .into(),
            );
        }
        let users = rule.users.clone();
        if users.as_ref().is_some_and(|users| users.is_empty() || users.len() > MAX_USERS) {
            return Err(format!("users: has to be 1 to {MAX_USERS} names; without it all may"));
        }
        Ok(Self { pattern, realm: rule.realm.clone(), users })
    }

    /// Whether it is about this path, which has no slashes at its ends.
    pub(crate) fn covers(&self, path: &str) -> bool {
        self.pattern.matches(path).is_some()
    }

    /// Whether this user may see its paths.
    pub(crate) fn admits(&self, user: &str) -> bool {
        self.users.as_ref().is_none_or(|users| users.iter().any(|name| name == user))
    }

    /// Writes the field that asks for a name and a password.
    pub(crate) fn write_challenge(&self, out: &mut Vec<u8>) {
        let parts = ["WWW-Authenticate: Basic realm=\"", &self.realm, "\", charset=\"UTF-8\"\r\n"];
        for part in parts {
            out.extend_from_slice(part.as_bytes());
        }
    }
}

/// A name and a password, as a request has them.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The name, at most 255 bytes.
    pub name: String,
    /// The password.
    pub password: Vec<u8>,
}

impl std::fmt::Debug for Login {
    // The password stays out of every log.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Login").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The value of a request's `Authorization`; none where it has none, or several.
pub(crate) fn authorization(head: Head<'_>) -> Option<&[u8]> {
    let mut values = head.values("authorization");
    let value = values.next()?;
    values.next().is_none().then_some(value)
}

/// Reads the value of `Authorization`; none where it is of another scheme, or malformed.
pub(crate) fn login(value: &[u8]) -> Option<Login> {
    let (scheme, rest) = value.split_at_checked(b"Basic ".len())?;
    if !scheme.eq_ignore_ascii_case(b"Basic ") || rest.len() > MAX_AUTHORIZATION {
        return None;
    }
    let text = STANDARD.decode(rest.trim_ascii()).ok()?;
    let colon = memchr::memchr(b':', &text)?;
    let name = str::from_utf8(&text[..colon]).ok()?;
    let is_sound = name.len() <= MAX_NAME && !name.contains(char::is_control);
    is_sound.then(|| Login { name: name.to_owned(), password: text[colon + 1..].to_vec() })
}

/// How many users a rule can name.
const MAX_USERS: usize = 1000;

/// The longest name of a user, in bytes.
const MAX_NAME: usize = 255;

/// The longest name and password together, in bytes, as they are encoded.
const MAX_AUTHORIZATION: usize = 4096;

#[cfg(test)]
mod tests {
    use super::{Protection, login};
    use crate::config::Auth;

    #[test]
    fn names_and_passwords_are_read() {
        let read = |value: &str| {
            let login = login(value.as_bytes())?;
            Some((login.name, String::from_utf8_lossy(&login.password).into_owned()))
        };
        let some = |name: &str, password: &str| Some((name.to_owned(), password.to_owned()));
        for (value, want) in [
            // The RFC's examples.
            ("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", some("Aladdin", "open sesame")),
            ("Basic dGVzdDoxMjPCow==", some("test", "123\u{a3}")),
            ("bASIC   YTpiOmM=", some("a", "b:c")),
            ("Basic Og==", some("", "")),
            ("Basic YQ==", None),
            ("Basic !", None),
            ("Basic YTpi YTpi", None),
            ("Basic", None),
            ("Bearer YTpiOmM=", None),
            // A name that is not UTF-8, and one with a line end in it.
            ("Basic /zph", None),
            ("Basic YQo6Yg==", None),
            ("", None),
        ] {
            assert_eq!(read(value), want, "{value}");
        }
        let long = format!("Basic {}", "YWFh".repeat(2000));
        assert_eq!(read(&long), None);
    }

    #[test]
    fn a_password_is_never_shown() {
        let login = login(b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==").unwrap();
        assert_eq!(format!("{login:?}"), "Login { name: \"Aladdin\", .. }");
    }

    #[test]
    fn mistakes_are_told() {
        for (realm, users, key) in [
            ("a\"b", None, "realm: "),
            ("a\r\nb", None, "realm: "),
            ("", None, "realm: "),
            ("a", Some(Vec::new()), "users: "),
        ] {
            let rule = Auth { path: "/".into(), realm: realm.into(), users };
            assert!(Protection::new(&rule).unwrap_err().starts_with(key), "{realm}");
        }
    }
}
