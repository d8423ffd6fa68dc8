//! The echo protocol (RFC 862), over streams and datagrams: what comes in goes out.
//!
//! This file is the protocol, which knows no host; `component.rs` joins it to one.
#![forbid(unsafe_code)]

mod component;

/// One connection's flow control: takes no more from a peer that doesn't take its echo.
#[derive(Debug, Default)]
pub struct Echo {
    /// At least so much room the transport has. Asking it costs a call of the host, and only
    /// writes make its room smaller, so it is asked again when this is used up.
    room: u64,
    paused: bool,
}

impl Echo {
    /// `length` bytes were written back; `room` asks the transport how many more it takes.
    /// Returns what to do with the peer's data.
    pub fn echoed(&mut self, length: usize, room: impl FnOnce() -> u64) -> Option<Flow> {
        self.room = self.room.saturating_sub(length as u64);
        if self.room > 0 {
            return None;
        }
        self.room = room();
        if self.room > 0 || self.paused {
            return None;
        }
        self.paused = true;
        Some(Flow::Pause)
    }

    /// The peer is taking bytes again. Returns what to do with its data.
    pub fn drained(&mut self) -> Option<Flow> {
        if !self.paused {
            return None;
        }
        self.paused = false;
        Some(Flow::Resume)
    }
}

/// A change to the stream of data from the peer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Flow {
    /// Take no more of it.
    Pause,
    /// Take it again.
    Resume,
}

#[cfg(test)]
mod tests {
    use super::{Echo, Flow};

    #[test]
    fn a_peer_that_takes_its_echo_is_never_paused() {
        let mut echo = Echo::default();
        for room in [65_536, 1, 65_536] {
            assert_eq!(echo.echoed(65_536, || room), None);
        }
        assert_eq!(echo.drained(), None);
    }

    #[test]
    fn a_slow_peer_is_paused_once_and_resumed_once() {
        let mut echo = Echo::default();
        assert_eq!(echo.echoed(64, || 0), Some(Flow::Pause));
        assert_eq!(echo.echoed(64, || 0), None, "data that was under way when it was paused");
        assert_eq!(echo.drained(), Some(Flow::Resume));
        assert_eq!(echo.drained(), None);
        assert_eq!(echo.echoed(64, || 0), Some(Flow::Pause));
    }

    #[test]
    fn room_is_asked_for_when_the_last_answer_is_used_up() {
        let mut echo = Echo::default();
        assert_eq!(echo.echoed(100, || 150), None);
        assert_eq!(echo.echoed(100, || panic!("50 are left")), None);
        assert_eq!(echo.echoed(49, || 1), None);
        assert_eq!(echo.echoed(1, || 0), Some(Flow::Pause));
    }
}
