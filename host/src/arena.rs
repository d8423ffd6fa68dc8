//! Slots that are named by an index and the number of times it was used.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

/// The name of a `T` in an [`Arena`]. An old name never finds a new value, until its slot has been
/// used 2³¹ times.
pub(crate) struct Id<T> {
    index: u32,
    generation: u32,
    of: PhantomData<fn() -> T>,
}

/// Owns values, and names them.
pub(crate) struct Arena<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
    len: usize,
}

struct Slot<T> {
    generation: u32,
    value: Option<T>,
}

impl<T> Arena<T> {
    /// A name for a value that [`Arena::fill`] brings later.
    pub(crate) fn reserve(&mut self) -> Id<T> {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, value: None });
            u32::try_from(self.slots.len() - 1).expect("an arena has less than 2³² slots")
        });
        Id::new(index, self.slots[index as usize].generation)
    }

    /// Puts `value` where `id` was reserved.
    pub(crate) fn fill(&mut self, id: Id<T>, value: T) {
        let slot = &mut self.slots[id.index as usize];
        assert!(
            slot.generation == id.generation && slot.value.is_none(),
            "{id:?} is reserved, and not filled yet"
        );
        slot.value = Some(value);
        self.len += 1;
    }

    /// Gives a reserved name back that was not filled.
    pub(crate) fn release(&mut self, id: Id<T>) {
        let slot = &mut self.slots[id.index as usize];
        assert!(
            slot.generation == id.generation && slot.value.is_none(),
            "{id:?} is reserved, and not filled"
        );
        self.retire(id.index);
    }

    pub(crate) fn insert(&mut self, value: T) -> Id<T> {
        let id = self.reserve();
        self.fill(id, value);
        id
    }

    pub(crate) fn remove(&mut self, id: Id<T>) -> Option<T> {
        let slot = self.slots.get_mut(id.index as usize)?;
        if slot.generation != id.generation {
            return None;
        }
        let value = slot.value.take()?;
        self.len -= 1;
        self.retire(id.index);
        Some(value)
    }

    pub(crate) fn get(&self, id: Id<T>) -> Option<&T> {
        let slot = self.slots.get(id.index as usize)?;
        slot.value.as_ref().filter(|_| slot.generation == id.generation)
    }

    pub(crate) fn get_mut(&mut self, id: Id<T>) -> Option<&mut T> {
        let slot = self.slots.get_mut(id.index as usize)?;
        slot.value.as_mut().filter(|_| slot.generation == id.generation)
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = Id<T>> + '_ {
        self.slots
            .iter()
            .zip(0..)
            .filter(|(slot, _)| slot.value.is_some())
            .map(|(slot, index)| Id::new(index, slot.generation))
    }

    fn retire(&mut self, index: u32) {
        let slot = &mut self.slots[index as usize];
        slot.generation = (slot.generation + 1) & GENERATIONS;
        self.free.push(index);
    }
}

impl<T> Default for Arena<T> {
    fn default() -> Self {
        Self { slots: Vec::new(), free: Vec::new(), len: 0 }
    }
}

impl<T> Id<T> {
    fn new(index: u32, generation: u32) -> Self {
        Self { index, generation, of: PhantomData }
    }

    /// The name as a number below 2⁶³: the top bit is free for the caller.
    pub(crate) fn to_u64(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }

    pub(crate) fn from_u64(n: u64) -> Self {
        Self::new(n as u32, (n >> 32) as u32 & GENERATIONS)
    }
}

impl<T> Clone for Id<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Id<T> {}

impl<T> PartialEq for Id<T> {
    fn eq(&self, other: &Self) -> bool {
        self.to_u64() == other.to_u64()
    }
}

impl<T> Eq for Id<T> {}

impl<T> Hash for Id<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.to_u64().hash(state);
    }
}

impl<T> PartialOrd for Id<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Id<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.to_u64().cmp(&other.to_u64())
    }
}

impl<T> fmt::Debug for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}.{}", self.index, self.generation)
    }
}

/// Generations have 31 bits, so that a name leaves the top bit of its number free.
const GENERATIONS: u32 = u32::MAX >> 1;

#[cfg(test)]
mod tests {
    use super::{Arena, Id};

    #[test]
    fn an_old_name_never_finds_a_new_value() {
        let mut arena = Arena::default();
        let old = arena.insert("old");
        assert_eq!(arena.remove(old), Some("old"));
        let new = arena.insert("new");
        assert_eq!(arena.remove(old), None);
        assert_eq!((arena.get(old), arena.get(new)), (None, Some(&"new")));
    }

    #[test]
    fn a_reserved_name_is_empty_until_it_is_filled_and_void_once_released() {
        let mut arena = Arena::default();
        let id = arena.reserve();
        assert_eq!((arena.get(id), arena.len()), (None, 0));
        arena.fill(id, 1);
        assert_eq!((arena.get(id), arena.len()), (Some(&1), 1));
        let other = arena.reserve();
        arena.release(other);
        assert_ne!(arena.reserve(), other);
    }

    #[test]
    fn a_name_survives_being_a_number() {
        let id = Id::<u8>::new(7, super::GENERATIONS);
        assert_eq!(Id::from_u64(id.to_u64()), id);
        assert!(id.to_u64() < 1 << 63);
    }
}
