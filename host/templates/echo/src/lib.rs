//! What comes in goes out (RFC 862), but no faster than the peer takes it.
//!
//! This file is the protocol, as a value that knows no host; `component.rs` joins it to one.
#![forbid(unsafe_code)]

pub mod component;

/// One connection: whether its peer is waited for.
#[derive(Debug, Default)]
pub struct Echo {
    is_paused: bool,
}

impl Echo {
    /// Something was sent back, and so much room is left. Says whether the peer is to be paused.
    pub fn pauses(&mut self, room: u64) -> bool {
        room == 0 && !std::mem::replace(&mut self.is_paused, true)
    }

    /// The peer takes bytes again. Says whether it is to go on.
    pub fn goes_on(&mut self) -> bool {
        std::mem::take(&mut self.is_paused)
    }
}

#[cfg(test)]
mod tests {
    use super::Echo;

    #[test]
    fn a_slow_peer_is_paused_once() {
        let mut echo = Echo::default();
        assert!(!echo.pauses(1));
        assert!(echo.pauses(0));
        assert!(!echo.pauses(0));
        assert!(echo.goes_on());
        assert!(!echo.goes_on());
    }
}
