//! The host's end of a transport: in a sandbox the host's own, elsewhere one of a test's bench.

use crate::bindings::torsade::plugin::transports;
use crate::types::{Address, Failure};

#[cfg(not(target_family = "wasm"))]
use {crate::testing::StringTransport, crate::types::code, std::rc::Rc};

/// What stands behind a [`Transport`](crate::Transport).
pub(crate) enum Handle {
    Host(transports::Transport),
    #[cfg(not(target_family = "wasm"))]
    Bench(Rc<StringTransport>),
}

impl Handle {
    /// The host's own, for what only that can do.
    pub(crate) fn of_the_host(&self) -> Result<&transports::Transport, Failure> {
        match self {
            Handle::Host(handle) => Ok(handle),
            #[cfg(not(target_family = "wasm"))]
            Handle::Bench(_) => Err(Failure::new(code::UNSUPPORTED, "a bench has no such thing")),
        }
    }
}

/// Methods that both have.
macro_rules! both {
    ($($name:ident($($argument:ident: $type:ty)?) $(-> $result:ty)?;)+) => {
        impl Handle {
            $(pub(crate) fn $name(&self, $($argument: $type)?) $(-> $result)? {
                match self {
                    Handle::Host(handle) => handle.$name($($argument)?),
                    #[cfg(not(target_family = "wasm"))]
                    Handle::Bench(transport) => transport.$name($($argument)?),
                }
            })+
        }
    };
}

both! {
    write(data: &[u8]);
    lose_connection();
    abort_connection();
    lose_write_connection() -> Result<(), Failure>;
    pause_producing();
    resume_producing();
    room() -> u64;
    local_address() -> Address;
    peer_address() -> Address;
    set_no_delay(on: bool) -> Result<(), Failure>;
    set_keep_alive(on: bool) -> Result<(), Failure>;
}
