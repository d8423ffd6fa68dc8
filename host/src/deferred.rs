//! The results that one life of an instance waits for.

use std::collections::HashMap;

/// The deferreds of a life that have not been reported, by their numbers.
///
/// It ends with its life, so a deferred of a dead instance never fires into the next one. `H` is
/// what a deferred holds back until it has fired.
pub(crate) struct Deferreds<H>(HashMap<u64, Option<H>>);

impl<H> Deferreds<H> {
    /// A question was asked.
    pub(crate) fn add(&mut self, id: u64) {
        self.0.insert(id, None);
    }

    /// `id` holds `held` back from now on. `false` where it has been reported already.
    pub(crate) fn hold(&mut self, id: u64, held: H) -> bool {
        let pending = self.0.get_mut(&id);
        pending.map(|pending| *pending = Some(held)).is_some()
    }

    pub(crate) fn contains(&self, id: u64) -> bool {
        self.0.contains_key(&id)
    }

    /// Takes what was asked for as `id`, to report or to forget it: the outer `None` where it
    /// was before. Inside is what it held back.
    pub(crate) fn take(&mut self, id: u64) -> Option<Option<H>> {
        self.0.remove(&id)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

impl<H> Default for Deferreds<H> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

#[cfg(test)]
mod tests {
    use super::Deferreds;

    #[test]
    fn a_result_is_reported_once_and_a_late_hold_holds_nothing() {
        let mut deferreds = Deferreds::default();
        deferreds.add(1);
        deferreds.add(2);
        assert!(deferreds.hold(1, "connection"));
        assert_eq!(deferreds.take(1), Some(Some("connection")));
        assert_eq!(deferreds.take(1), None);
        assert!(!deferreds.hold(1, "connection"));
        assert_eq!((deferreds.take(2), deferreds.len()), (Some(None), 0));
    }
}
