//! What builds the protocols of connections that are being made, by the numbers of the deferreds
//! that stand for them. Knows nothing of the bindings, so that it can be tested outside of a
//! sandbox.

use std::any::Any;
use std::cell::{Cell, RefCell};

use crate::callbacks::Callbacks;

thread_local! {
    /// Each a [`Factory`] of some type.
    static FACTORIES: RefCell<Callbacks<Box<dyn Any>>> = const { RefCell::new(Callbacks::new()) };
    /// What takes one out; a pointer, so that a plugin that inserts none has none of the code.
    static TAKE: Cell<Option<Take>> = const { Cell::new(None) };
}

type Take = fn(u64) -> Option<Box<dyn Any>>;

/// Makes the protocol of a transport.
type Factory<T, P> = Box<dyn FnOnce(T) -> P>;

/// Keeps a factory for the connection of a deferred, until it is taken or its place is dropped.
pub(crate) fn insert<T: 'static, P: 'static>(
    id: u64,
    factory: impl FnOnce(T) -> P + 'static,
) -> Place {
    let factory: Factory<T, P> = Box::new(factory);
    FACTORIES.with_borrow_mut(|factories| factories.insert(id, Box::new(factory)));
    TAKE.set(Some(take_out));
    Place(id)
}

/// Takes the factory of a connection, where it has one.
pub(crate) fn take(id: u64) -> Option<Box<dyn Any>> {
    TAKE.get()?(id)
}

fn take_out(id: u64) -> Option<Box<dyn Any>> {
    FACTORIES.with_borrow_mut(|factories| factories.take(id))
}

/// Calls a factory that was taken. None where it makes the protocols of another plugin.
pub(crate) fn call<T: 'static, P: 'static>(factory: Box<dyn Any>, transport: T) -> Option<P> {
    let Ok(factory) = factory.downcast::<Factory<T, P>>() else {
        crate::error!("the factory of a connection makes another type than the plugin's protocol");
        return None;
    };
    Some(factory(transport))
}

/// A factory's place in the table. Dropping it drops the factory, where it was not taken.
pub(crate) struct Place(u64);

impl Drop for Place {
    fn drop(&mut self) {
        // Dropped outside of the borrow: a factory may own another place.
        drop(take_out(self.0));
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::{call, insert, take};
    use crate::testing::Lines;

    #[test]
    fn a_factory_makes_the_protocol_of_its_connection_once() {
        let _place = insert(1, |transport: u32| format!("protocol of {transport}"));
        assert!(take(2).is_none());
        let factory = take(1).unwrap();
        assert_eq!(call(factory, 7_u32), Some("protocol of 7".to_owned()));
        assert!(take(1).is_none());
    }

    #[test]
    fn a_factory_goes_with_its_place() {
        let owned = Rc::new(());
        let own = Rc::clone(&owned);
        let place = insert(3, move |_: u32| drop(own));
        assert_eq!(Rc::strong_count(&owned), 2);
        drop(place);
        assert_eq!(Rc::strong_count(&owned), 1);
        assert!(take(3).is_none());
    }

    #[test]
    fn a_factory_of_another_type_makes_nothing() {
        let lines = Lines::keep();
        let _place = insert(4, |_: u32| "a protocol");
        assert_eq!(call::<u32, String>(take(4).unwrap(), 7), None);
        assert_eq!(lines.take().len(), 1);
    }
}
