// SPDX-License-Identifier: GPL-2.0

//! *switch*: what one port sends, all others receive. It does not learn addresses,
//! so it floods as a hub does; the ports filter.
//!
//! Headers pass through with all offloads. A port that has not negotiated one gets
//! the frame with its checksum completed, or cut into segments ([`fit`]).

use super::{Frame, Output, Refused};
use crate::net::offload::fit;
use serde::Serialize;
use std::collections::VecDeque;

/// Frames that wait for a port without receive buffers, as a tap's queue does.
const WAITING: usize = 1000;

/// Frames that the switch lost on their way to a port.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Lost {
    /// The port took none for too long.
    pub overrun: u64,
    /// It does not fit the port's buffers.
    pub too_long: u64,
}

/// Joins ports.
#[derive(Debug, Default)]
pub struct Switch {
    /// By receiving port.
    ports: Vec<Outbound>,
}

#[derive(Debug, Default)]
struct Outbound {
    waiting: VecDeque<(usize, Frame)>,
    lost: Lost,
}

impl Switch {
    /// A switch without ports; they come as frames do.
    pub fn new() -> Self {
        Self::default()
    }

    /// What was lost, by receiving port.
    pub fn lost(&self, port: usize) -> Lost {
        self.ports
            .get(port)
            .map_or_else(Lost::default, |port| port.lost.clone())
    }

    /// Gives a frame to all other ports.
    pub fn received(&mut self, port: usize, pair: usize, frame: &Frame, out: &mut dyn Output) {
        for to in (0..out.ports()).filter(|to| *to != port) {
            self.forward(to, pair, frame.clone(), out);
        }
    }

    /// Gives a frame to one port.
    pub fn forward(&mut self, to: usize, pair: usize, frame: Frame, out: &mut dyn Output) {
        if self.ports.len() <= to {
            self.ports.resize_with(to + 1, Outbound::default);
        }
        let outbound = &mut self.ports[to];
        // Cut here, so that a port which is full takes the rest later.
        for frame in fit(frame, out.offloads(to)) {
            outbound.put(pair, frame);
        }
        outbound.drain(to, out);
    }

    /// Tries again what waits.
    pub fn tick(&mut self, out: &mut dyn Output) {
        for (to, outbound) in self.ports.iter_mut().enumerate() {
            outbound.drain(to, out);
        }
    }
}

impl Outbound {
    fn put(&mut self, pair: usize, frame: Frame) {
        if self.waiting.len() >= WAITING {
            self.lost.overrun += 1;
        } else {
            self.waiting.push_back((pair, frame));
        }
    }

    fn drain(&mut self, to: usize, out: &mut dyn Output) {
        while let Some((pair, frame)) = self.waiting.front() {
            match out.send(to, *pair, frame) {
                Ok(()) => {}
                Err(Refused::NoBuffers) => break,
                Err(Refused::TooLong) => self.lost.too_long += 1,
                // Nobody is there: not a loss.
                Err(Refused::Down) => {}
            }
            self.waiting.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traffic::template::{Protocol, Template};
    use crate::traffic::testing::Ports;
    use virtio_net_wire::Features;

    #[test]
    fn floods_all_but_the_sender() {
        let mut out = Ports::new(3);
        let frame = Template::example(Protocol::Udp, false).frame(0);
        Switch::new().received(1, 0, &frame, &mut out);
        let to: Vec<_> = out.sent.iter().map(|(port, _, _)| *port).collect();
        assert_eq!(to, [0, 2]);
    }

    #[test]
    fn each_port_gets_what_it_negotiated() {
        let mut out = Ports::new(3);
        out.offloads[2] = Features::empty();
        let frame = Template {
            segments: 3,
            size: 900,
            ..Template::example(Protocol::Udp, true)
        }
        .frame(0);
        Switch::new().received(0, 0, &frame, &mut out);
        let count = |to: usize| out.sent.iter().filter(|(port, _, _)| *port == to).count();
        assert_eq!((count(1), count(2)), (1, 3));
    }

    #[test]
    fn what_waits_keeps_its_order() {
        let (mut out, mut switch) = (Ports::new(2), Switch::new());
        out.room = 0;
        let template = Template::example(Protocol::Udp, false);
        for number in 0..WAITING as u32 + 5 {
            switch.received(0, 0, &template.frame(number), &mut out);
        }
        assert_eq!(switch.lost(1).overrun, 5);
        out.room = 2000;
        switch.tick(&mut out);
        assert_eq!(out.sent.len(), WAITING);
        assert!(out
            .sent
            .iter()
            .enumerate()
            .all(|(number, (_, _, frame))| *frame == template.frame(number as u32)));
    }

    #[test]
    fn nothing_waits_for_a_port_that_is_down() {
        let (mut out, mut switch) = (Ports::new(2), Switch::new());
        let frame = Template::example(Protocol::Udp, false).frame(0);
        for (refuse, lost) in [(Refused::Down, 0), (Refused::TooLong, 1)] {
            out.refuse = Some(refuse);
            switch.received(0, 0, &frame, &mut out);
            assert_eq!(switch.lost(1).too_long, lost);
        }
        out.refuse = None;
        switch.tick(&mut out);
        assert!(out.sent.is_empty());
    }
}
