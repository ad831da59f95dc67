// SPDX-License-Identifier: GPL-2.0

//! What is done with frames, by all modes.

mod l2_fwd;
mod rx_drop;
mod tx_only;

use crate::checks::{Checks, XDP_PKT_CONTD};
use crate::counters::{Calls, Rings};
use crate::cycle::Cycle;
use crate::failure::Failure;
use crate::frames::{place, Owner};
use crate::metadata;
use crate::options::{Mode, Options};
use crate::report::Report;
use crate::socket::{self, Bound};
use crate::times::Times;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use xdpilone::xdp::XdpDesc;

/// How long `poll` waits.
const POLL_MS: libc::c_int = 100;

/// How often sockets are asked whether their device is still there.
const LOOK: Duration = Duration::from_millis(200);
/// How long the end waits before it looks again whether what was sent has come back.
const PAUSE: Duration = Duration::from_millis(1);

static SIGNALS: AtomicU32 = AtomicU32::new(0);

extern "C" fn end(_signal: libc::c_int) {
    SIGNALS.fetch_add(1, Ordering::Relaxed);
}

/// Has a signal end the run in good order, and a second one at once.
pub fn end_by_signals() {
    let end = end as extern "C" fn(libc::c_int);
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGABRT] {
        // SAFETY: All that the handler does is to count.
        unsafe { libc::signal(signal, end as libc::sighandler_t) };
    }
}

/// A run.
pub struct Bench<'o> {
    /// Its sockets.
    pub bound: Bound,
    options: &'o Options,
    started: Instant,
    /// Frames, by sockets.
    pub rings: Vec<Rings>,
    /// System calls, by sockets.
    pub calls: Vec<Calls>,
    /// Frames that were to be sent.
    pub packets: u64,
    /// Chunks given to the kernel to be sent.
    pub tx: u64,
    /// Chunks that came back from that.
    pub completed: u64,
    /// What was found in received frames.
    pub checks: Checks,
    /// The cycle of sending.
    pub cycle: Option<Cycle>,
    /// When frames were sent.
    pub times: Times,
    /// When chunks were given to the kernel.
    given: Vec<u64>,
    /// By sockets: parts that are to be sent, of a frame that goes on in the next batch.
    carried: Vec<Vec<XdpDesc>>,
    /// Why nothing can be sent or received any more.
    fault: Option<io::Error>,
    looked: Instant,
}

impl<'o> Bench<'o> {
    /// With sockets that are bound.
    pub fn new(bound: Bound, options: &'o Options) -> Self {
        let transmit = options.transmit();
        let sockets = bound.lanes.len();
        let times = transmit.tx_tstamp && options.latency;
        Self {
            bound,
            options,
            started: Instant::now(),
            rings: vec![Rings::default(); sockets],
            calls: vec![Calls::default(); sockets],
            packets: 0,
            tx: 0,
            completed: 0,
            checks: Checks::new(options),
            cycle: (transmit.tx_cycle != 0)
                .then(|| Cycle::new(transmit.tx_cycle, options.clock.now())),
            times: Times::default(),
            given: if times {
                vec![0; options.chunks as usize]
            } else {
                Vec::new()
            },
            carried: vec![Vec::new(); sockets],
            fault: None,
            looked: Instant::now(),
        }
    }

    /// Gives the kernel chunks to receive into, before it may have anything to put there.
    pub fn begin(&mut self) {
        if self.options.mode() != Mode::TxOnly {
            self.fill();
            self.wake_rx(0);
        }
    }

    /// Does what the options say, until the end.
    pub fn run(&mut self, report: &mut Report<'_>) {
        self.started = report.started();
        match self.options.mode() {
            _ if self.options.hold => self.hold(),
            Mode::RxDrop => self.rx_drop(report),
            Mode::TxOnly => self.tx_only(report),
            Mode::L2Fwd => self.l2_fwd(report),
        }
        self.drain();
    }

    /// Why it has ended before it should, if it has.
    pub fn fault(&mut self) -> Option<Failure> {
        let name = &self.options.interface;
        let why = self.fault.take()?;
        Some(
            Failure::new(format!("sockets on {name}"), why).advise([
                "the device, its driver, or who had it bound may be gone: `ip link`, `dmesg`"
                    .to_owned(),
            ]),
        )
    }

    fn is_over(&mut self) -> bool {
        if self.looked.elapsed() >= LOOK {
            self.look();
        }
        let seconds = self.options.duration;
        self.fault.is_some()
            || SIGNALS.load(Ordering::Relaxed) != 0
            || seconds != 0 && self.started.elapsed().as_secs() >= seconds
    }

    /// Sockets have an error when their device goes.
    fn look(&mut self) {
        self.looked = Instant::now();
        for lane in &self.bound.lanes {
            match socket::error(lane.user.as_raw_fd()) {
                Ok(()) => {}
                Err(why) => self.fault = Some(why),
            }
        }
    }

    fn received_all(&self) -> bool {
        let most = self.options.rx_pkt_count;
        most != 0 && self.rings.iter().map(|rings| rings.rx).sum::<u64>() >= most
    }

    /// Nothing.
    fn hold(&mut self) {
        while !self.is_over() {
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until all that was to be sent has come back, or nothing does any more.
    fn drain(&mut self) {
        let mut last = Instant::now();
        let launch = Duration::from_micros(self.options.transmit().launch_time);
        let patience = Duration::from_secs(self.options.retries + 1) + launch;
        while self.completed < self.tx
            && last.elapsed() < patience
            && self.fault.is_none()
            && SIGNALS.load(Ordering::Relaxed) < 2
        {
            let before = self.completed;
            self.complete();
            if self.completed == before {
                std::thread::sleep(PAUSE);
            } else {
                last = Instant::now();
            }
        }
    }

    /// Gives the kernel all free chunks; whether it had room for them.
    fn fill(&mut self) -> bool {
        let bound = &mut self.bound;
        socket::fill(&mut bound.queue, &mut bound.frames, self.options)
    }

    /// The next frames of a socket, in parts, which are ours then.
    fn receive(&mut self, socket: usize) -> Vec<XdpDesc> {
        let bound = &mut self.bound;
        let Some(rx) = &mut bound.lanes[socket].rx else {
            return Vec::new();
        };
        let mut batch = Vec::new();
        let mut ring = rx.receive(self.options.batch_size);
        while let Some(frame) = ring.read() {
            batch.push(frame);
        }
        ring.release();
        drop(ring);
        let now = if batch.is_empty() {
            0
        } else {
            self.checks.now()
        };
        for frame in &batch {
            bound.frames.take(frame.addr, Owner::Fill);
            let at = place(frame.addr);
            let offset = bound.frames.offset(frame.addr);
            let bytes = bound.area.frame(at, frame.len as usize);
            self.checks
                .see(socket, frame, offset, bytes.as_deref().unwrap_or(&[]), now);
        }
        let rings = &mut self.rings[socket];
        rings.rx += whole(&batch);
        rings.rx_frags += batch.len() as u64;
        if batch.is_empty() && (self.options.busy_poll || self.bound.queue.needs_wakeup()) {
            self.calls[socket].rx_empty_polls += 1;
            self.wake_rx(socket);
        }
        batch
    }

    /// Frames that were received are free, and the kernel's again.
    fn give_back(&mut self, socket: usize) {
        if !self.fill() && (self.options.busy_poll || self.bound.queue.needs_wakeup()) {
            self.calls[socket].fill_fail_polls += 1;
            self.wake_rx(socket);
        }
    }

    /// Gives frames to the kernel, all of them in the end, and each as a whole: it takes no part of one
    /// whose end is not there.
    fn send(&mut self, socket: usize, batch: Vec<XdpDesc>, report: &mut Report<'_>) {
        let mut parts = std::mem::take(&mut self.carried[socket]);
        parts.extend(batch);
        let mut rest = &parts[..];
        while whole_parts(rest) != 0 {
            let Some(tx) = &mut self.bound.lanes[socket].tx else {
                return;
            };
            let room = rest.len().min((socket::RING - tx.pending()) as usize);
            let mut ring = tx.transmit(rest.len() as u32);
            let known = ring.capacity() as usize;
            let n = match whole_parts(&rest[..known]) {
                // The library looks for more room only when it knows of none.
                0 if whole_parts(&rest[..room]) != 0 => known,
                n => n,
            };
            let sent = ring.insert(rest.iter().copied().take(n));
            ring.commit();
            drop(ring);
            let (given, left) = rest.split_at(sent as usize);
            let rings = &mut self.rings[socket];
            rings.tx += whole(given);
            rings.tx_frags += given.len() as u64;
            self.tx += given.len() as u64;
            rest = left;
            if whole_parts(rest) != 0 {
                self.complete();
                if sent == 0 {
                    if self.is_over() {
                        return self.keep(rest);
                    }
                    report.tick(self);
                }
            }
        }
        self.carried[socket] = rest.to_vec();
    }

    /// Parts that were to be sent are ours again.
    fn keep(&mut self, parts: &[XdpDesc]) {
        for part in parts {
            self.bound.frames.take(part.addr, Owner::Tx);
            self.bound.frames.release(part.addr);
        }
    }

    /// Has the kernel send, and takes back what it has sent.
    fn complete(&mut self) {
        if self.completed >= self.tx {
            return;
        }
        for socket in 0..self.bound.lanes.len() {
            self.wake_tx(socket);
        }
        let bound = &mut self.bound;
        let transmit = self.options.transmit();
        // Nothing is asked for frames that are sent back.
        let stamps = transmit.tx_tstamp && self.options.mode() == Mode::TxOnly;
        let partial = self.options.partial();
        let len = self.options.metadata_len();
        let mut ring = bound.queue.complete(socket::RING);
        let mut n = 0;
        while let Some(addr) = ring.read() {
            let times = stamps
                .then(|| metadata::times(&mut bound.area, place(addr), len, partial))
                .flatten();
            if let Some((sent, launch)) = times {
                self.times.see(sent, launch);
                let chunk = (addr / u64::from(self.options.frame_size)) as usize;
                if let Some(given) = self.given.get(chunk) {
                    self.checks.took(*given, sent);
                }
            }
            bound.frames.take(addr, Owner::Tx);
            bound.frames.release(addr);
            n += 1;
        }
        ring.release();
        self.completed += n;
    }

    /// Waits for any socket.
    fn wait(&mut self, events: libc::c_short) {
        if !self.options.poll {
            return;
        }
        let mut polls: Vec<libc::pollfd> = self
            .bound
            .lanes
            .iter()
            .map(|lane| libc::pollfd {
                fd: lane.user.as_raw_fd(),
                events,
                revents: 0,
            })
            .collect();
        for calls in &mut self.calls {
            calls.opt_polls += 1;
        }
        // SAFETY: So many structures, which are valid.
        unsafe { libc::poll(polls.as_mut_ptr(), polls.len() as libc::nfds_t, POLL_MS) };
    }

    fn wake_rx(&self, socket: usize) {
        // SAFETY: Nothing is to be received this way.
        unsafe {
            libc::recvfrom(
                self.bound.lanes[socket].user.as_raw_fd(),
                std::ptr::null_mut(),
                0,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
                std::ptr::null_mut(),
            )
        };
    }

    fn wake_tx(&mut self, socket: usize) {
        let lane = &self.bound.lanes[socket];
        let wants = lane.tx.as_ref().is_some_and(|tx| tx.needs_wakeup());
        if !wants && !self.options.busy_poll && !self.options.no_need_wakeup {
            return;
        }
        let calls = &mut self.calls[socket];
        if self.options.copies() && self.options.mode() == Mode::L2Fwd {
            calls.copy_tx_sendtos += 1;
        } else {
            calls.tx_wakeup_sendtos += 1;
        }
        // SAFETY: Nothing is sent but what is in the ring.
        let ret = unsafe {
            libc::sendto(
                lane.user.as_raw_fd(),
                std::ptr::null(),
                0,
                libc::MSG_DONTWAIT,
                std::ptr::null(),
                0,
            )
        };
        if ret < 0 {
            let why = io::Error::last_os_error();
            // These pass.
            match why.raw_os_error() {
                Some(libc::ENOBUFS | libc::EAGAIN | libc::EBUSY | libc::ENETDOWN | libc::EINTR) => {
                }
                _ => self.fault = Some(why),
            }
        }
    }
}

/// How many of these parts are of frames that end in them.
fn whole_parts(parts: &[XdpDesc]) -> usize {
    parts
        .iter()
        .rposition(|part| part.options & XDP_PKT_CONTD == 0)
        .map_or(0, |last| last + 1)
}

/// How many frames end in these parts.
fn whole(batch: &[XdpDesc]) -> u64 {
    batch
        .iter()
        .filter(|frame| frame.options & XDP_PKT_CONTD == 0)
        .count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_sent_as_a_whole() {
        let part = |options| XdpDesc {
            addr: 0,
            len: 1,
            options,
        };
        let parts = [0, XDP_PKT_CONTD, XDP_PKT_CONTD, 0, XDP_PKT_CONTD].map(part);
        let ends: Vec<usize> = (0..=5).map(|n| whole_parts(&parts[..n])).collect();
        assert_eq!(ends, [0, 1, 1, 1, 4, 4]);
        assert_eq!(whole(&parts), 2);
    }
}
