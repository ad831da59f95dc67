// SPDX-License-Identifier: GPL-2.0

//! What is done with frames.

use crate::content::{self, Partial};
use crate::frames::{place, Frames, Owner};
use crate::metadata;
use crate::options::{Mode, Options};
use crate::report::Report;
use crate::socket::Bound;
use serde::Serialize;
use std::collections::{BTreeSet, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use xdpilone::xdp::XdpDesc;

/// How long frames that were to be sent may take to come back.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long `poll` waits.
const POLL_MS: libc::c_int = 100;

/// In the options of a descriptor: the frame goes on in the next one.
const XDP_PKT_CONTD: u32 = 1;

static ENDED: AtomicBool = AtomicBool::new(false);

extern "C" fn end(_signal: libc::c_int) {
    ENDED.store(true, Ordering::Relaxed);
}

/// Has SIGINT and SIGTERM end the run in good order.
pub fn end_by_signals() {
    let end = end as extern "C" fn(libc::c_int);
    for signal in [libc::SIGINT, libc::SIGTERM] {
        // SAFETY: All that the handler does is to set a flag.
        unsafe { libc::signal(signal, end as libc::sighandler_t) };
    }
}

/// A run.
pub struct Bench<'o> {
    socket: Bound,
    options: &'o Options,
    started: Instant,
    /// Who has which frame.
    pub frames: Frames,
    /// Frames received.
    pub rx: u64,
    /// Frames that were to be sent.
    pub packets: u64,
    /// Chunks given to the kernel to be sent.
    pub tx: u64,
    /// Chunks that came back from that.
    pub completed: u64,
    /// What has come of a frame that goes on.
    begun: Vec<u8>,
    /// Received frames whose content is not that of their number.
    pub wrong: u64,
    /// The numbers of the others.
    pub numbers: HashSet<u64>,
    /// How received frames lie in chunks.
    pub places: Places,
    /// When frames were sent, and when they should have been, in nanoseconds of TAI.
    pub times: Vec<(u64, u64)>,
}

/// How received frames lie in chunks.
#[derive(Serialize, Default)]
pub struct Places {
    /// Where in their chunks they begin and go on.
    offsets: BTreeSet<u64>,
    /// Bytes in a chunk when they go on in the next one.
    full: BTreeSet<u32>,
    /// The most chunks of a frame.
    most: usize,
    /// Chunks of the frame that goes on.
    #[serde(skip)]
    begun: usize,
}

impl Places {
    fn see(&mut self, offset: u64, frame: &XdpDesc) {
        self.offsets.insert(offset);
        self.begun += 1;
        self.most = self.most.max(self.begun);
        if frame.options & XDP_PKT_CONTD == 0 {
            self.begun = 0;
        } else {
            self.full.insert(frame.len);
        }
    }
}

impl<'o> Bench<'o> {
    /// With a socket that is bound.
    pub fn new(socket: Bound, options: &'o Options) -> Self {
        let mut frames = Frames::new(options.frames, options.frame_size);
        for _ in 0..socket.filled {
            frames.give(Owner::Fill);
        }
        Self {
            frames,
            socket,
            options,
            started: Instant::now(),
            rx: 0,
            packets: 0,
            tx: 0,
            completed: 0,
            begun: Vec::new(),
            wrong: 0,
            numbers: HashSet::new(),
            places: Places::default(),
            times: Vec::new(),
        }
    }

    /// The kernel's counters of the socket.
    pub fn statistics(&self) -> Option<xdpilone::xdp::XdpStatisticsV2> {
        self.socket.user.statistics_v2().ok()
    }

    fn is_over(&self) -> bool {
        let seconds = self.options.duration;
        ENDED.load(Ordering::Relaxed) || seconds != 0 && self.started.elapsed().as_secs() >= seconds
    }

    fn received_all(&self) -> bool {
        self.options.rx_pkt_count != 0 && self.rx >= self.options.rx_pkt_count
    }

    /// Gives the kernel what it can receive into.
    pub fn begin(&mut self) {
        if self.options.mode() != Mode::TxOnly {
            self.fill();
        }
    }

    /// Nothing.
    pub fn hold(&mut self) {
        while !self.is_over() {
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Receives frames.
    pub fn rx_drop(&mut self, report: &mut Report<'_>) {
        while !self.is_over() && !self.received_all() {
            self.wait(libc::POLLIN);
            for frame in self.receive() {
                self.frames.release(frame.addr);
            }
            self.fill();
            report.tick(self);
        }
    }

    /// Sends frames.
    pub fn tx_only(&mut self, report: &mut Report<'_>) {
        let flow = self.options.flow();
        let metadata_len = self.options.metadata_len();
        let mut content = vec![0; self.options.tx_pkt_size.max(flow.least())];
        let offset = metadata_len.unwrap_or(0);
        let chunk = self.options.frame_size as usize - offset;
        let parts = content.len().div_ceil(chunk);
        let most = self.options.tx_pkt_count;
        while !self.is_over() && (most == 0 || self.packets < most) {
            let mut n = (self.options.batch_size as u64).min((self.frames.free() / parts) as u64);
            if most != 0 {
                n = n.min(most - self.packets);
            }
            let mut batch = Vec::with_capacity(n as usize * parts);
            let later = self.options.tx_launch * 1000;
            let request = metadata::Request {
                checksum: flow.partial().map(|partial| Partial {
                    start: self.options.tx_checksum_at.unwrap_or(partial.start),
                    ..partial
                }),
                stamp: self.options.tx_timestamp,
                launch: (later != 0).then(|| metadata::now() + later),
            };
            for _ in 0..n {
                flow.write(&mut content, self.packets);
                self.packets += 1;
                for (index, bytes) in content.chunks(chunk).enumerate() {
                    let Some(addr) = self.frames.give(Owner::Tx) else {
                        break;
                    };
                    let addr = addr + offset as u64;
                    let mut options = if index + 1 < parts { XDP_PKT_CONTD } else { 0 };
                    if metadata_len.is_some() && index != 0 {
                        // What was there before is not this frame's.
                        let nothing = metadata::Request::default();
                        metadata::ask(&mut self.socket.area, addr, offset, nothing);
                    } else if metadata_len.is_some() {
                        metadata::ask(&mut self.socket.area, addr, offset, request);
                        options |= metadata::XDP_TX_METADATA;
                    }
                    if let Some(frame) = self.socket.area.frame(addr, bytes.len()) {
                        frame.copy_from_slice(bytes);
                    }
                    batch.push(XdpDesc {
                        addr,
                        len: bytes.len() as u32,
                        options,
                    });
                }
            }
            self.send(batch);
            if n == 0 {
                self.wait(libc::POLLOUT);
            }
            self.complete();
            if self.options.tx_cycle != 0 {
                std::thread::sleep(Duration::from_micros(self.options.tx_cycle));
            }
            report.tick(self);
        }
    }

    /// Sends frames back to whom they came from.
    pub fn l2_fwd(&mut self, report: &mut Report<'_>) {
        let mut goes_on = false;
        // The kernel sends whole frames only, and has given the rest of one that goes on.
        while goes_on || !self.is_over() && !self.received_all() {
            self.wait(libc::POLLIN);
            let mut batch = self.receive();
            for frame in &mut batch {
                let bytes = self
                    .socket
                    .area
                    .frame(place(frame.addr), frame.len as usize);
                if let (Some(bytes), false) = (bytes, goes_on) {
                    content::swap_addresses(bytes);
                    self.packets += 1;
                }
                frame.options &= XDP_PKT_CONTD;
                goes_on = frame.options != 0;
                self.frames.set(frame.addr, Owner::Tx);
            }
            self.send(batch);
            self.complete();
            self.fill();
            report.tick(self);
        }
    }

    /// Waits until all that was to be sent has come back.
    pub fn drain(&mut self) {
        let begin = Instant::now();
        while self.completed < self.tx && begin.elapsed() < PATIENCE {
            self.wake_tx();
            self.complete();
        }
    }

    /// Gives the kernel all free frames that it has room for.
    fn fill(&mut self) {
        let n = self.frames.free() as u32;
        let mut fill = self.socket.queue.fill(n.min(crate::socket::RING));
        while fill.capacity() != 0 {
            let Some(addr) = self.frames.give(Owner::Fill) else {
                break;
            };
            if !fill.insert_once(addr) {
                self.frames.take(addr, Owner::Fill);
                self.frames.release(addr);
                break;
            }
            if self.options.twice {
                fill.insert_once(addr);
            }
        }
        fill.commit();
        drop(fill);
        if self.options.busy_poll || self.socket.queue.needs_wakeup() {
            self.wake_rx();
        }
    }

    fn receive(&mut self) -> Vec<XdpDesc> {
        let Some(rx) = &mut self.socket.rx else {
            return Vec::new();
        };
        let mut batch = Vec::new();
        let mut ring = rx.receive(self.options.batch_size);
        while let Some(frame) = ring.read() {
            batch.push(frame);
        }
        ring.release();
        drop(ring);
        for frame in &batch {
            self.frames.take(frame.addr, Owner::Fill);
            self.places.see(self.frames.offset(frame.addr), frame);
            let goes_on = frame.options & XDP_PKT_CONTD != 0;
            if !goes_on {
                self.rx += 1;
            }
            if !self.options.verify {
                continue;
            }
            let bytes = self
                .socket
                .area
                .frame(place(frame.addr), frame.len as usize);
            self.begun
                .extend_from_slice(bytes.as_deref().unwrap_or(&[]));
            if goes_on {
                continue;
            }
            match content::number(&self.begun) {
                Some(number) => {
                    self.numbers.insert(number);
                }
                None => self.wrong += 1,
            }
            self.begun.clear();
        }
        batch
    }

    /// Gives frames to the kernel, all of them in the end.
    fn send(&mut self, batch: Vec<XdpDesc>) {
        let mut rest = batch.into_iter().peekable();
        while rest.peek().is_some() {
            let n = rest.len() as u32;
            let Some(tx) = &mut self.socket.tx else {
                return;
            };
            let mut ring = tx.transmit(n);
            let sent = ring.insert(rest.by_ref().take(ring.capacity() as usize));
            ring.commit();
            drop(ring);
            self.tx += u64::from(sent);
            self.wake_tx();
            if sent == 0 {
                self.complete();
                if ENDED.load(Ordering::Relaxed) {
                    break;
                }
            }
        }
        for frame in rest {
            self.frames.take(frame.addr, Owner::Tx);
            self.frames.release(frame.addr);
        }
    }

    fn complete(&mut self) {
        let mut ring = self.socket.queue.complete(crate::socket::RING);
        let mut n = 0;
        while let Some(addr) = ring.read() {
            if let (true, Some(len)) = (self.options.tx_timestamp, self.options.metadata_len()) {
                let times = metadata::times(&mut self.socket.area, place(addr), len);
                self.times.extend(times.filter(|(sent, _)| *sent != 0));
            }
            self.frames.take(addr, Owner::Tx);
            self.frames.release(addr);
            n += 1;
        }
        ring.release();
        self.completed += n;
    }

    fn wait(&self, events: libc::c_short) {
        if !self.options.poll {
            return;
        }
        let mut poll = libc::pollfd {
            fd: self.socket.user.as_raw_fd(),
            events,
            revents: 0,
        };
        // SAFETY: One structure, which is valid.
        unsafe { libc::poll(&mut poll, 1, POLL_MS) };
    }

    fn wake_rx(&self) {
        // SAFETY: Nothing is to be received this way.
        unsafe {
            libc::recvfrom(
                self.socket.user.as_raw_fd(),
                std::ptr::null_mut(),
                0,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
                std::ptr::null_mut(),
            )
        };
    }

    fn wake_tx(&self) {
        let wants = self.socket.tx.as_ref().is_some_and(|tx| tx.needs_wakeup());
        if !wants && !self.options.busy_poll {
            return;
        }
        // SAFETY: Nothing is sent but what is in the ring.
        unsafe {
            libc::sendto(
                self.socket.user.as_raw_fd(),
                std::ptr::null(),
                0,
                libc::MSG_DONTWAIT,
                std::ptr::null(),
                0,
            )
        };
    }
}
