//! SQLite's functions whose time grows with the product of two lengths, in time that grows with
//! their sum: one call can't be interrupted, and took hours for texts of a megabyte.

use std::borrow::Cow;
use std::collections::HashSet;

use memchr::memmem;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Error, Result, ffi};

use super::VALUE_LIMIT;

/// Replaces them on a connection.
pub(super) fn replace_slow(connection: &Connection) -> Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function("instr", 2, flags, |args| instr(args))?;
    connection.create_scalar_function("replace", 3, flags, |args| replace(args))?;
    for (name, start, end) in [("ltrim", true, false), ("rtrim", false, true), ("trim", true, true)]
    {
        connection.create_scalar_function(name, 2, flags, move |args| trim(args, start, end))?;
    }
    connection.create_scalar_function("unhex", 2, flags, |_| -> Result<Value> {
        Err(failed("unhex takes one argument here"))
    })
}

/// Where the second argument begins in the first, counted from 1: in bytes for blobs, in
/// characters for texts; 0 where it isn't there.
fn instr(args: &Context<'_>) -> Result<Value> {
    let (Some(within), Some(wanted)) = (bytes(args, 0)?, bytes(args, 1)?) else {
        return Ok(Value::Null);
    };
    let Some(at) = memmem::find(&within, &wanted) else { return Ok(Value::Integer(0)) };
    let blobs = (0..2).all(|index| matches!(args.get_raw(index), ValueRef::Blob(_)));
    let before = within.get(..at).unwrap_or_default();
    let begins = |byte: &&u8| blobs || **byte & 0xC0 != 0x80;
    Ok(Value::Integer(1 + before.iter().filter(begins).count() as i64))
}

/// The first argument, with the third wherever the second was.
fn replace(args: &Context<'_>) -> Result<Value> {
    let (Some(within), Some(old), Some(new)) = (bytes(args, 0)?, bytes(args, 1)?, bytes(args, 2)?)
    else {
        return Ok(Value::Null);
    };
    let mut replaced = Vec::new();
    let mut from = 0;
    // An empty text is nowhere, as SQLite has it.
    let places = memmem::find_iter(&within, &old).take_while(|_| !old.is_empty());
    for at in places {
        replaced.extend_from_slice(within.get(from..at).unwrap_or_default());
        replaced.extend_from_slice(&new);
        if replaced.len() > VALUE_LIMIT {
            return Err(Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_TOOBIG), None));
        }
        from = at + old.len();
    }
    replaced.extend_from_slice(within.get(from..).unwrap_or_default());
    String::from_utf8(replaced).map(Value::Text).map_err(|_| failed(NOT_UTF_8))
}

/// The first argument without the second's characters at its ends.
fn trim(args: &Context<'_>, start: bool, end: bool) -> Result<Value> {
    let (Some(text), Some(characters)) = (bytes(args, 0)?, bytes(args, 1)?) else {
        return Ok(Value::Null);
    };
    let mut text = str::from_utf8(&text).map_err(|_| failed(NOT_UTF_8))?;
    let characters = str::from_utf8(&characters).map_err(|_| failed(NOT_UTF_8))?;
    let characters: HashSet<char> = characters.chars().collect();
    if start {
        text = text.trim_start_matches(|c| characters.contains(&c));
    }
    if end {
        text = text.trim_end_matches(|c| characters.contains(&c));
    }
    Ok(Value::Text(text.to_owned()))
}

/// An argument's bytes; none for NULL.
fn bytes<'a>(args: &'a Context<'_>, index: usize) -> Result<Option<Cow<'a, [u8]>>> {
    match args.get_raw(index) {
        ValueRef::Blob(bytes) | ValueRef::Text(bytes) => Ok(Some(Cow::Borrowed(bytes))),
        ValueRef::Integer(number) => Ok(Some(Cow::Owned(number.to_string().into_bytes()))),
        ValueRef::Null => Ok(None),
        // The text of a number that isn't whole is SQLite's alone to make.
        ValueRef::Real(_) => {
            Err(failed("instr, replace and trim take no REAL: CAST it to TEXT before"))
        }
    }
}

fn failed(message: &str) -> Error {
    Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_ERROR), Some(message.to_owned()))
}

const NOT_UTF_8: &str = "replace and trim take no bytes that aren't UTF-8";
