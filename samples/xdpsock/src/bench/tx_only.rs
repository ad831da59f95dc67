// SPDX-License-Identifier: GPL-2.0

//! Frames are sent.

use super::Bench;
use crate::checks::XDP_PKT_CONTD;
use crate::frames::Owner;
use crate::metadata::{self, Request, XDP_TX_METADATA};
use crate::options::Options;
use crate::report::Report;
use crate::source::Source;
use xdpilone::xdp::XdpDesc;

impl Bench<'_> {
    /// Sends frames.
    pub(super) fn tx_only(&mut self, report: &mut Report<'_>) {
        let mut source = Source::new(self.options);
        while !self.is_over() && self.left() != 0 {
            self.wait(libc::POLLOUT);
            let clock = self.options.clock;
            if self.cycle.as_mut().is_some_and(|cycle| !cycle.wait(clock)) {
                break;
            }
            for socket in 0..self.bound.lanes.len() {
                let batch = self.batch(&mut source);
                self.send(socket, batch, report);
            }
            self.complete();
            report.tick(self);
        }
    }

    /// Frames that are still to be sent.
    fn left(&self) -> u64 {
        match self.options.tx_pkt_count {
            0 => u64::MAX,
            most => most - self.packets,
        }
    }

    /// What is asked of the device for the frames of a batch.
    fn request(&self) -> Request {
        let transmit = self.options.transmit();
        let later = transmit.launch_time * 1000;
        Request {
            checksum: self.options.partial(),
            stamp: transmit.tx_tstamp,
            launch: (later != 0).then(|| Options::DEVICE_CLOCK.now() + later),
        }
    }

    /// The next frames, as many as there are chunks for.
    fn batch(&mut self, source: &mut Source) -> Vec<XdpDesc> {
        let parts = source.parts();
        let n = u64::from(self.options.batch_size)
            .min((self.bound.frames.free() / parts) as u64)
            .min(self.left());
        let mut batch = Vec::with_capacity(n as usize * parts);
        if n == 0 {
            return batch;
        }
        let request = self.request();
        let now = self.options.clock.now();
        let given = Options::DEVICE_CLOCK.now();
        let metadata_len = self.options.metadata_len();
        for _ in 0..n {
            if source.differs() {
                source.next(self.packets, now);
            }
            self.packets += 1;
            for part in 0..parts {
                let Some(chunk) = self.bound.frames.give(Owner::Tx) else {
                    break;
                };
                let addr = chunk + metadata_len as u64;
                let len = source.write(&mut self.bound.area, chunk, part);
                let mut options = if part + 1 < parts { XDP_PKT_CONTD } else { 0 };
                if metadata_len != 0 {
                    // What was there before is not this frame's.
                    let request = if part == 0 {
                        options |= XDP_TX_METADATA;
                        request
                    } else {
                        Request::default()
                    };
                    metadata::ask(&mut self.bound.area, addr, metadata_len, request);
                }
                let chunk = (chunk / u64::from(self.options.frame_size)) as usize;
                if let Some(time) = self.given.get_mut(chunk) {
                    *time = given;
                }
                batch.push(XdpDesc { addr, len, options });
            }
        }
        batch
    }
}
