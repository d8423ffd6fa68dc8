//! Dropping what owns more of its kind, without a recursion.

use std::any::Any;
use std::cell::RefCell;

thread_local! {
    /// What chains owned that are being dropped; none while nothing is.
    static GRAVE: RefCell<Option<Vec<Box<dyn Any>>>> = const { RefCell::new(None) };
}

/// Drops what a chain owned, which may be chains in turn: one after another, not one within the
/// other, however deep they are nested.
pub(super) fn bury(state: Box<dyn Any>) {
    let mut state = Some(state);
    let is_first = GRAVE.try_with(|grave| match &mut *grave.borrow_mut() {
        Some(rest) => {
            rest.extend(state.take());
            false
        }
        none => {
            *none = Some(Vec::new());
            true
        }
    });
    if is_first != Ok(true) {
        // Here or there, it is being dropped.
        return;
    }
    while let Some(next) = state {
        drop(next);
        state = GRAVE.with_borrow_mut(|grave| grave.as_mut().and_then(Vec::pop));
    }
    GRAVE.set(None);
}
