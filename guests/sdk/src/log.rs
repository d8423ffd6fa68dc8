//! Lines in the host's log. Each carries the service, and the peer of the connection whose event
//! is running. Write them with [`error!`](crate::error!), [`warn!`](crate::warn!),
//! [`info!`](crate::info!), [`debug!`](crate::debug!) and [`trace!`](crate::trace!).

use std::fmt::Arguments;
use std::panic::{self, PanicHookInfo};

use crate::bindings::torsade::plugin::log as host;
use crate::testing;

pub use crate::bindings::torsade::plugin::log::Level;

/// Writes a line, where the host would write one of this level. What is beyond 8 KiB is cut off,
/// and an event may write 64 lines. Outside of a sandbox, in a test, it goes to the standard error.
pub fn write(level: Level, line: Arguments<'_>) {
    if let Some(keep) = testing::keeper() {
        return keep(level, &line.to_string());
    }
    if cfg!(not(target_family = "wasm")) {
        return eprintln!("{level:?}: {line}");
    }
    if host::enabled(level) {
        match line.as_str() {
            Some(line) => host::write(level, line),
            None => host::write(level, &line.to_string()),
        }
    }
}

/// Whether the host would write a line of this level: to save work that only the line needs.
pub fn enabled(level: Level) -> bool {
    cfg!(not(target_family = "wasm")) || testing::keeper().is_some() || host::enabled(level)
}

/// Something is wrong, and somebody should look.
#[macro_export]
macro_rules! error {
    ($($line:tt)+) => {
        $crate::log::write($crate::log::Level::Error, ::core::format_args!($($line)+))
    };
}

/// Something is odd, and the plugin went on.
#[macro_export]
macro_rules! warn {
    ($($line:tt)+) => {
        $crate::log::write($crate::log::Level::Warn, ::core::format_args!($($line)+))
    };
}

/// What an operator wants to know.
#[macro_export]
macro_rules! info {
    ($($line:tt)+) => {
        $crate::log::write($crate::log::Level::Info, ::core::format_args!($($line)+))
    };
}

/// What a developer wants to know.
#[macro_export]
macro_rules! debug {
    ($($line:tt)+) => {
        $crate::log::write($crate::log::Level::Debug, ::core::format_args!($($line)+))
    };
}

/// Every step.
#[macro_export]
macro_rules! trace {
    ($($line:tt)+) => {
        $crate::log::write($crate::log::Level::Trace, ::core::format_args!($($line)+))
    };
}

/// Has the message and the place of a panic logged. The panic itself ends as a trap, of which the
/// host knows only the backtrace.
pub(crate) fn log_panics() {
    panic::set_hook(Box::new(|panic: &PanicHookInfo<'_>| {
        let message = panic.payload_as_str().unwrap_or("a panic without a message");
        match panic.location() {
            Some(place) => crate::error!("panicked at {place}: {message}"),
            None => crate::error!("panicked: {message}"),
        }
    }));
}
