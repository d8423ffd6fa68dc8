//! `async` and `.await` over deferreds.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use super::chain::Chain;
use super::{Deferred, Firing, unpack};
use crate::turn;
use crate::types::Failure;

/// A deferred can be awaited. It belongs to the future that awaits it: when that is dropped, so is
/// the deferred.
impl<T: 'static> Future for Deferred<T> {
    type Output = Result<T, Failure>;

    #[track_caller]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.chain().poll(context.waker()) {
            Some(outcome) => Poll::Ready(unpack(outcome)),
            None => Poll::Pending,
        }
    }
}

impl<T: 'static> Deferred<T> {
    /// The deferred of a future: Twisted's `ensureDeferred`. The future runs at once up to the
    /// first `.await` that has to wait, and goes on when that has its result. Cancelling or
    /// dropping the deferred drops the future, and so gives up what it awaits.
    ///
    /// The future must be woken on this thread; what other crates make of futures (`join!`,
    /// `select!`) works.
    ///
    /// ```
    /// use torsade_guest::Deferred;
    ///
    /// let (quad, firing) = Deferred::pending();
    /// let mut number = Deferred::from_future(async {
    ///     let quad: [u8; 4] = quad.await?;
    ///     Ok(u32::from_be_bytes(quad))
    /// });
    /// firing.callback([127, 0, 0, 1]);
    /// assert_eq!(number.take(), Some(Ok(0x7f00_0001)));
    /// ```
    #[track_caller]
    pub fn from_future(future: impl Future<Output = Result<T, Failure>> + 'static) -> Self {
        let (deferred, task) = Self::of_future(future);
        task.poll();
        deferred
    }

    /// The same, but the future begins to run when the running event is over.
    #[track_caller]
    pub(crate) fn from_future_soon(
        future: impl Future<Output = Result<T, Failure>> + 'static,
    ) -> Self {
        let (deferred, task) = Self::of_future(future);
        task.poll_soon();
        deferred
    }

    #[track_caller]
    fn of_future(future: impl Future<Output = Result<T, Failure>> + 'static) -> (Self, Rc<Task>) {
        let (chain, core) = Chain::pending(Location::caller());
        let firing = Firing::new(core.clone());
        let task = Task::new(async move {
            let result = future.await;
            Box::new(move || firing.fire(result)) as Ending
        });
        let owned = Rc::clone(&task);
        if let Some(core) = core.upgrade() {
            core.set_source(owned);
        }
        (Self::of(chain), task)
    }
}

/// What is done with a future's result, once the future is dropped.
type Ending = Box<dyn FnOnce()>;

/// A future, and what wakes it. It is owned by the chain that waits for it.
struct Task {
    /// None while it is polled, and once it is ready.
    future: RefCell<Option<Pin<Box<dyn Future<Output = Ending>>>>>,
    number: u64,
    /// Whether it is about to be polled.
    is_woken: Cell<bool>,
}

thread_local! {
    /// The tasks of this thread, by the numbers in their wakers: a waker must be `Send`.
    static TASKS: RefCell<BTreeMap<u64, Weak<Task>>> = const { RefCell::new(BTreeMap::new()) };
    static MADE: Cell<u64> = const { Cell::new(0) };
}

impl Task {
    fn new(future: impl Future<Output = Ending> + 'static) -> Rc<Self> {
        let number = MADE.get();
        MADE.set(number + 1);
        let future = RefCell::new(Some(Box::pin(future) as _));
        let task = Rc::new(Task { future, number, is_woken: Cell::new(false) });
        TASKS.with_borrow_mut(|tasks| tasks.insert(number, Rc::downgrade(&task)));
        task
    }

    fn poll_soon(self: &Rc<Self>) {
        if !self.is_woken.replace(true) {
            let task = Rc::downgrade(self);
            turn::soon(move || {
                if let Some(task) = task.upgrade() {
                    task.poll();
                }
            });
        }
    }

    fn poll(self: Rc<Self>) {
        self.is_woken.set(false);
        let taken = self.future.borrow_mut().take();
        let Some(mut future) = taken else { return };
        let waker = Waker::from(Arc::new(Number(self.number)));
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(end) => {
                drop(future);
                end();
            }
            // Alone it was given up in the meantime, and the future goes with it.
            Poll::Pending if Rc::strong_count(&self) > 1 => {
                *self.future.borrow_mut() = Some(future);
            }
            Poll::Pending => {}
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        // At the thread's end the table may be gone first.
        let _ = TASKS.try_with(|tasks| tasks.borrow_mut().remove(&self.number));
    }
}

/// A task by number.
struct Number(u64);

impl Wake for Number {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let task = TASKS.with_borrow(|tasks| tasks.get(&self.0).and_then(Weak::upgrade));
        if let Some(task) = task {
            task.poll_soon();
        }
    }
}
