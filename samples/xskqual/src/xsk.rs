// SPDX-License-Identifier: GPL-2.0

//! An AF_XDP socket that keeps account of its memory.

use crate::area::Area;
use crate::frames;
use crate::interface::Interface;
use crate::ledger::Ledger;
use crate::packet;
use crate::request::{self, Request};
use crate::tally::Tally;
use afxdp::{metadata, socket};
use std::ffi::CString;
use std::io;
use std::num::NonZeroU32;
use std::os::fd::RawFd;
use std::time::{Duration, Instant};
use xdpilone::xdp::XdpDesc;
use xdpilone::{DeviceQueue, IfInfo, RingRx, RingTx, Socket, SocketConfig, Umem, UmemConfig, User};

const RING: u32 = 512;
const CHUNKS: usize = 1024;
const FILLED: usize = 256;
/// The most chunks to receive into that the kernel has in all. One that loses some runs out of them.
const LENT: usize = 512;
const XDP_USE_SG: u16 = 1 << 4;
const XDP_PKT_CONTD: u32 = 1;
/// How long one may take.
const LEAVING: Duration = Duration::from_secs(3);
const SO_PREFER_BUSY_POLL: libc::c_int = 69;
const SO_BUSY_POLL_BUDGET: libc::c_int = 70;

/// How a socket is bound.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The queue.
    pub queue: u32,
    /// In zero-copy mode, or in copy mode.
    pub zero_copy: bool,
    /// For frames over several chunks.
    pub sg: bool,
    /// The kernel says when it wants to be woken.
    pub need_wakeup: bool,
    /// Frames are moved by those who ask.
    pub busy_poll: bool,
    /// Bytes of a chunk.
    pub chunk: u32,
    /// There is room in front of frames for what is asked for them.
    pub requests: bool,
    /// The fill ring is filled again when that is asked for, and not as frames are received.
    pub fill_late: bool,
}

/// A socket that is bound.
pub struct Xsk {
    settings: Settings,
    /// Who has which chunk.
    pub ledger: Ledger,
    /// Times at which frames were sent, for those who ask.
    pub stamps: Vec<u64>,
    /// The most chunks that a received frame was in.
    pub most_chunks: u32,
    queue: DeviceQueue,
    rx: RingRx,
    tx: RingTx,
    user: User,
    part: (Vec<u8>, u32),
    _umem: Umem,
    // The last to go.
    area: Area,
}

/// Why a socket is not bound.
enum Refusal {
    /// The queue has one.
    Busy,
    Other(String),
}

impl From<String> for Refusal {
    fn from(why: String) -> Self {
        Self::Other(why)
    }
}

fn said(what: &str, error: impl std::fmt::Display) -> String {
    format!("{what}: {error}")
}

/// The crate has words for errors; their number is what the system call has left.
fn last<E>(what: &'static str) -> impl Fn(E) -> String {
    move |_| said(what, io::Error::last_os_error())
}

impl Xsk {
    /// Opens and binds one, with the fill ring filled before. A socket that was closed leaves its queue
    /// a little later.
    pub fn open(interface: &Interface, settings: Settings) -> Result<Self, String> {
        let end = Instant::now() + LEAVING;
        loop {
            match Self::try_open(interface, settings) {
                Err(Refusal::Busy) if Instant::now() < end => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                Err(Refusal::Busy) => return Err("bind: the queue has a socket".into()),
                Err(Refusal::Other(why)) => return Err(why),
                Ok(bound) => return Ok(bound),
            }
        }
    }

    fn try_open(interface: &Interface, settings: Settings) -> Result<Self, Refusal> {
        let area =
            Area::new(CHUNKS * settings.chunk as usize).map_err(|error| said("memory", error))?;
        let config = UmemConfig {
            fill_size: RING,
            complete_size: RING,
            frame_size: settings.chunk,
            headroom: 0,
            flags: 0,
        };
        let before = metadata::open_files().map_err(|error| said("files", error))?;
        // SAFETY: The memory goes after the socket.
        let umem = unsafe { Umem::new(config.clone(), area.all()) }.map_err(last("memory"))?;
        if settings.requests {
            // SAFETY: It is this memory, and the rings come later.
            unsafe { metadata::reserve(&before, &config, area.all(), request::LEN) }
                .map_err(|error| said("metadata", error))?;
        }
        let name = CString::new(interface.name.as_str()).map_err(|error| said("name", error))?;
        let mut info = IfInfo::invalid();
        info.from_name(&name).map_err(last("interface"))?;
        info.set_queue(settings.queue);
        let socket = Socket::with_shared(&info, &umem).map_err(last("socket"))?;
        let mut queue = umem.fq_cq(&socket).map_err(last("rings"))?;
        let mut bind_flags = if settings.zero_copy {
            SocketConfig::XDP_BIND_ZEROCOPY
        } else {
            SocketConfig::XDP_BIND_COPY
        };
        if settings.need_wakeup {
            bind_flags |= SocketConfig::XDP_BIND_NEED_WAKEUP;
        }
        if settings.sg {
            bind_flags |= XDP_USE_SG;
        }
        let config = SocketConfig {
            rx_size: NonZeroU32::new(RING),
            tx_size: NonZeroU32::new(RING),
            bind_flags,
        };
        let user = umem.rx_tx(&socket, &config).map_err(last("rings"))?;
        let rx = user.map_rx().map_err(last("rings"))?;
        let tx = user.map_tx().map_err(last("rings"))?;
        if settings.busy_poll {
            for (option, value) in [
                (SO_PREFER_BUSY_POLL, 1),
                (libc::SO_BUSY_POLL, 20),
                (SO_BUSY_POLL_BUDGET, 64),
            ] {
                packet::set(user.as_raw_fd(), libc::SOL_SOCKET, option, value)
                    .map_err(|error| said("busy polling", error))?;
            }
        }
        let mut ledger = Ledger::new(CHUNKS, settings.chunk.into());
        let mut fill = queue.fill(FILLED as u32);
        fill.insert((0..FILLED).map_while(|_| ledger.for_fill()));
        fill.commit();
        drop(fill);
        umem.bind(&user).map_err(|_| {
            let error = io::Error::last_os_error();
            match error.raw_os_error() {
                Some(libc::EBUSY) => Refusal::Busy,
                _ => Refusal::Other(said("bind", error)),
            }
        })?;
        let bound = Self {
            settings,
            ledger,
            stamps: Vec::new(),
            most_chunks: 0,
            queue,
            rx,
            tx,
            user,
            part: (Vec::new(), 0),
            _umem: umem,
            area,
        };
        let is_zero_copy =
            socket::is_zero_copy(bound.raw()).map_err(|error| said("options", error))?;
        if is_zero_copy != settings.zero_copy {
            let why = "bound in the other mode than was asked for";
            return Err(Refusal::Other(why.into()));
        }
        Ok(bound)
    }

    /// How many chunks the kernel had to receive into as the socket was bound.
    pub fn filled_at_first(&self) -> u32 {
        FILLED as u32
    }

    /// The socket's number.
    pub fn raw(&self) -> RawFd {
        self.user.as_raw_fd()
    }

    /// Wakes the kernel for what is to be sent; if it has a say in that, only when it says so.
    fn wake_transmit(&self) {
        if !self.settings.need_wakeup || self.settings.busy_poll || self.tx.needs_wakeup() {
            self.tx.wake();
        }
    }

    fn wake_receive(&mut self) {
        if self.settings.busy_poll {
            // SAFETY: Nothing is passed.
            unsafe {
                libc::recvfrom(
                    self.raw(),
                    std::ptr::null_mut(),
                    0,
                    libc::MSG_DONTWAIT,
                    std::ptr::null_mut(),
                    std::ptr::null_mut(),
                );
            }
        } else if self.settings.need_wakeup && self.queue.needs_wakeup() {
            self.queue.wake();
        }
    }

    /// Takes what was received; frames that are whole.
    fn take(&mut self) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        let mut reader = self.rx.receive(RING);
        let mut descriptors = Vec::new();
        while let Some(descriptor) = reader.read() {
            descriptors.push(descriptor);
        }
        reader.release();
        drop(reader);
        for XdpDesc { addr, len, options } in descriptors {
            if !self.ledger.received(addr) {
                continue;
            }
            let bytes = self.area.bytes(addr, len as usize);
            self.part.0.extend_from_slice(bytes.unwrap_or_default());
            self.part.1 += 1;
            if options & XDP_PKT_CONTD == 0 {
                self.most_chunks = self.most_chunks.max(self.part.1);
                frames.push(std::mem::take(&mut self.part.0));
                self.part.1 = 0;
            }
        }
        if !self.settings.fill_late {
            self.refill();
        }
        frames
    }

    /// Gives the kernel chunks to receive into, up to as many as at first.
    pub fn refill(&mut self) {
        let room = (FILLED as u32).saturating_sub(self.queue.pending());
        let room = room.min(LENT.saturating_sub(self.ledger.filled()) as u32);
        if room == 0 {
            return;
        }
        let mut fill = self.queue.fill(room);
        let capacity = fill.capacity();
        fill.insert((0..capacity).map_while(|_| self.ledger.for_fill()));
        fill.commit();
    }

    /// Receives frames of a test until all have come, or it is too late.
    pub fn receive(&mut self, test: u32, count: u32, patience: Duration) -> io::Result<Tally> {
        let mut tally = Tally::default();
        let mut end = Instant::now() + patience;
        let mut is_complete = false;
        while Instant::now() < end {
            self.wake_receive();
            let frames = self.take();
            if frames.is_empty() {
                self.pause()?;
            }
            for found in frames.iter().filter_map(|frame| frames::parse(frame)) {
                if found.test == test {
                    tally.count(&found, false, 0);
                }
            }
            if tally.intact >= count && !is_complete {
                is_complete = true;
                // Longer for those that should not.
                end = Instant::now() + Duration::from_millis(20);
            }
        }
        Ok(tally)
    }

    /// Waits a little. To poll is to wake the kernel, which is not to be mistaken for what is asked.
    fn pause(&self) -> io::Result<()> {
        if self.settings.busy_poll || self.settings.need_wakeup {
            std::thread::sleep(Duration::from_micros(500));
            Ok(())
        } else {
            packet::wait(&[self.raw()], libc::POLLIN, 10)
        }
    }

    /// Takes what was sent.
    fn complete(&mut self) {
        let mut addresses = Vec::new();
        let mut reader = self.queue.complete(RING);
        while let Some(address) = reader.read() {
            addresses.push(address);
        }
        reader.release();
        drop(reader);
        for address in addresses {
            if self.ledger.completed(address) && self.settings.requests {
                let at = address - address % u64::from(self.settings.chunk);
                let stamp = self
                    .area
                    .bytes(at, request::LEN)
                    .map_or(0, |bytes| Request::stamp(bytes));
                self.stamps.push(stamp);
            }
        }
    }

    /// Sends frames, each in pieces of so many bytes at most, and waits until all have been given
    /// back, or it is too late.
    pub fn send(
        &mut self,
        frames: &[(Vec<u8>, Option<Request>)],
        piece: usize,
        patience: Duration,
    ) -> Result<(), String> {
        let end = Instant::now() + patience;
        for (frame, request) in frames {
            let pieces = frame.chunks(piece).count();
            while self.ledger.transmitting() + pieces > RING as usize / 2 && Instant::now() < end {
                self.wait_sent();
            }
            self.post(frame, *request, piece)?;
        }
        while self.ledger.transmitting() > 0 && Instant::now() < end {
            self.wait_sent();
        }
        self.ledger.judge()
    }

    fn wait_sent(&mut self) {
        self.wake_transmit();
        self.complete();
        if self.ledger.transmitting() > 0 {
            std::thread::sleep(Duration::from_micros(500));
            self.complete();
        }
    }

    fn post(&mut self, frame: &[u8], request: Option<Request>, piece: usize) -> Result<(), String> {
        let mut descriptors = Vec::new();
        for bytes in frame.chunks(piece) {
            let chunk = self.ledger.for_transmit().ok_or("no chunk is left")?;
            let mut at = chunk;
            let mut options = XDP_PKT_CONTD;
            if self.settings.requests {
                at += request::LEN as u64;
                if let (Some(request), true) = (request, descriptors.is_empty()) {
                    options |= request::XDP_TX_METADATA;
                    let place = self.area.bytes(chunk, request::LEN).ok_or("no room")?;
                    place.copy_from_slice(&request.bytes());
                }
            }
            let place = self.area.bytes(at, bytes.len()).ok_or("no room")?;
            place.copy_from_slice(bytes);
            descriptors.push(XdpDesc {
                addr: at,
                len: bytes.len() as u32,
                options,
            });
        }
        if let Some(last) = descriptors.last_mut() {
            last.options &= !XDP_PKT_CONTD;
        }
        let mut rest = &descriptors[..];
        while !rest.is_empty() {
            // It may be fewer at first, as the crate knows less room than there is.
            let mut writer = self.tx.transmit(rest.len() as u32);
            if writer.capacity() == 0 {
                return Err("the transmit ring is full".into());
            }
            let n = writer.insert(rest.iter().copied());
            writer.commit();
            rest = &rest[n as usize..];
        }
        Ok(())
    }

    /// Whether the kernel has refused none of what it was given, and dropped nothing.
    pub fn nothing_invalid(&self) -> Result<(), String> {
        let counts = self.user.statistics_v2().map_err(last("statistics"))?;
        let wrong = [
            (counts.rx_dropped, "dropped"),
            (counts.rx_invalid_descs, "refused to receive into"),
            (counts.tx_invalid_descs, "refused to send"),
            (counts.rx_ring_full, "without room in the receive ring"),
        ];
        match wrong.iter().find(|(count, _)| *count > 0) {
            Some((count, what)) => Err(format!("{count} frames {what}")),
            None => Ok(()),
        }
    }

    /// Bytes of a piece that fills a chunk.
    pub fn room(&self) -> usize {
        let used = if self.settings.requests {
            request::LEN
        } else {
            0
        };
        self.settings.chunk as usize - used
    }
}
