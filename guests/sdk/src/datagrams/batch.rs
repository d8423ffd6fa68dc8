//! Datagrams that cross the sandbox's border together: those that arrived, and those that are
//! gathered to be sent.

use std::slice::Iter;

use super::Peer;
use crate::datagram_bindings::torsade::plugin::datagrams::Part;

/// Some datagrams, one behind the other: a view of what arrived. A copy is the same view.
///
/// ```no_run
/// use torsade_guest::datagrams::Batch;
///
/// fn log(batch: Batch<'_>) {
///     for (peer, datagram) in batch {
///         torsade_guest::info!("{} bytes from {peer}", datagram.len());
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    data: &'a [u8],
    parts: &'a [Part],
}

impl<'a> Batch<'a> {
    /// What the host gave, or is to get.
    pub(super) fn new(data: &'a [u8], parts: &'a [Part]) -> Self {
        Batch { data, parts }
    }

    /// How many datagrams there are.
    pub fn len(&self) -> usize {
        self.parts.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// The bytes of all of them.
    pub fn data(&self) -> &'a [u8] {
        self.data
    }

    /// Each with the peer that sent it, or is to get it.
    pub fn iter(&self) -> Datagrams<'a> {
        Datagrams { rest: self.data, parts: self.parts.iter() }
    }

    pub(super) fn parts(&self) -> &'a [Part] {
        self.parts
    }
}

impl<'a> IntoIterator for Batch<'a> {
    type Item = (&'a Peer, &'a [u8]);
    type IntoIter = Datagrams<'a>;

    fn into_iter(self) -> Datagrams<'a> {
        self.iter()
    }
}

/// The datagrams of a [`Batch`], with their peers.
#[derive(Clone, Debug)]
pub struct Datagrams<'a> {
    rest: &'a [u8],
    parts: Iter<'a, Part>,
}

impl<'a> Iterator for Datagrams<'a> {
    type Item = (&'a Peer, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let part = self.parts.next()?;
        let (datagram, rest) = self.rest.split_at_checked(part.length as usize)?;
        self.rest = rest;
        Some((&part.peer, datagram))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.parts.size_hint()
    }
}

/// So many datagrams are gathered at most before they go to the host. It sends no more at once.
const GATHERED_MAX: usize = 64;

/// So many of their bytes are gathered at most.
const GATHERED_BYTES_MAX: usize = 64 * 1024;

/// What an event has sent and the host has not got yet. Its memory is kept from event to event.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    data: Vec<u8>,
    parts: Vec<Part>,
}

impl Gathered {
    /// Nothing.
    pub(super) const fn new() -> Self {
        Gathered { data: Vec::new(), parts: Vec::new() }
    }

    /// Adds a datagram.
    pub(super) fn push(&mut self, peer: &Peer, datagram: &[u8]) {
        // Only one beyond the limit of any network is longer than `u32`, and the host drops it.
        let length = u32::try_from(datagram.len()).unwrap_or(u32::MAX);
        self.data.extend_from_slice(&datagram[..length as usize]);
        self.parts.push(Part { peer: peer.clone(), length });
    }

    /// Whether one more datagram of a length is to wait until this has gone.
    pub(super) fn is_full(&self, length: usize) -> bool {
        self.parts.len() >= GATHERED_MAX
            || (!self.parts.is_empty() && self.data.len() + length > GATHERED_BYTES_MAX)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Hands all of it to `send`, and is empty.
    pub(super) fn flush(&mut self, send: impl FnOnce(Batch<'_>)) {
        if !self.parts.is_empty() {
            send(Batch::new(&self.data, &self.parts));
            self.data.clear();
            self.parts.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::{Batch, GATHERED_BYTES_MAX, GATHERED_MAX, Gathered, Part};
    use crate::datagrams::Peer;

    fn peer(port: u16) -> Peer {
        SocketAddr::from(([192, 0, 2, 1], port)).into()
    }

    fn contents(batch: Batch<'_>) -> Vec<(u16, Vec<u8>)> {
        batch.iter().map(|(peer, datagram)| (peer.port(), datagram.to_vec())).collect()
    }

    #[test]
    fn a_batch_is_cut_where_its_parts_end() {
        let part = |port, length| Part { peer: peer(port), length };
        let parts = [part(1, 3), part(2, 0), part(1, 2)];
        let batch = Batch::new(b"onetw", &parts);
        assert_eq!((batch.len(), batch.is_empty(), batch.data()), (3, false, &b"onetw"[..]));
        let expected = [(1, b"one".to_vec()), (2, vec![]), (1, b"tw".to_vec())];
        assert_eq!(contents(batch), expected);
    }

    #[test]
    fn a_batch_with_too_little_data_ends_there() {
        let parts = [Part { peer: peer(1), length: 2 }, Part { peer: peer(1), length: 2 }];
        assert_eq!(contents(Batch::new(b"abc", &parts)), [(1, b"ab".to_vec())]);
    }

    #[test]
    fn what_is_gathered_goes_together_and_once() {
        let mut gathered = Gathered::default();
        gathered.push(&peer(1), b"one");
        gathered.push(&peer(2), b"");
        let mut sent = Vec::new();
        gathered.flush(|batch| sent = contents(batch));
        assert_eq!(sent, [(1, b"one".to_vec()), (2, vec![])]);
        gathered.flush(|_| panic!("nothing is left"));
    }

    #[test]
    fn what_is_gathered_has_a_limit() {
        let mut gathered = Gathered::default();
        assert!(!gathered.is_full(GATHERED_BYTES_MAX + 1), "a datagram alone always fits");
        gathered.push(&peer(1), &[0; 1000]);
        assert!(!gathered.is_full(GATHERED_BYTES_MAX - 1000));
        assert!(gathered.is_full(GATHERED_BYTES_MAX - 999));
        for _ in 1..GATHERED_MAX {
            assert!(!gathered.is_full(0));
            gathered.push(&peer(1), b"");
        }
        assert!(gathered.is_full(0));
    }
}
