//! The `grants` table of a service: files, names, peers, ports, threads, a database, users.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::capability::credentials::prepared_name;
use crate::grants::{Clear, Grants, Store, Users};
use crate::transport::endpoint::EndpointError;
use crate::transport::range::ListenRange;
use crate::transport::target::Target;

use super::GRANTED_MAX;
use super::error::{Mistake, Mistakes};
use super::field::{Field, Section};
use super::service::{path, unreadable};

/// Reads the table; relative paths are taken to be below `folder`.
pub(super) fn read(field: &Field<'_>, folder: &Path, mistakes: &mut Mistakes) -> Grants {
    let Some(mut section) = mistakes.keep(field.table()) else {
        return Grants::default();
    };
    let grants = Grants {
        files: files(&mut section, folder, mistakes),
        resolver: section.flag("resolver", mistakes),
        connect: list(&mut section, "connect", &TARGETS, folder, mistakes),
        listen: list(&mut section, "listen", &RANGES, folder, mistakes),
        multicast: multicast(&mut section, mistakes),
        jobs: section.flag("jobs", mistakes),
        services: section.flag("services", mistakes),
        sql: section.field("sql").and_then(|field| mistakes.keep(field.one_of(&STORES))),
        key_value: section
            .field("key-value")
            .and_then(|field| mistakes.keep(field.one_of(&STORES))),
        credentials: section.field("credentials").and_then(|field| users(&field, folder, mistakes)),
        dry_run: section.flag("dry-run", mistakes),
        folder: folder.to_owned(),
    };
    section.finish(mistakes);
    if let (Some(sql), Some(key_value)) = (grants.sql, grants.key_value)
        && sql != key_value
    {
        let field = field.below("key-value").unwrap_or(field.clone());
        mistakes.push(field.mistake(DIFFERENT_STORES));
    }
    grants
}

const DIFFERENT_STORES: &str = "must be what sql is, as they share the service's database";

fn files(section: &mut Section<'_>, folder: &Path, mistakes: &mut Mistakes) -> Option<PathBuf> {
    const FORM: &str = "files = { read = \"FOLDER\" }";
    let files = section.field("files");
    let mut files = files.and_then(|field| mistakes.keep(field.table_as(FORM)))?;
    let root = files
        .required("read", FORM, mistakes)
        .and_then(|field| mistakes.keep(root(&field, folder)));
    files.finish(mistakes);
    root
}

/// A folder that can be listed.
fn root(field: &Field<'_>, folder: &Path) -> Result<PathBuf, Mistake> {
    let path = path(field, folder, "the path of a folder")?;
    let metadata = fs::metadata(&path).map_err(|error| field.mistake(unreadable(&path, &error)))?;
    if !metadata.is_dir() {
        return Err(field.mistake(format!("{} is not a folder", path.display())));
    }
    fs::read_dir(&path).map_err(|error| field.mistake(unreadable(&path, &error)))?;
    Ok(path)
}

/// How the items of a list are read, and the words for them.
struct Items<T> {
    below: fn(T, &Path) -> Result<T, EndpointError>,
    one: &'static str,
    many: &'static str,
}

const TARGETS: Items<Target> = Items {
    below: Target::below,
    one: "a target, such as \"tcp:10.0.0.0/8:5432\"",
    many: "a list of targets, such as [\"tcp:10.0.0.0/8:5432\"]",
};

const RANGES: Items<ListenRange> = Items {
    below: ListenRange::below,
    one: "a range, such as \"tcp:40000-40100\"",
    many: "a list of ranges, such as [\"tcp:40000-40100\"]",
};

fn list<T: FromStr<Err = EndpointError>>(
    section: &mut Section<'_>,
    key: &'static str,
    items: &Items<T>,
    folder: &Path,
    mistakes: &mut Mistakes,
) -> Vec<T> {
    let Some(field) = section.field(key) else { return Vec::new() };
    let fields = mistakes.keep(field.list(items.many)).unwrap_or_default();
    if fields.len() > GRANTED_MAX {
        mistakes.push(field.mistake(format!("has more than {GRANTED_MAX} entries")));
        return Vec::new();
    }
    let read = |field: &Field<'_>| {
        let item = field.string(items.one)?.parse();
        item.and_then(|item| (items.below)(item, folder))
            .map_err(|error| field.mistake(error.to_string()))
    };
    fields.iter().filter_map(|field| mistakes.keep(read(field))).collect()
}

/// Addresses of groups, and networks of them.
fn multicast(section: &mut Section<'_>, mistakes: &mut Mistakes) -> Vec<IpNet> {
    let Some(field) = section.field("multicast") else { return Vec::new() };
    let fields = mistakes.keep(field.list(GROUPS)).unwrap_or_default();
    if fields.len() > GRANTED_MAX {
        mistakes.push(field.mistake(format!("has more than {GRANTED_MAX} entries")));
        return Vec::new();
    }
    fields.iter().filter_map(|field| mistakes.keep(groups(field))).collect()
}

fn groups(field: &Field<'_>) -> Result<IpNet, Mistake> {
    let text = field.string("a group, such as \"224.0.0.251\" or \"ff02::/16\"")?;
    let all: Option<IpNet> = match text.parse::<IpAddr>() {
        Ok(one) => Some(one.into()),
        Err(_) => text.parse().ok(),
    };
    let Some(all) = all else {
        return Err(field.mistake(format!(
            "{text:?} is neither an address nor a network of them, such as 224.0.0.251 or ff02::/16"
        )));
    };
    let (v4, v6) = (Ipv4Net::new_assert(MULTICAST_V4, 4), Ipv6Net::new_assert(MULTICAST_V6, 8));
    match all {
        IpNet::V4(some) if v4.contains(&some) => Ok(all),
        IpNet::V6(some) if v6.contains(&some) => Ok(all),
        _ => {
            Err(field
                .mistake(format!("{text:?} has addresses that are no groups; {v4} and {v6} are")))
        }
    }
}

const GROUPS: &str = "a list of groups, such as [\"224.0.0.251\", \"ff02::/16\"]";

/// The first address of IPv4's groups, whose network has 4 bits (RFC 5771).
const MULTICAST_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 0);

/// The first address of IPv6's groups, whose network has 8 bits (RFC 4291, section 2.7).
const MULTICAST_V6: Ipv6Addr = Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0);

/// What `sql` and `key-value` may be.
pub(super) const STORES: [(&str, Store); 2] = [("file", Store::File), (":memory:", Store::Memory)];

/// What `plain` may be.
pub(super) fn clear_words() -> [(&'static str, Clear); 3] {
    [Clear::Never, Clear::Loopback, Clear::Always].map(|clear| (clear.key(), clear))
}

/// A file of users as a string, or as a table with more.
fn users(field: &Field<'_>, folder: &Path, mistakes: &mut Mistakes) -> Option<Users> {
    const FORM: &str = "the path of a file of users, which `torsade passwd` makes, or a table";
    if field.table().is_err() {
        let file = mistakes.keep(path(field, folder, FORM))?;
        return Some(Users { file, plain: Clear::default(), create: Vec::new() });
    }
    let mut section = mistakes.keep(field.table())?;
    let file = section
        .required("users", "credentials = { users = \"FILE\" }", mistakes)
        .and_then(|field| mistakes.keep(path(&field, folder, "the path of a file of users")));
    let plain =
        section.field("plain").and_then(|field| mistakes.keep(field.one_of(&clear_words())));
    let create = section.field("create").map(|field| names(&field, mistakes)).unwrap_or_default();
    section.finish(mistakes);
    Some(Users { file: file?, plain: plain.unwrap_or_default(), create })
}

/// Names of users, each once.
fn names(field: &Field<'_>, mistakes: &mut Mistakes) -> Vec<String> {
    let fields = mistakes.keep(field.list("a list of names, such as [\"alice\"]"));
    let fields = fields.unwrap_or_default();
    if fields.len() > GRANTED_MAX {
        mistakes.push(field.mistake(format!("has more than {GRANTED_MAX} entries")));
        return Vec::new();
    }
    let mut names = Vec::new();
    for field in &fields {
        let name =
            field.string("a name, such as \"alice\"").and_then(|name| match prepared_name(name) {
                Ok(prepared) if prepared == name && !names.contains(&prepared) => Ok(prepared),
                Ok(prepared) if prepared == name => Err(field.mistake("is there twice")),
                Ok(prepared) => Err(field.mistake(format!("has to be written as {prepared:?}"))),
                Err(why) => Err(field.mistake(format!("{name:?} is no name: it {why}"))),
            });
        names.extend(mistakes.keep(name));
    }
    names
}
