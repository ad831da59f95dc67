// SPDX-License-Identifier: GPL-2.0

//! Receive queues.
//!
//! How packets lie in buffers depends on the negotiated features: one module for
//! each layout.

use crate::{
    stats::{self, RxBatch},
    xdp::Receiver,
};
use kernel::{page::PAGE_SIZE, prelude::*, sync::Arc};
use knet::{
    net::{
        self, Memory, NetDevice, PagePool, Pages, Polled, PoolRef, Program, RxPoll, RxSkb,
        XdpFrame, XskPool, XDP_HEADROOM,
    },
    virtio::{FoundQueue, Rearm},
};
use virtio_net_wire::{
    header::Base,
    rss::Hash,
    rx,
    rx_buffer::{self, Big, RxBufferMode, IP_MAX_LEN},
    Features, HeaderLayout,
};

mod big;
mod mergeable;
mod rest;
mod small;
mod spare;
mod xdp;
mod xsk;

/// Packets up to this length are copied, which leaves the buffer to the ring.
const COPY_LEN: usize = 128;
/// Bytes of an Ethernet header.
const ETH_HLEN: usize = virtio_net_wire::rx_buffer::ETHERNET_LEN;

/// What all packets of a queue have in common.
struct Common {
    layout: HeaderLayout,
    /// Features of packets inside UDP tunnels, of those that were negotiated.
    tunnels: bool,
    tunnel_checksums: bool,
    /// Whether the header has the packet's hash.
    hash_report: bool,
    stats: Arc<stats::Rx>,
}

/// The ring, by the layout of its buffers.
enum Ring {
    Mergeable(mergeable::Ring),
    Small(small::Ring),
    Big(big::Ring),
    /// Of a queue that a process has bound.
    Xsk(xsk::Ring),
}

/// Calls the same method of whichever ring it is.
macro_rules! each_ring {
    ($ring:expr, $name:ident => $call:expr) => {
        match $ring {
            Ring::Mergeable($name) => $call,
            Ring::Small($name) => $call,
            Ring::Big($name) => $call,
            Ring::Xsk($name) => $call,
        }
    };
}

/// Whether a ring could be filled.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Refill {
    /// Up to what it takes.
    Full,
    /// Not for want of memory: to be tried again.
    NoMemory,
}

/// One receive queue.
pub(crate) struct Queue {
    ring: Ring,
    common: Common,
    outgoing: xdp::Outgoing,
}

impl Queue {
    /// The queue, and the pool of its buffers.
    pub(crate) fn new(
        found: FoundQueue,
        negotiated: Features,
        netdev: &Arc<NetDevice>,
        stats: Arc<stats::Rx>,
    ) -> Result<(Self, PagePool)> {
        let layout = HeaderLayout::from_features(negotiated);
        let max_mtu = large_mtu(netdev, negotiated);
        let (ring, pool) = match RxBufferMode::new(negotiated, max_mtu) {
            RxBufferMode::Mergeable => {
                let (vq, pool) = PagePool::new(netdev, found)?;
                let longest = if Big::is_needed(negotiated, max_mtu) {
                    IP_MAX_LEN
                } else {
                    netdev.max_mtu() as usize
                };
                let ring = mergeable::Ring::new(vq, layout, longest)?;
                stats.buffer_len.set(ring.buffer_len() as u64);
                (Ring::Mergeable(ring), pool)
            }
            RxBufferMode::Small => {
                let (vq, pool) = PagePool::new(netdev, found)?;
                (Ring::Small(small::Ring::new(vq, layout)?), pool)
            }
            RxBufferMode::Big => {
                let (vq, pool) = PagePool::new(netdev, found)?;
                let ring = big::Ring::new(vq, layout, negotiated, max_mtu)?;
                (Ring::Big(ring), pool)
            }
        };
        let common = Common {
            layout,
            tunnels: negotiated.contains(Features::GUEST_UDP_TUNNEL_GSO),
            tunnel_checksums: negotiated.contains(Features::GUEST_UDP_TUNNEL_GSO_CSUM),
            hash_report: negotiated.contains(Features::HASH_REPORT),
            stats,
        };
        let outgoing = xdp::Outgoing::new()?;
        let queue = Self {
            ring,
            common,
            outgoing,
        };
        Ok((queue, pool))
    }

    /// The largest MTU whose frames are in one buffer, with a VLAN tag too, where a program
    /// wants that.
    pub(crate) const SINGLE_BUFFER_MTU: usize = buffers_for_programs(HeaderLayout::Mergeable12)
        .frame_len()
        - rx_buffer::ETHERNET_LEN
        - rx_buffer::VLAN_LEN;

    /// Whether frames can be longer than a buffer.
    pub(crate) fn has_long_frames(negotiated: Features, max_mtu: usize) -> bool {
        RxBufferMode::new(negotiated, max_mtu) != RxBufferMode::Small
    }

    /// Whether the queue needs a word of context for each buffer.
    pub(crate) fn needs_context(negotiated: Features, max_mtu: usize) -> bool {
        RxBufferMode::new(negotiated, max_mtu) != RxBufferMode::Big
    }

    /// The ring's size now, and the most that the device allows.
    pub(crate) fn sizes(&self) -> (usize, usize) {
        each_ring!(&self.ring, ring => (ring.vq.size(), ring.vq.max_size()))
    }

    /// Whether a process has bound the queue.
    #[inline]
    fn has_pool(&self) -> bool {
        matches!(self.ring, Ring::Xsk(_))
    }

    /// Has the queue receive into the frames of a process. It must be empty.
    ///
    /// # Errors
    ///
    /// `EBUSY` if it is not, or somebody receives into the pool, and others of
    /// [`knet::virtio::Virtqueue::with_pool`]; the queue is as it was.
    pub(crate) fn bind(&mut self, pool: &XskPool) -> Result {
        let layout = self.common.layout;
        let mut result = Ok(());
        knet::transform(&mut self.ring, |ring| {
            xsk::bind(ring, pool, layout, &mut result)
        });
        result
    }

    /// The end of that. The ring is empty afterwards.
    ///
    /// # Errors
    ///
    /// Those of [`knet::virtio::Virtqueue::reset`]; the ring is broken then.
    pub(crate) fn unbind(&mut self) -> Result {
        if self.has_pool() {
            self.drop_filled();
        }
        let mut result = Ok(());
        knet::transform(&mut self.ring, |ring| xsk::unbind(ring, &mut result));
        result
    }

    /// Whether used buffers wait for a poll.
    pub(crate) fn has_used(&mut self) -> bool {
        each_ring!(&mut self.ring, ring => ring.vq.has_used())
    }

    /// Gives the ring `size` descriptors; then it is empty, if it had another size.
    ///
    /// # Errors
    ///
    /// Those of [`knet::virtio::Virtqueue::resize`].
    pub(crate) fn resize(&mut self, size: usize) -> Result {
        if size != self.sizes().0 {
            self.drop_filled();
        }
        each_ring!(&mut self.ring, ring => ring.resize(size))
    }

    /// Drops what the device has filled and nobody has looked at: a packet for each buffer is counted.
    fn drop_filled(&mut self) {
        let lost = each_ring!(&mut self.ring, ring => ring.vq.drop_used());
        self.common.stats.drops.add(lost as u64);
    }

    /// Takes all buffers back from the device, also those that it has filled.
    ///
    /// # Errors
    ///
    /// Those of [`knet::virtio::Virtqueue::reset`].
    pub(crate) fn empty(&mut self) -> Result {
        self.drop_filled();
        each_ring!(&mut self.ring, ring => ring.empty())
    }

    /// The end of the queue. Buffers that the device has filled, and nobody has looked at, are
    /// counted as drops: a packet for each.
    pub(crate) fn discard(self) {
        let Self { ring, common, .. } = self;
        let lost = each_ring!(ring, ring => ring.vq.end());
        common.stats.drops.add(lost as u64);
    }

    /// Buffers come from another pool from here on.
    ///
    /// # Errors
    ///
    /// `EBUSY` if the ring is not empty.
    pub(crate) fn use_pool(&mut self, pool: PoolRef) -> Result {
        match &mut self.ring {
            Ring::Mergeable(ring) => ring.vq.use_source(pool),
            Ring::Small(ring) => ring.vq.use_source(pool),
            Ring::Big(ring) => ring.vq.use_source(pool),
            Ring::Xsk(ring) => ring.vq.use_pages(pool),
        }
    }

    /// Receives up to the budget, and fills the ring again. Frames that are to go out again
    /// are given to `send`.
    #[inline]
    pub(crate) fn poll(
        &mut self,
        mut pages: Pages<'_>,
        poll: &RxPoll<'_>,
        send: impl FnOnce(&mut KVec<XdpFrame>),
    ) -> Polled<'_> {
        let mut batch = RxBatch::default();
        let receiver = Receiver::of(poll.program().map(Program::info));
        each_ring!(&mut self.ring, ring => ring.vq.disable_interrupts());
        let may_be_more = if receiver == Receiver::Stack && !self.has_pool() {
            match &mut self.ring {
                Ring::Mergeable(ring) => ring.receive(&self.common, &pages, poll, &mut batch),
                Ring::Small(ring) => ring.receive(&self.common, &pages, poll, &mut batch),
                Ring::Big(ring) => ring.receive(&self.common, &pages, poll, &mut batch),
                Ring::Xsk(_) => {}
            }
            batch.packets >= poll.budget()
        } else {
            self.receive_for_program(&mut pages, poll, &mut batch, send)
        };
        let Self { ring, common, .. } = self;
        let refill = each_ring!(ring, ring => {
            // Half a batch at least, so that the device is not told of each buffer.
            if ring.vq.free() > (poll.budget() / 2).min(ring.most_free()) {
                ring.refill(&mut pages, Memory::Atomic, receiver, &common.stats)
            } else {
                Refill::Full
            }
        });
        common.stats.add(&batch);
        if may_be_more || refill == Refill::NoMemory {
            return Polled::Again;
        }
        poll.adapt(common.stats.packets.get(), common.stats.bytes.get());
        Polled::Done {
            work: batch.packets,
            rearm: self.rearm(),
        }
    }

    /// Has the program look at received frames; true if there may be more.
    #[inline(never)]
    fn receive_for_program(
        &mut self,
        pages: &mut Pages<'_>,
        poll: &RxPoll<'_>,
        batch: &mut RxBatch,
        send: impl FnOnce(&mut KVec<XdpFrame>),
    ) -> bool {
        let Self {
            ring,
            common,
            outgoing,
        } = self;
        let mut runner = xdp::Runner::new(common, poll, outgoing);
        each_ring!(ring, ring => ring.receive_for_program(&mut runner, pages, batch));
        let may_be_more = !runner.goes_on(batch);
        common.stats.add_xdp(&runner.counts);
        batch.drops = batch.drops.wrapping_add(runner.counts.drops);
        let frames = outgoing.frames();
        if !frames.is_empty() {
            send(frames);
        }
        may_be_more
    }

    fn rearm(&mut self) -> Rearm<'_> {
        each_ring!(&mut self.ring, ring => ring.vq.enable_interrupts())
    }

    /// Fills the ring before the queue runs. What does not fit now, the first poll adds.
    pub(crate) fn fill(&mut self, mut pages: Pages<'_>, receiver: Receiver) {
        let Self { ring, common, .. } = self;
        each_ring!(ring, ring => {
            ring.refill(&mut pages, Memory::MaySleep, receiver, &common.stats)
        });
    }
}

/// How many descriptors of a ring may be free before it is filled again: half of them, but
/// never so many that the longest packet, which takes `least`, has no room. A device waits for
/// buffers then, and does not say so.
#[inline]
fn most_free(size: usize, least: usize) -> usize {
    (size / 2).min(size.saturating_sub(least))
}

/// Sizes of buffers in which programs can work on frames.
const fn buffers_for_programs(layout: HeaderLayout) -> rx_buffer::Xdp {
    rx_buffer::Xdp {
        header_len: layout.len(),
        headroom: XDP_HEADROOM,
        tailroom: PagePool::SKB_OVERHEAD,
        page_size: PAGE_SIZE,
    }
}

/// The MTU that decides on the size of buffers: the device's, if it has one.
pub(crate) fn large_mtu(netdev: &NetDevice, negotiated: Features) -> usize {
    if negotiated.contains(Features::MTU) {
        netdev.max_mtu() as usize
    } else {
        0
    }
}

impl Common {
    #[inline]
    fn header_len(&self) -> usize {
        self.layout.len()
    }

    /// A packet that the length check refuses.
    #[cold]
    fn count_length_error(&self, batch: &mut RxBatch) {
        self.stats.length_errors.add(1);
        batch.drops = batch.drops.wrapping_add(1);
    }

    /// Gives a packet to the stack as its `header` says, or drops and counts it.
    #[inline(always)]
    fn deliver(&self, mut skb: RxSkb, header: &[u8; HeaderLayout::MAX_LEN], poll: &RxPoll<'_>) {
        let [flags, gso_type, ..] = *header;
        let base = Base {
            flags,
            gso_type,
            ..Base::default()
        };
        if !base.is_plain() || self.hash_report {
            return self.deliver_as_told(skb, header, base, poll);
        }
        if base.is_data_valid() {
            skb.set_checksum_verified();
        }
        skb.receive(poll);
    }

    /// The same for a header that says more than that the checksum is right.
    #[inline(never)]
    fn deliver_as_told(
        &self,
        mut skb: RxSkb,
        header: &[u8; HeaderLayout::MAX_LEN],
        base: Base,
        poll: &RxPoll<'_>,
    ) {
        if base.is_plain() {
            if base.is_data_valid() {
                skb.set_checksum_verified();
            }
        } else if self.apply(&mut skb, header).is_err() {
            self.stats.frame_errors.add(1);
            return;
        }
        if self.hash_report {
            Self::keep_hash(&mut skb, header, poll);
        }
        skb.receive(poll);
    }

    /// Saves the stack from computing the hash itself.
    fn keep_hash(skb: &mut RxSkb, header: &[u8; HeaderLayout::MAX_LEN], poll: &RxPoll<'_>) {
        if poll.features().contains(net::Features::RXHASH) {
            if let Some(hash) = Hash::decode(header) {
                skb.set_hash(hash);
            }
        }
    }

    #[cold]
    fn apply(&self, skb: &mut RxSkb, header: &[u8; HeaderLayout::MAX_LEN]) -> Result {
        let decoded = rx::decode(self.layout, header).map_err(|_| EINVAL)?;
        decoded.check_frame_len(skb.len()).map_err(|_| EINVAL)?;
        skb.apply_virtio_header(header, self.tunnels, self.tunnel_checksums)
    }
}

/// A packet with a copy of `data`, which is short.
#[inline]
fn copied(poll: &RxPoll<'_>, data: &[u8]) -> Option<RxSkb> {
    let mut skb = RxSkb::new(poll, COPY_LEN)?;
    skb.put(data).then_some(skb)
}
