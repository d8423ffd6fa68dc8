//! The results that one life of an instance waits for.

use std::collections::HashMap;

/// The deferreds of a life that have not been reported, by their numbers.
///
/// It ends with its life, so a deferred of a dead instance never fires into the next one. `H` is
/// what a deferred holds back until it has fired, `B` what stands behind it and computes its result.
pub(crate) struct Deferreds<H, B>(HashMap<u64, Pending<H, B>>);

/// One that has not been reported.
pub(crate) struct Pending<H, B> {
    /// What stands behind it.
    pub(crate) behind: B,
    /// What it holds back.
    pub(crate) held: Option<H>,
    /// Its result, even one that is there already, gives way to a failure.
    pub(crate) cancelled: bool,
}

impl<H, B> Deferreds<H, B> {
    /// A question was asked.
    pub(crate) fn add(&mut self, id: u64, behind: B) {
        self.0.insert(id, Pending { behind, held: None, cancelled: false });
    }

    /// What stands behind `id`, unless that has been reported already.
    pub(crate) fn behind(&mut self, id: u64) -> Option<&mut B> {
        self.0.get_mut(&id).map(|pending| &mut pending.behind)
    }

    /// What stands behind all of them, in the order asked: a simulation must give the same run twice.
    pub(crate) fn into_all_behind(self) -> impl Iterator<Item = (u64, B)> {
        let mut all: Vec<_> = self.0.into_iter().collect();
        all.sort_unstable_by_key(|(id, _)| *id);
        all.into_iter().map(|(id, pending)| (id, pending.behind))
    }

    /// `id` holds `held` back from now on. `false` where it has been reported already.
    pub(crate) fn hold(&mut self, id: u64, held: H) -> bool {
        let pending = self.0.get_mut(&id);
        pending.map(|pending| pending.held = Some(held)).is_some()
    }

    /// `id` is given up. `false` where it was before, or has been reported already.
    pub(crate) fn cancel(&mut self, id: u64) -> bool {
        let pending = self.0.get_mut(&id);
        pending.is_some_and(|pending| !std::mem::replace(&mut pending.cancelled, true))
    }

    /// The same, to look at.
    pub(crate) fn behind_ref(&self, id: u64) -> Option<&B> {
        self.0.get(&id).map(|pending| &pending.behind)
    }

    /// Takes what was asked for as `id`, to report or to forget it: `None` where it was before.
    pub(crate) fn take(&mut self, id: u64) -> Option<Pending<H, B>> {
        self.0.remove(&id)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

impl<H, B> Default for Deferreds<H, B> {
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
        deferreds.add(1, ());
        deferreds.add(2, ());
        assert!(deferreds.hold(1, "connection"));
        assert_eq!(deferreds.take(1).map(|pending| pending.held), Some(Some("connection")));
        assert!(deferreds.take(1).is_none());
        assert!(!deferreds.hold(1, "connection"));
        assert_eq!(deferreds.take(2).map(|pending| pending.held), Some(None));
        assert_eq!(deferreds.len(), 0);
    }

    #[test]
    fn what_stands_behind_them_comes_in_the_order_asked() {
        let mut deferreds = Deferreds::<(), u64>::default();
        (0..100).for_each(|id| deferreds.add(id, 2 * id));
        assert!(deferreds.into_all_behind().eq((0..100).map(|id| (id, 2 * id))));
    }

    #[test]
    fn a_deferred_is_cancelled_once() {
        let mut deferreds = Deferreds::<(), ()>::default();
        deferreds.add(1, ());
        assert!(deferreds.cancel(1) && !deferreds.cancel(1) && !deferreds.cancel(2));
        assert!(deferreds.take(1).is_some_and(|pending| pending.cancelled));
        assert!(!deferreds.cancel(1));
    }
}
