// SPDX-License-Identifier: GPL-2.0

//! From the transmit rings of a process into the queue.

use super::{
    super::{napi::Poll, skb_tx::MAX_SEGMENTS, TxPacket, TxQueue},
    metadata::{now, Metadata, XskOffloads},
    tx::{XskSent, XskTx},
};
use crate::{
    bindings,
    virtio::{SgTable, Virtqueue},
};
use core::ops::Range;
use virtio_net_wire::{tx::TxOffload, HeaderLayout};
use zerocopy::IntoBytes;

/// What came of frames that a process wants sent.
#[derive(Default)]
pub struct XskQueued {
    /// Frames that are queued.
    pub frames: usize,
    /// Their parts.
    pub parts: usize,
    /// Frames that are queued without what the process asked for.
    pub refused: usize,
}

impl Virtqueue<TxPacket> {
    /// Queues frames that the process wants sent, of up to `most` parts, each frame behind a
    /// header of `header_len` bytes that says nothing, or what the process has asked for, of
    /// `offloads`. A queue that takes no more of them keeps the rest for the next time, and so
    /// it does for a frame whose time has not come, when `queue` is polled again
    /// (`xsk_tx_peek_release_desc_batch`).
    pub fn send_pool_frames(
        &mut self,
        sg: &mut SgTable<MAX_SEGMENTS>,
        header_len: usize,
        offloads: XskOffloads,
        most: usize,
        queue: &TxQueue,
        _poll: &Poll<'_>,
    ) -> XskQueued {
        let header_len = header_len.min(HeaderLayout::MAX_LEN);
        let Some(xsk) = &mut self.source_mut().xsk else {
            return XskQueued::default();
        };
        let outgoing = xsk.peek(most);
        // What a frame like most others has not.
        let special = outgoing.goes_on | bindings::XDP_TX_METADATA;
        let empty = (xsk.turns.headers.first(), header_len);
        let (mut at, mut is_paired) = (outgoing.left.start, false);
        let (mut frames, mut refused) = (0usize, 0usize);
        while at != outgoing.left.end {
            let descriptor = outgoing.get(at);
            let turn = outgoing.turn(at);
            let parts = if descriptor.options & special == 0 {
                let len = descriptor.len;
                let token = TxPacket::Xsk(XskSent {
                    turn,
                    parts: 1,
                    len,
                });
                // SAFETY: The queue holds the pool and the header for as long as it has frames,
                // and the process has given the frame away.
                let result = unsafe {
                    if !is_paired {
                        sg.clear();
                        sg.push_mapped(empty.0, empty.1);
                        sg.push_mapped(0, 0);
                        is_paired = true;
                    }
                    sg.set_last(outgoing.address(descriptor), len);
                    self.push_out(sg, true, token)
                };
                u32::from(result.is_ok())
            } else {
                is_paired = false;
                let asked = (offloads, header_len, queue);
                self.send_special_frame(sg, &outgoing, at, asked, &mut refused)
            };
            if parts == 0 {
                break;
            }
            at = at.wrapping_add(parts);
            frames = frames.wrapping_add(1);
        }
        if let Some(xsk) = &mut self.source_mut().xsk {
            xsk.next = outgoing.turn(at);
            xsk.left = at..outgoing.left.end;
        }
        XskQueued {
            frames,
            parts: at.wrapping_sub(outgoing.left.start) as usize,
            refused,
        }
    }

    /// Has `queue` polled so many nanoseconds from now. Nothing if it is another device's.
    #[cold]
    fn wait(&mut self, queue: &TxQueue, after: u64) {
        let Some(xsk) = &mut self.source_mut().xsk else {
            return;
        };
        if !queue.is_of(xsk.pool.netdev()) {
            return;
        }
        if let Some(alarm) = &mut xsk.turns.alarm {
            // SAFETY: The network device that has the queue is the one that has the pool, and does
            // not go before that does; the alarm goes before the pool.
            unsafe { alarm.set(queue, after) };
        }
    }

    /// Queues the frame whose first descriptor is at `at`, of several parts or with metadata;
    /// how many parts. None, if it is not for now.
    #[inline(never)]
    fn send_special_frame(
        &mut self,
        sg: &mut SgTable<MAX_SEGMENTS>,
        outgoing: &Outgoing,
        at: u32,
        (offloads, header_len, queue): (XskOffloads, usize, &TxQueue),
        refused: &mut usize,
    ) -> u32 {
        let turn = outgoing.turn(at);
        let Some(xsk) = &mut self.source_mut().xsk else {
            return 0;
        };
        let (mut header, mut lacks) = (xsk.turns.headers.first(), false);
        let first = outgoing.get(at);
        // SAFETY: The pool is live as long as the queue has it, and the core has checked the
        // descriptor.
        if let Some(metadata) = unsafe { Metadata::of(outgoing.pool, first) } {
            match xsk.prepare(turn, metadata, first.len as usize, offloads) {
                Prepared::Send(at, without) => {
                    header = at;
                    lacks = without;
                }
                Prepared::Wait(after) => {
                    self.wait(queue, after);
                    return 0;
                }
            }
        }
        let (mut parts, mut len) = (0u32, 0u32);
        sg.clear();
        // SAFETY: As in `send_pool_frames`.
        unsafe { sg.push_mapped(header, header_len) };
        for index in at..outgoing.left.end {
            let descriptor = outgoing.get(index);
            let address = outgoing.address(descriptor);
            // SAFETY: As above.
            if !unsafe { sg.push_mapped(address, descriptor.len as usize) } {
                return 0;
            }
            parts = parts.wrapping_add(1);
            len = len.wrapping_add(descriptor.len);
            if descriptor.options & outgoing.goes_on == 0 {
                let token = TxPacket::Xsk(XskSent { turn, parts, len });
                // SAFETY: As above.
                if unsafe { self.push_out(sg, true, token) }.is_err() {
                    return 0;
                }
                // There is no way to tell the process.
                *refused = refused.wrapping_add(usize::from(lacks));
                return parts;
            }
        }
        0
    }
}

/// What comes of a frame with metadata.
enum Prepared {
    /// It can be sent, behind the header at this address; true if something that was asked
    /// for it cannot be.
    Send(u64, bool),
    /// It is to be sent so many nanoseconds from now.
    Wait(u64),
}

impl XskTx {
    /// How long frames wait at most, in nanoseconds. Those that would have to for longer are
    /// sent at once.
    const HORIZON: u64 = 1_000_000_000;

    /// What the process wants sent: what was left the last time, or more, at most so many
    /// descriptors.
    #[inline]
    fn peek(&mut self, most: usize) -> Outgoing {
        let pool = self.pool.raw();
        if self.left.is_empty() {
            // Turns in use may not be used again.
            let in_use = self.next.wrapping_sub(self.given) as usize;
            let most = most.min(self.turns.sent.len().saturating_sub(in_use));
            // SAFETY: The pool is live, and we have its part.
            let n = unsafe { bindings::xsk_tx_peek_release_desc_batch(pool, most as u32) };
            self.left = 0..n;
        }
        Outgoing {
            pool,
            // SAFETY: The pool is live.
            descriptors: unsafe { (*pool).tx_descs },
            left: self.left.clone(),
            goes_on: self.goes_on,
            first: self.next,
            to_sync: if self.pool.needs_sync() {
                self.pool.device()
            } else {
                core::ptr::null_mut()
            },
        }
    }

    /// Does what is asked for a frame whose turn this is.
    #[inline]
    fn prepare(
        &mut self,
        turn: u32,
        metadata: Metadata,
        len: usize,
        offloads: XskOffloads,
    ) -> Prepared {
        let empty = self.turns.headers.first();
        let request = metadata.request(len, offloads);
        let mut lacks = request.is_part;
        if let Some(after) = request.launch.map(|at| at.saturating_sub(now())) {
            if (1..=XskTx::HORIZON).contains(&after) {
                return Prepared::Wait(after);
            }
            lacks |= after != 0;
        }
        let index = turn as usize & self.turns.sent.len().wrapping_sub(1);
        if let Some(place) = self.turns.to_stamp.get_mut(index) {
            *place = request.stamp.then_some(metadata);
        }
        let Some(checksum) = request.checksum else {
            return Prepared::Send(empty, lacks);
        };
        let header = TxOffload {
            checksum: Some(checksum),
            gso: None,
        };
        // What longer layouts append stays zero.
        let header = header.to_v1();
        match self
            .turns
            .headers
            .write(index.wrapping_add(1), header.as_bytes())
        {
            Some(address) => Prepared::Send(address, lacks),
            None => Prepared::Send(empty, true),
        }
    }
}

/// Descriptors that the process wants sent.
struct Outgoing {
    pool: *mut bindings::xsk_buff_pool,
    descriptors: *const bindings::xdp_desc,
    left: Range<u32>,
    /// The mark of a descriptor whose frame goes on in the next.
    goes_on: u32,
    /// The turn of the first of them.
    first: u32,
    /// The device, if it is to be told of what is in the memory.
    to_sync: *mut bindings::device,
}

impl Outgoing {
    #[inline]
    fn turn(&self, at: u32) -> u32 {
        self.first.wrapping_add(at.wrapping_sub(self.left.start))
    }

    /// One of those that are left.
    #[inline]
    fn get(&self, at: u32) -> &bindings::xdp_desc {
        // SAFETY: The core has filled as many descriptors.
        unsafe { &*self.descriptors.add(at as usize) }
    }

    /// Where the device has its bytes, which are in the memory for it.
    #[inline]
    fn address(&self, descriptor: &bindings::xdp_desc) -> u64 {
        // SAFETY: The core has checked that these bytes are in the pool's memory, which is
        // mapped.
        unsafe {
            let address = bindings::xp_raw_get_dma(self.pool, descriptor.addr);
            if !self.to_sync.is_null() {
                bindings::__dma_sync_single_for_device(
                    self.to_sync,
                    address,
                    descriptor.len as usize,
                    bindings::dma_data_direction::DMA_BIDIRECTIONAL,
                );
            }
            address
        }
    }
}
