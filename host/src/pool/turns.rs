//! The tasks of one lane: whose turn it is, and how many threads a service may keep busy.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// What waits in a lane, and for which service it is.
///
/// Services take turns. One task of each may be under way whatever the others do, and beyond these
/// as many as there are shared threads. So a service whose tasks hang costs no other its turn.
pub(super) struct Turns<T> {
    /// How many tasks, beyond the first of each service, may be under way.
    shared: usize,
    /// How many are.
    shared_busy: usize,
    /// Those that have a task, waiting or under way.
    services: HashMap<Arc<str>, Tasks<T>>,
    /// Those for which a task waits; the first is next.
    turns: VecDeque<Arc<str>>,
}

struct Tasks<T> {
    waiting: VecDeque<T>,
    under_way: usize,
}

impl<T> Turns<T> {
    pub(super) fn new(shared: usize) -> Self {
        Self { shared, shared_busy: 0, services: HashMap::new(), turns: VecDeque::new() }
    }

    /// Has at least so many tasks be under way beyond the first of each service.
    pub(super) fn share(&mut self, shared: usize) {
        self.shared = self.shared.max(shared);
    }

    pub(super) fn push(&mut self, service: &Arc<str>, task: T) {
        let tasks = self.services.entry(Arc::clone(service)).or_default();
        if tasks.waiting.is_empty() {
            self.turns.push_back(Arc::clone(service));
        }
        tasks.waiting.push_back(task);
    }

    /// The task that may begin now; [`Self::ended`] has to be told of its end.
    pub(super) fn next(&mut self) -> Option<(Arc<str>, T)> {
        let may_share = self.shared_busy < self.shared;
        let may_begin = |service| may_share || self.services[service].under_way == 0;
        let place = self.turns.iter().position(may_begin)?;
        let service = self.turns.remove(place)?;
        let tasks = self.services.get_mut(&service)?;
        let task = tasks.waiting.pop_front()?;
        self.shared_busy += usize::from(tasks.under_way > 0);
        tasks.under_way += 1;
        if !tasks.waiting.is_empty() {
            self.turns.push_back(Arc::clone(&service));
        }
        Some((service, task))
    }

    /// A task of the service is done. At most one of those that wait may begin for it.
    pub(super) fn ended(&mut self, service: &Arc<str>) {
        let Some(tasks) = self.services.get_mut(service) else { return };
        tasks.under_way -= 1;
        self.shared_busy -= usize::from(tasks.under_way > 0);
        if tasks.under_way == 0 && tasks.waiting.is_empty() {
            self.services.remove(service);
        }
    }

    /// How many tasks are under way, and how many wait.
    pub(super) fn load(&self) -> (usize, usize) {
        let tasks = self.services.values();
        tasks.fold((0, 0), |(busy, waiting), tasks| {
            (busy + tasks.under_way, waiting + tasks.waiting.len())
        })
    }

    /// All that waits.
    pub(super) fn take_waiting(&mut self) -> Vec<(Arc<str>, T)> {
        self.turns.clear();
        let tasks_of = |(service, tasks): (&Arc<str>, &mut Tasks<T>)| {
            let waiting = tasks.waiting.drain(..);
            waiting.map(|task| (Arc::clone(service), task)).collect::<Vec<_>>()
        };
        self.services.iter_mut().flat_map(tasks_of).collect()
    }
}

impl<T> Default for Tasks<T> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), under_way: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pushes a task for each letter, which stands for its service.
    fn turns(shared: usize, tasks: &str) -> Turns<usize> {
        let mut turns = Turns::new(shared);
        for (number, service) in tasks.char_indices() {
            turns.push(&service.to_string().into(), number);
        }
        turns
    }

    /// The tasks that begin while none ends.
    fn begun(turns: &mut Turns<usize>) -> Vec<usize> {
        std::iter::from_fn(|| turns.next()).map(|(_, task)| task).collect()
    }

    #[test]
    fn services_take_turns_and_keep_their_order() {
        let mut turns = turns(9, "aaaabbc");
        assert_eq!(turns.load(), (0, 7));
        assert_eq!(begun(&mut turns), [0, 4, 6, 1, 5, 2, 3]);
        assert_eq!(turns.load(), (7, 0));
    }

    #[test]
    fn the_first_of_each_service_begins_whatever_others_do() {
        let mut turns = turns(2, "aaaaaa");
        assert_eq!(begun(&mut turns), [0, 1, 2]);
        turns.push(&"b".into(), 10);
        turns.push(&"b".into(), 11);
        turns.push(&"c".into(), 12);
        assert_eq!(begun(&mut turns), [10, 12]);
    }

    #[test]
    fn one_end_lets_one_begin() {
        let mut turns = turns(1, "aaaabb");
        assert_eq!(begun(&mut turns), [0, 4, 1]);
        turns.ended(&"a".into());
        // The shared thread is free, and the next turn is the other service's.
        assert_eq!(begun(&mut turns), [5]);
        turns.ended(&"a".into());
        assert_eq!(begun(&mut turns), [2]);
        turns.ended(&"b".into());
        turns.ended(&"b".into());
        assert_eq!(begun(&mut turns), [3]);
        turns.ended(&"a".into());
        turns.ended(&"a".into());
        assert!(turns.services.is_empty() && turns.turns.is_empty() && turns.shared_busy == 0);
    }

    #[test]
    fn without_shared_threads_a_service_has_one_task_under_way() {
        let mut turns = turns(0, "aaab");
        assert_eq!(begun(&mut turns), [0, 3]);
        turns.ended(&"a".into());
        assert_eq!(begun(&mut turns), [1]);
        let mut left = turns.take_waiting();
        left.sort_unstable();
        assert_eq!(left, [("a".into(), 2)]);
        assert_eq!(begun(&mut turns), [0; 0]);
    }
}
