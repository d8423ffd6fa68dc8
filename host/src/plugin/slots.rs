//! A table of one kind of handle: what stands behind the numbers that wasmtime lends to a guest.

use wasmtime::component::Resource;
use wasmtime::{Result, bail};

/// Values by the number of their handle. wasmtime sees to it that a guest can only use numbers of
/// handles that it owns, so a slot needs no generation.
pub(crate) struct Slots<T> {
    values: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T: 'static> Slots<T> {
    /// Stores `value`, and makes the handle that owns it.
    pub(crate) fn push(&mut self, value: T) -> Resource<T> {
        let rep = match self.free.pop() {
            Some(rep) => {
                self.values[rep as usize] = Some(value);
                rep
            }
            None => {
                self.values.push(Some(value));
                u32::try_from(self.values.len() - 1).expect("handles are limited below 2³²")
            }
        };
        Resource::new_own(rep)
    }

    pub(crate) fn get(&self, handle: &Resource<T>) -> Result<&T> {
        match self.values.get(handle.rep() as usize) {
            Some(Some(value)) => Ok(value),
            _ => bail!("a handle names nothing"),
        }
    }

    pub(crate) fn get_mut(&mut self, handle: &Resource<T>) -> Result<&mut T> {
        match self.values.get_mut(handle.rep() as usize) {
            Some(Some(value)) => Ok(value),
            _ => bail!("a handle names nothing"),
        }
    }

    /// Takes the value whose owning handle came back.
    pub(crate) fn take(&mut self, handle: &Resource<T>) -> Result<T> {
        match self.values.get_mut(handle.rep() as usize).and_then(Option::take) {
            Some(value) => {
                self.free.push(handle.rep());
                Ok(value)
            }
            None => bail!("a handle names nothing"),
        }
    }

    /// The value in slot `rep`, if there is one.
    pub(crate) fn at(&mut self, rep: u32) -> Option<&mut T> {
        self.values.get_mut(rep as usize)?.as_mut()
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len() - self.free.len()
    }
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { values: Vec::new(), free: Vec::new() }
    }
}
