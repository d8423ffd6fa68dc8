//! The connections of an instance, each in a place of its own, and when each is to be looked at.
//!
//! One alarm serves them all: a timer for each would cost the guest and the host more memory
//! than all else that an idle connection needs.

/// Values, each in a place of its own, and when each is due. `T` names a connection.
#[derive(Debug)]
pub struct Places<T> {
    values: Vec<Option<T>>,
    /// When each is due, in nanoseconds; `u64::MAX` for never. Apart from the values, so that
    /// little memory is read to look through all.
    dues: Vec<u64>,
    /// The places that are free.
    free: Vec<usize>,
}

impl<T> Default for Places<T> {
    fn default() -> Self {
        Self { values: Vec::new(), dues: Vec::new(), free: Vec::new() }
    }
}

impl<T: Clone> Places<T> {
    /// Gives a value a place, where it is never due.
    pub fn add(&mut self, value: T) -> usize {
        if let Some(place) = self.free.pop() {
            self.values[place] = Some(value);
            return place;
        }
        self.values.push(Some(value));
        self.dues.push(u64::MAX);
        self.values.len() - 1
    }

    /// Frees a place.
    pub fn remove(&mut self, place: usize) {
        self.values[place] = None;
        self.dues[place] = u64::MAX;
        self.free.push(place);
    }

    /// All values.
    pub fn all(&self) -> Vec<T> {
        self.values.iter().flatten().cloned().collect()
    }

    /// Makes the value in a place due at this time, where it was not to be earlier.
    pub fn watch(&mut self, place: usize, due: u64) {
        let before = &mut self.dues[place];
        *before = due.min(*before);
    }

    /// The first time at which a value is due; none where none is.
    pub fn first_due(&self) -> Option<u64> {
        self.dues.iter().copied().min().filter(|&due| due != u64::MAX)
    }

    /// The values that are due now; until they are watched again they are never due.
    pub fn take_due(&mut self, now: u64) -> Vec<T> {
        let mut taken = Vec::new();
        for (due, value) in self.dues.iter_mut().zip(&self.values) {
            if *due <= now {
                *due = u64::MAX;
                taken.extend(value.clone());
            }
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::Places;

    #[test]
    fn places_are_used_again() {
        let mut places = Places::default();
        assert_eq!((places.add('a'), places.add('b'), places.add('c')), (0, 1, 2));
        places.watch(1, 5);
        places.remove(1);
        assert_eq!(places.all(), ['a', 'c']);
        assert_eq!(places.add('d'), 1);
        assert_eq!(places.first_due(), None);
        assert_eq!(places.all(), ['a', 'd', 'c']);
    }

    #[test]
    fn what_is_due_is_taken_once() {
        let mut places = Places::default();
        for (value, due) in [('a', 30), ('b', 10), ('c', 20)] {
            let place = places.add(value);
            places.watch(place, due);
            places.watch(place, due + 1);
        }
        assert_eq!(places.first_due(), Some(10));
        assert_eq!(places.take_due(20), ['b', 'c']);
        assert_eq!(places.first_due(), Some(30));
        assert!(places.take_due(20).is_empty());
        places.watch(1, 25);
        assert_eq!(places.first_due(), Some(25));
    }
}
