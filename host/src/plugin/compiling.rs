//! Compiling takes a thread of its own, and no longer than it may: what is compiled can be made to
//! take very long. So can a schema.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use super::component::LoadError;

/// Does work, which has a name, on a thread of its own, and gives it up where it takes longer than
/// `most`, the limit `compile-time`. The thread
/// can't be ended: it goes on, with all that it owns, and what it comes to is dropped.
pub(super) fn within<T: Send + 'static>(
    most: Duration,
    what: &str,
    work: impl FnOnce() -> Result<T, LoadError> + Send + 'static,
) -> Result<T, LoadError> {
    let (sender, done) = mpsc::sync_channel(1);
    let run = move || {
        // Nobody may wait for it any more.
        let _ = sender.send(work());
    };
    thread::Builder::new()
        .name("torsade-compiler".into())
        .stack_size(STACK)
        .spawn(run)
        .map_err(|error| LoadError::new(format!("there is no thread for {what}: {error}")))?;
    done.recv_timeout(most).unwrap_or_else(|error| {
        Err(LoadError::new(match error {
            RecvTimeoutError::Timeout => {
                format!("{what} took more than {most:?} (limits.compile-time was reached)")
            }
            RecvTimeoutError::Disconnected => format!("{what} panicked"),
        }))
    })
}

/// The stack of the thread, in bytes: as large as that of a process's first.
const STACK: usize = 8 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_ends_in_time_is_taken() {
        assert_eq!(within(Duration::MAX, "it", || Ok(7)).unwrap(), 7);
        let refused = within::<()>(Duration::MAX, "it", || Err(LoadError::new("no".into())));
        assert_eq!(refused.unwrap_err().to_string(), "no");
    }

    #[test]
    fn work_without_end_is_given_up() {
        let (hold, held) = mpsc::channel::<()>();
        let stuck = move || {
            let _ = held.recv();
            Ok(())
        };
        let error =
            within(Duration::from_millis(1), "compiling it", stuck).unwrap_err().to_string();
        assert_eq!(error, "compiling it took more than 1ms (limits.compile-time was reached)");
        drop(hold);
    }

    #[test]
    fn a_panic_is_an_error() {
        let error =
            within::<()>(Duration::MAX, "compiling it", || panic!("as it should")).unwrap_err();
        assert_eq!(error.to_string(), "compiling it panicked");
    }
}
