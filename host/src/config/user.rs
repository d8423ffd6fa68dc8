//! The keys `user` and `group`: who the host is from when it has bound its endpoints.

use nix::unistd;

use super::error::{Mistake, Mistakes};
use super::field::{Field, Section};

/// A user of this machine, as its name service knows it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct User {
    /// `user`.
    pub name: String,
    /// Its number; never 0.
    pub uid: u32,
    /// The number of `group`, or of the user's primary group where that is not given.
    pub gid: u32,
    /// `group`, where it is given.
    pub group: Option<String>,
}

/// Reads both keys.
pub(super) fn read(section: &mut Section<'_>, mistakes: &mut Mistakes) -> Option<User> {
    let (user, group) = (section.field("user"), section.field("group"));
    let found = user.as_ref().and_then(|field| mistakes.keep(known_user(field)));
    let group = match (&user, group) {
        (None, Some(field)) => {
            let problem = "is given without user; write user = \"NAME\" beside it";
            mistakes.push(field.mistake(problem));
            None
        }
        (_, group) => group.and_then(|field| mistakes.keep(known_group(&field))),
    };
    let found = found?;
    let name = found.name;
    let (gid, group) = match group {
        Some(group) => (group.gid, Some(group.name)),
        None => (found.gid, None),
    };
    Some(User { name, uid: found.uid.as_raw(), gid: gid.as_raw(), group })
}

fn known_user(field: &Field<'_>) -> Result<unistd::User, Mistake> {
    let name = field.string("the name of a user, such as \"www-data\"")?;
    let user = found(field, name, unistd::User::from_name, "user")?;
    match user.uid.is_root() {
        true => Err(field.mistake(format!("{name:?} is root; name another, or leave it out"))),
        false => Ok(user),
    }
}

fn known_group(field: &Field<'_>) -> Result<unistd::Group, Mistake> {
    let name = field.string("the name of a group, such as \"www-data\"")?;
    found(field, name, unistd::Group::from_name, "group")
}

fn found<T>(
    field: &Field<'_>,
    name: &str,
    look_up: impl FnOnce(&str) -> nix::Result<Option<T>>,
    kind: &str,
) -> Result<T, Mistake> {
    // A name with a NUL is no C string, and nobody's.
    let found = if name.contains('\0') { Ok(None) } else { look_up(name) };
    match found {
        Ok(Some(found)) => Ok(found),
        Ok(None) => Err(field.mistake(format!("this machine has no {kind} {name:?}"))),
        Err(error) => {
            Err(field.mistake(format!("the {kind} {name:?} can't be looked up: {error}")))
        }
    }
}
