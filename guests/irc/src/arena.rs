//! Values in slots, each with a number that is never used again.

/// Values by number. A number is a generation above the index of a slot, so that an old one finds
/// nothing.
#[derive(Debug)]
pub(crate) struct Arena<T> {
    slots: Vec<Slot<T>>,
    /// The slots that are free.
    free: Vec<u32>,
}

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    value: Option<T>,
}

impl<T> Arena<T> {
    pub(crate) fn new() -> Self {
        Arena { slots: Vec::new(), free: Vec::new() }
    }

    pub(crate) fn insert(&mut self, value: T) -> u64 {
        if let Some(index) = self.free.pop() {
            let slot = &mut self.slots[index as usize];
            slot.value = Some(value);
            return number(index as usize, slot.generation);
        }
        self.slots.push(Slot { generation: 0, value: Some(value) });
        number(self.slots.len() - 1, 0)
    }

    pub(crate) fn get(&self, number: u64) -> Option<&T> {
        let slot = self.slots.get(index(number))?;
        if slot.generation == generation(number) { slot.value.as_ref() } else { None }
    }

    pub(crate) fn get_mut(&mut self, number: u64) -> Option<&mut T> {
        let slot = self.slots.get_mut(index(number))?;
        if slot.generation == generation(number) { slot.value.as_mut() } else { None }
    }

    pub(crate) fn remove(&mut self, number: u64) -> Option<T> {
        let slot = self.slots.get_mut(index(number))?;
        if slot.generation != generation(number) {
            return None;
        }
        let value = slot.value.take()?;
        // The last generation of a slot is also the last use of it.
        if let Some(next) = slot.generation.checked_add(1) {
            slot.generation = next;
            self.free.push(index(number) as u32);
        }
        Some(value)
    }

    /// All values with their numbers, by index.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &T)> {
        self.from(0).map(|(_, number, value)| (number, value))
    }

    /// The values from an index on, each with its index and number: what goes through all values in
    /// steps, while they come and go, keeps the index.
    pub(crate) fn from(&self, start: usize) -> impl Iterator<Item = (usize, u64, &T)> {
        let slots = self.slots.iter().enumerate().skip(start);
        slots.filter_map(|(index, slot)| {
            let value = slot.value.as_ref()?;
            Some((index, number(index, slot.generation), value))
        })
    }
}

fn number(index: usize, generation: u32) -> u64 {
    u64::from(generation) << 32 | index as u64
}

pub(crate) fn index(number: u64) -> usize {
    number as u32 as usize
}

fn generation(number: u64) -> u32 {
    (number >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::Arena;

    #[test]
    fn an_old_number_never_finds_a_new_value() {
        let mut arena = Arena::new();
        let first = arena.insert("first");
        assert_eq!(arena.remove(first), Some("first"));
        let second = arena.insert("second");
        assert_ne!(first, second);
        assert_eq!((arena.get(first), arena.get(second)), (None, Some(&"second")));
        assert_eq!((arena.remove(first), arena.iter().count()), (None, 1));
    }
}
