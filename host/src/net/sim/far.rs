//! The far side of the simulated network: what a test does as a peer, and what it sees.

use std::mem;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::wire::{Packet, Wire};
use super::{Far, SimNet, Source, To, amount};
use crate::net::Address;

impl SimNet {
    /// Connects to the `listener`-th listener; where it is closed, the far end sees a reset.
    pub fn connect(&mut self, listener: usize) -> Far {
        assert!(listener < self.listeners.len(), "there is a listener {listener}");
        let local = self.local_of(&self.listeners[listener].address);
        self.call_near(Some(listener), local)
    }

    /// Has a far end that was not accepted yet come from `ip`, and not from an address of its own.
    pub fn come_from(&mut self, far: Far, ip: IpAddr) {
        self.wires[far.0].from = Some(ip);
    }

    /// Connects to who listens at an address; where nobody does, the far end sees a reset.
    pub fn connect_to(&mut self, address: &Address) -> Far {
        self.call_near(self.listener_at(address), address.clone())
    }

    fn call_near(&mut self, listener: Option<usize>, local: Address) -> Far {
        self.wires.push(Wire::new(listener, local));
        let wire = self.wires.len() - 1;
        self.launch(wire, To::Near, Packet::Syn);
        Far(wire)
    }

    /// Sends `data`, as fast as the near end's window allows. Nothing is sent after
    /// [`SimNet::shut_down`], or once the connection is lost.
    pub fn send(&mut self, far: Far, data: &[u8]) {
        let end = &mut self.wires[far.0].far;
        if !end.ending && !end.closed && !end.saw_reset {
            end.unsent.extend(data);
        }
        self.pump(far.0);
    }

    /// Takes what has arrived since the last call, and was read.
    pub fn received(&mut self, far: Far) -> Vec<u8> {
        mem::take(&mut self.wires[far.0].far.got)
    }

    /// Stops or starts reading. While it is stopped, a window's worth of bytes can arrive.
    pub fn set_reading(&mut self, far: Far, reading: bool) {
        self.wires[far.0].far.reading = reading;
        self.drain(far.0);
    }

    /// Ends the far half of the stream, behind all that was sent.
    pub fn shut_down(&mut self, far: Far) {
        let end = &mut self.wires[far.0].far;
        end.ending |= !end.closed && !end.saw_reset;
        self.pump(far.0);
    }

    /// Closes the far end: as [`SimNet::shut_down`], and bytes that still arrive are answered by a
    /// reset. Where bytes wait unread, it is a reset at once.
    pub fn hang_up(&mut self, far: Far) {
        let wire = &self.wires[far.0];
        if wire.far.closed {
            return;
        }
        if wire.to_far.arrived.is_empty() {
            self.shut_down(far);
            self.wires[far.0].far.closed = true;
        } else {
            self.reset_by_far(far.0);
        }
    }

    /// Resets the connection. What is under way to the near end may be lost.
    pub fn reset(&mut self, far: Far) {
        self.reset_by_far(far.0);
    }

    /// True once the far end has read all there is, up to the end of the stream.
    pub fn far_saw_end(&self, far: Far) -> bool {
        let pipe = &self.wires[far.0].to_far;
        pipe.ended && pipe.arrived.is_empty()
    }

    /// True once a reset has reached the far end.
    pub fn far_saw_reset(&self, far: Far) -> bool {
        self.wires[far.0].far.saw_reset
    }

    /// How many bytes the far end was told to send and could not yet: the near end doesn't read.
    pub fn unsent(&self, far: Far) -> usize {
        self.wires[far.0].far.unsent.len()
    }

    /// How many bytes the near end has written.
    pub fn written(&self, far: Far) -> u64 {
        self.wires[far.0].to_far.entered
    }

    /// Whether the near end was accepted, or began the connection.
    pub fn accepted(&self, far: Far) -> bool {
        self.wires[far.0].near.accepted
    }

    /// The address by which the near end knows a far one that connected to it over TCP.
    pub fn far_address(far: Far) -> Address {
        let host = Ipv4Addr::from_bits(0x0a00_0002 + far.0 as u32);
        Address::Tcp(SocketAddr::from((host, 40_000 + (far.0 % 20_000) as u16)))
    }

    pub(super) fn land_far(&mut self, wire: usize, packet: Packet) {
        let Wire { far, to_far, near, .. } = &mut self.wires[wire];
        match packet {
            Packet::Data(_) if far.saw_reset || near.reset => {}
            Packet::Data(_) if far.closed => return self.reset_by_far(wire),
            Packet::Data(data) => to_far.arrived.extend(data),
            Packet::Fin => to_far.ended = true,
            Packet::Reset => {
                far.saw_reset = true;
                far.ending = false;
                far.unsent.clear();
                to_far.lose_unread(&mut self.seed);
            }
            Packet::Syn => return self.answer(wire),
            Packet::SynAck | Packet::Unreachable => unreachable!("the far end is no kernel"),
        }
        self.drain(wire);
    }

    /// Sends what the far end has to send and the near end has room for.
    pub(super) fn pump(&mut self, wire: usize) {
        loop {
            let Wire { far, to_near, .. } = &mut self.wires[wire];
            let most = far.unsent.len().min(to_near.room(self.conditions.window));
            if most == 0 {
                break;
            }
            let length = amount(&mut self.seed, self.conditions.cut, most);
            let data = far.unsent.drain(..length).collect();
            self.launch(wire, To::Near, Packet::Data(data));
        }
        let Wire { far, to_near, .. } = &self.wires[wire];
        if far.ending && far.unsent.is_empty() && !to_near.fin_sent {
            self.launch(wire, To::Near, Packet::Fin);
        }
    }

    pub(super) fn drain(&mut self, wire: usize) {
        if self.wires[wire].drain(self.conditions.window) {
            self.edge(Source::Wire(wire));
        }
    }

    pub(super) fn reset_by_far(&mut self, wire: usize) {
        let Wire { far, to_near, .. } = &mut self.wires[wire];
        far.closed = true;
        far.ending = false;
        far.unsent.clear();
        to_near.lose_tail(&mut self.seed);
        self.launch(wire, To::Near, Packet::Reset);
    }
}
