//! What is known about files, and what an answer says of it; remembered for the files asked for
//! last.

use std::fmt::Write;
use std::ops::Range;
use std::rc::Rc;

use crate::conditions::Validators;
use crate::{date, mime};

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A folder.
    Folder,
    /// A file with content.
    Regular,
}

/// What the system knows about a file. All of it together changes whenever the content does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// What it is.
    pub kind: Kind,
    /// Its size, in bytes.
    pub size: u64,
    /// When its content last changed, in seconds since 1970.
    pub seconds: i64,
    /// The nanoseconds that belong to `seconds`.
    pub nanoseconds: u32,
    /// The file system's number for it.
    pub inode: u64,
}

/// An open file, and what an answer says of it.
#[derive(Debug)]
pub struct Known<F> {
    path: Box<str>,
    metadata: Metadata,
    /// The handle and when it was opened; none once it is too old to be used.
    open: Option<(Rc<F>, u64)>,
    /// The fields in the order `Last-Modified`, `ETag`, `Accept-Ranges`, `Content-Type`,
    /// `Content-Length`, so that each kind of answer needs a part from the start; and the empty
    /// line behind them.
    fields: Box<[u8]>,
    tag: Range<u32>,
    /// Where the validators end in `fields`.
    validators: u32,
    /// Where all that a part of the file shares with the whole ends in `fields`.
    shared: u32,
}

impl<F> Known<F> {
    fn new(path: &str, metadata: Metadata, file: F, now: u64) -> Self {
        let mut fields = String::with_capacity(FIELDS_CAPACITY);
        let length = |fields: &String| fields.len() as u32;
        fields.push_str("Last-Modified: ");
        fields.push_str(&date::format(metadata.seconds));
        fields.push_str("\r\nETag: ");
        let start = length(&fields);
        let Metadata { seconds, nanoseconds, size, inode, .. } = metadata;
        // Writing to a String can't fail.
        let _ = write!(fields, "\"{seconds:x}.{nanoseconds:x}-{size:x}-{inode:x}\"");
        let tag = start..length(&fields);
        fields.push_str("\r\n");
        let validators = length(&fields);
        fields.push_str("Accept-Ranges: bytes\r\nContent-Type: ");
        fields.push_str(&mime::of(path));
        fields.push_str("\r\n");
        let shared = length(&fields);
        let _ = write!(fields, "Content-Length: {size}\r\n\r\n");
        let (path, fields) = (path.into(), fields.into_bytes().into());
        Self { path, metadata, open: Some((Rc::new(file), now)), fields, tag, validators, shared }
    }

    /// Its size, in bytes.
    pub fn size(&self) -> u64 {
        self.metadata.size
    }

    /// The handle to the open file, while it is fresh.
    pub fn handle(&self) -> Option<Rc<F>> {
        self.open.as_ref().map(|(handle, _)| Rc::clone(handle))
    }

    /// What tells this state of the file from others.
    pub fn validators(&self) -> Validators<'_> {
        let tag = &self.fields[self.tag.start as usize..self.tag.end as usize];
        Validators { tag, modified: self.metadata.seconds }
    }

    /// The fields of an answer that sends the whole file, and the empty line behind them.
    pub fn all_fields(&self) -> &[u8] {
        &self.fields
    }

    /// The fields of an answer that sends a part, but for the length.
    pub fn shared_fields(&self) -> &[u8] {
        &self.fields[..self.shared as usize]
    }

    /// The fields of an answer that sends nothing, since the client has it.
    pub fn validator_fields(&self) -> &[u8] {
        &self.fields[..self.validators as usize]
    }
}

/// The files asked for last, by path. `F` is a handle to an open file.
#[derive(Debug)]
pub struct Files<F> {
    /// A path has one place, and whoever needs the place takes it. A site of few files needs
    /// little memory for the places that are empty.
    places: Box<[Option<Box<Known<F>>>; PLACES]>,
}

impl<F> Default for Files<F> {
    fn default() -> Self {
        Self { places: Box::new([const { None }; PLACES]) }
    }
}

impl<F> Files<F> {
    /// The file of this path, if it was opened so recently that it need not be asked for again.
    pub fn fresh(&self, path: &str, now: u64) -> Option<&Known<F>> {
        let known = self.places[place(path)].as_deref()?;
        let is_fresh = known.open.as_ref().is_some_and(|&(_, since)| now < since + FRESH);
        (is_fresh && *known.path == *path).then_some(known)
    }

    /// Remembers a file that was just opened.
    pub fn remember(&mut self, path: &str, metadata: Metadata, file: F, now: u64) -> &Known<F> {
        let place = &mut self.places[place(path)];
        match place.take_if(|known| *known.path == *path && known.metadata == metadata) {
            Some(mut known) => {
                known.open = Some((Rc::new(file), now));
                place.insert(known)
            }
            None => place.insert(Box::new(Known::new(path, metadata, file, now))),
        }
    }

    /// Gives up the handles that are too old to be used, so that an idle server keeps no
    /// file open.
    pub fn expire(&mut self, now: u64) {
        for known in self.places.iter_mut().flatten() {
            known.open.take_if(|(_, since)| now >= *since + FRESH);
        }
    }
}

fn place(path: &str) -> usize {
    // FNV-1a. Who makes two paths meet makes these two slower, and nothing else.
    let hash = path
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    (hash ^ hash >> 16) as usize % PLACES
}

/// How many files are remembered, and so how many may be open at a time.
const PLACES: usize = 64;

/// For how long a file that was opened is used for other requests, in nanoseconds. The host looks
/// at a file once a second; this adds a tenth, and saves most requests an event.
const FRESH: u64 = 100_000_000;

/// What the fields of most files need, in bytes.
const FIELDS_CAPACITY: usize = 256;
