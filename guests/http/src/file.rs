//! What is known about files, and what an answer says of it; remembered for the files asked for
//! last.

use std::fmt::Write;
use std::ops::Range;
use std::rc::Rc;

use crate::conditions::Validators;
use crate::encoding::{CODINGS, Coding};
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

/// What an answer says of a file that the system doesn't know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner<'a> {
    pub(crate) cache_control: Option<&'a str>,
    /// Whether other clients may be sent it in another coding.
    pub(crate) varies: bool,
}

/// An open file, and what an answer says of it.
#[derive(Debug)]
pub(crate) struct Known<F> {
    metadata: Metadata,
    /// The handle and when it was opened; none once it is too old to be used.
    open: Option<(Rc<F>, u64)>,
    /// The fields in the order `Last-Modified`, `ETag`, `Cache-Control`, `Vary`, `Accept-Ranges`,
    /// `Content-Encoding`, `Content-Type`, `Content-Length`, so that each kind of answer needs a
    /// part from the start; and the empty line behind them.
    fields: Box<[u8]>,
    is_coded: bool,
    tag: Range<u32>,
    /// Where the fields end in `fields` that an answer without content has, too.
    validators: u32,
    /// Where the field `Content-Type` begins and ends in `fields`.
    kind: Range<u32>,
}

impl<F> Known<F> {
    /// A file that is sent as the one of this path, in a coding where one is given.
    fn new(
        path: &str,
        coding: Option<Coding>,
        manner: Manner<'_>,
        metadata: Metadata,
        open: (F, u64),
    ) -> Self {
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
        if let Some(value) = manner.cache_control {
            let _ = write!(fields, "Cache-Control: {value}\r\n");
        }
        if manner.varies {
            fields.push_str(VARY);
        }
        let validators = length(&fields);
        fields.push_str("Accept-Ranges: bytes\r\n");
        if let Some(coding) = coding {
            let _ = write!(fields, "Content-Encoding: {}\r\n", coding.name());
        }
        let start = length(&fields);
        fields.push_str("Content-Type: ");
        fields.push_str(&mime::of(path));
        fields.push_str("\r\n");
        let kind = start..length(&fields);
        let _ = write!(fields, "Content-Length: {size}\r\n\r\n");
        let (file, now) = open;
        let open = Some((Rc::new(file), now));
        let (fields, is_coded) = (fields.into_bytes().into(), coding.is_some());
        Self { metadata, open, fields, is_coded, tag, validators, kind }
    }

    /// Its size, in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.metadata.size
    }

    /// The handle to the open file, while it is kept.
    pub(crate) fn handle(&self) -> Option<Rc<F>> {
        self.open.as_ref().map(|(handle, _)| Rc::clone(handle))
    }

    /// What tells this state of the file from others.
    pub(crate) fn validators(&self) -> Validators<'_> {
        let tag = &self.fields[self.tag.start as usize..self.tag.end as usize];
        Validators { tag, modified: self.metadata.seconds }
    }

    /// The fields of an answer that sends the whole file, and the empty line behind them.
    pub(crate) fn all_fields(&self) -> &[u8] {
        &self.fields
    }

    /// The fields of an answer that sends a part, but for the length.
    pub(crate) fn shared_fields(&self) -> &[u8] {
        &self.fields[..self.kind.end as usize]
    }

    /// The fields of an answer that sends several parts, but for its type and its length.
    pub(crate) fn common_fields(&self) -> &[u8] {
        &self.fields[..self.kind.start as usize]
    }

    /// The fields of an answer that sends nothing, since the client has it.
    pub(crate) fn validator_fields(&self) -> &[u8] {
        &self.fields[..self.validators as usize]
    }

    /// Whether it is sent in a coding.
    pub(crate) fn is_coded(&self) -> bool {
        self.is_coded
    }

    /// The field `Content-Type`, with its line end.
    pub(crate) fn kind_field(&self) -> &[u8] {
        &self.fields[self.kind.start as usize..self.kind.end as usize]
    }

    /// The fields that say of what type and how long the content is, and the empty line behind
    /// them.
    pub(crate) fn content_fields(&self) -> &[u8] {
        &self.fields[self.kind.start as usize..]
    }

    /// When it was opened.
    fn since(&self) -> Option<u64> {
        self.open.as_ref().map(|&(_, since)| since)
    }

    /// Gives up the handle where it is too old to be used.
    fn expire(&mut self, now: u64) {
        self.open.take_if(|(_, since)| now >= *since + FRESH);
    }
}

/// A file that was asked for by its path, and what lies beside it in other codings.
#[derive(Debug)]
pub(crate) struct Remembered<F> {
    /// The number of the domain whose rules the fields follow.
    domain: usize,
    path: Box<str>,
    original: Known<F>,
    /// None where no coding was ever asked for.
    siblings: Option<Box<[Option<Sibling<F>>; CODINGS]>>,
}

/// What came of asking for a file beside the original.
#[derive(Debug)]
struct Sibling<F> {
    /// When it was asked for.
    since: u64,
    /// None where it isn't there, or is older than the original.
    known: Option<Known<F>>,
}

impl<F> Remembered<F> {
    fn is(&self, domain: usize, path: &str) -> bool {
        self.domain == domain && *self.path == *path
    }

    /// The file itself.
    pub(crate) fn original(&self) -> &Known<F> {
        &self.original
    }

    /// The file beside it in this coding, or that there is none of use. None where that was not
    /// asked for since the original was opened.
    pub(crate) fn sibling(&self, coding: Coding) -> Option<Option<&Known<F>>> {
        let sibling = self.siblings.as_ref()?[coding as usize].as_ref()?;
        (sibling.since >= self.original.since()?).then_some(sibling.known.as_ref())
    }
}

/// The files asked for last, by path. `F` is a handle to an open file.
#[derive(Debug)]
pub(crate) struct Files<F> {
    /// A path has one place, and whoever needs the place takes it. A site of few files needs
    /// little memory for the places that are empty.
    places: Box<[Option<Box<Remembered<F>>>; PLACES]>,
}

impl<F> Default for Files<F> {
    fn default() -> Self {
        Self { places: Box::new([const { None }; PLACES]) }
    }
}

impl<F> Files<F> {
    /// The file of this path, if it was opened so recently that it need not be asked for again.
    pub(crate) fn fresh(&self, domain: usize, path: &str, now: u64) -> Option<&Remembered<F>> {
        let is_fresh = |remembered: &&Remembered<F>| {
            remembered.original.since().is_some_and(|since| now < since + FRESH)
        };
        self.places[place(path)].as_deref().filter(is_fresh).filter(|found| found.is(domain, path))
    }

    /// The file of this path, if its handle is still kept: for who has waited for it.
    pub(crate) fn held(&self, domain: usize, path: &str) -> Option<&Remembered<F>> {
        let found = self.places[place(path)].as_deref().filter(|found| found.is(domain, path));
        found.filter(|found| found.original.open.is_some())
    }

    /// Remembers a file that was just opened.
    pub(crate) fn remember(
        &mut self,
        domain: usize,
        path: &str,
        manner: Manner<'_>,
        metadata: Metadata,
        open: (F, u64),
    ) {
        let place = &mut self.places[place(path)];
        let is_same = |found: &&mut Box<Remembered<F>>| {
            found.is(domain, path) && found.original.metadata == metadata
        };
        if let Some(remembered) = place.as_mut().filter(is_same) {
            remembered.original.open = Some((Rc::new(open.0), open.1));
            return;
        }
        let original = Known::new(path, None, manner, metadata, open);
        *place = Some(Box::new(Remembered { domain, path: path.into(), original, siblings: None }));
    }

    /// Remembers what came of asking for the file beside the one of this path, where that is still
    /// remembered itself.
    pub(crate) fn remember_sibling(
        &mut self,
        domain: usize,
        path: &str,
        coding: Coding,
        manner: Manner<'_>,
        opened: Option<(F, Metadata)>,
        now: u64,
    ) {
        let found = self.places[place(path)].as_deref_mut();
        let Some(remembered) = found.filter(|found| found.is(domain, path)) else { return };
        let changed = |metadata: &Metadata| (metadata.seconds, metadata.nanoseconds);
        let original = changed(&remembered.original.metadata);
        let opened = opened.filter(|(_, metadata)| changed(metadata) >= original);
        let siblings = remembered.siblings.get_or_insert_default();
        let before = siblings[coding as usize].take().and_then(|sibling| sibling.known);
        let known = opened.map(|(file, metadata)| match before {
            Some(known) if known.metadata == metadata => {
                Known { open: Some((Rc::new(file), now)), ..known }
            }
            _ => Known::new(path, Some(coding), manner, metadata, (file, now)),
        });
        siblings[coding as usize] = Some(Sibling { since: now, known });
    }

    /// Gives up the handles that are too old to be used, so that an idle server keeps no
    /// file open.
    pub(crate) fn expire(&mut self, now: u64) {
        for remembered in self.places.iter_mut().flatten() {
            remembered.original.expire(now);
            let siblings = remembered.siblings.iter_mut().flat_map(|all| all.iter_mut().flatten());
            siblings.filter_map(|sibling| sibling.known.as_mut()).for_each(|file| file.expire(now));
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

/// The field of what may be sent to others in another coding (RFC 9110, section 12.5.5).
pub(crate) const VARY: &str = "Vary: Accept-Encoding\r\n";

/// What the fields of most files need, in bytes.
const FIELDS_CAPACITY: usize = 256;
