// SPDX-License-Identifier: GPL-2.0

//! Building received packets and giving them to the stack.

use super::{napi::RxPoll, Received, RxBuffer, SkBuff};
use crate::bindings;
use core::{mem::ManuallyDrop, ops::Deref, ptr::NonNull};
use kernel::{error::to_result, page::PAGE_SIZE, prelude::*};
use virtio_net_wire::rss::Hash;

/// Bytes of an Ethernet header.
const ETH_HLEN: usize = bindings::ETH_HLEN as usize;

/// A received packet, as it is put together for the stack. Dropping it frees it as a
/// packet that was lost.
#[repr(transparent)]
pub struct RxSkb(SkBuff);

impl Deref for RxSkb {
    type Target = SkBuff;

    #[inline]
    fn deref(&self) -> &SkBuff {
        &self.0
    }
}

impl RxSkb {
    /// # Safety
    ///
    /// `skb` is valid and new, and its owner gives it away.
    #[inline]
    pub(super) unsafe fn from_ptr(skb: NonNull<bindings::sk_buff>) -> Self {
        // SAFETY: By the caller's promise.
        Self(unsafe { SkBuff::from_ptr(skb) })
    }

    #[inline]
    pub(super) fn shared_info_mut(&mut self) -> &mut bindings::skb_shared_info {
        self.0.shared_info_mut()
    }

    #[inline]
    pub(super) fn raw_mut(&mut self) -> &mut bindings::sk_buff {
        self.0.raw_mut()
    }

    /// The hash that the device computed (`skb_set_hash`).
    pub fn set_hash(&mut self, hash: Hash) {
        let headers = self.0.headers_mut();
        headers.set_sw_hash(0);
        headers.set_l4_hash(u8::from(hash.transport.is_some()));
        headers.hash = hash.value;
    }

    /// An empty packet with `size` bytes of room, at most a page (`napi_alloc_skb`).
    #[inline]
    pub fn new(poll: &RxPoll<'_>, size: usize) -> Option<Self> {
        if size > PAGE_SIZE {
            return None;
        }
        // SAFETY: The poll's NAPI is live, and this is its softirq context.
        let skb = unsafe { bindings::napi_alloc_skb(poll.napi(), size as u32) };
        // SAFETY: A new buffer is ours.
        let mut this = unsafe { Self::from_ptr(NonNull::new(skb)?) };
        // Without fragments too: GRO joins only packets of one kind. Freeing looks at each
        // page, and the head's is no pool's.
        this.mark_for_recycle();
        Some(this)
    }

    /// Makes a packet around a received buffer, without copying: the data from
    /// `skip` on, with all before it as headroom (`napi_build_skb`).
    ///
    /// # Errors
    ///
    /// The buffer, if there is no memory, if it does not have
    /// [`super::PagePool::SKB_OVERHEAD`] bytes free behind the data, or `skip` is not in it.
    #[inline]
    pub fn around(poll: &RxPoll<'_>, received: Received, skip: usize) -> Result<Self, Received> {
        let capacity = received.buffer().capacity();
        let headroom = received.headroom().wrapping_add(skip);
        let end = received.headroom().wrapping_add(received.len());
        if skip > received.len() || capacity.saturating_sub(end) < bindings::SKB_SHINFO_SIZE {
            return Err(received);
        }
        let len = received.len().wrapping_sub(skip);
        // SAFETY: The buffer owns `capacity` bytes there; softirq context.
        let skb =
            unsafe { bindings::napi_build_skb(received.buffer().start().cast(), capacity as u32) };
        let Some(skb) = NonNull::new(skb) else {
            return Err(received);
        };
        // The packet owns the memory from here on.
        let _ = ManuallyDrop::new(received.into_buffer());
        // SAFETY: A new buffer is ours.
        let mut this = unsafe { Self::from_ptr(skb) };
        let raw = this.raw_mut();
        raw.data = raw.data.wrapping_add(headroom);
        raw.tail = headroom.wrapping_add(len) as u32;
        raw.len = len as u32;
        this.mark_for_recycle();
        this.set_device(poll);
        Ok(this)
    }

    /// The packet came by the device of the poll.
    #[inline]
    pub(super) fn set_device(&mut self, poll: &RxPoll<'_>) {
        // SAFETY: The poll's NAPI instance is live.
        let dev = unsafe { (*poll.napi()).dev.cast() };
        self.raw_mut()
            .__bindgen_anon_1
            .__bindgen_anon_1
            .__bindgen_anon_1
            .dev = dev;
    }

    /// The fragments are pages of a page pool (`skb_mark_for_recycle`).
    #[inline]
    pub(super) fn mark_for_recycle(&mut self) {
        self.raw_mut().set_pp_recycle(1);
    }

    /// Appends a copy of `bytes` to the linear part; false if there is no room.
    #[inline]
    pub fn put(&mut self, bytes: &[u8]) -> bool {
        if bytes.len() > self.tailroom() {
            return false;
        }
        let raw = self.raw_mut();
        let tail = raw.head.wrapping_add(raw.tail as usize);
        // SAFETY: There is room, by the check above; the ranges do not overlap, as
        // the buffer's memory is its own.
        unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), tail, bytes.len()) };
        raw.tail = raw.tail.wrapping_add(bytes.len() as u32);
        raw.len = raw.len.wrapping_add(bytes.len() as u32);
        true
    }

    /// Takes `len` bytes off the front as metadata that a program has written
    /// (`skb_metadata_set`); false if there are not so many.
    pub(super) fn pull_metadata(&mut self, len: usize) -> bool {
        if len > self.linear_len() || len > usize::from(u8::MAX) {
            return false;
        }
        let raw = self.raw_mut();
        raw.data = raw.data.wrapping_add(len);
        raw.len = raw.len.wrapping_sub(len as u32);
        self.shared_info_mut().meta_len = len as u8;
        true
    }

    /// Appends what was received, from `skip` on, as a fragment; joined with the
    /// last one where it follows it in memory. Every fragment must come from a page
    /// pool. The buffer's whole capacity is accounted (`skb_add_rx_frag`).
    ///
    /// # Errors
    ///
    /// The buffer, if the packet has all the fragments that it can have, or `skip` is not
    /// in the buffer.
    #[inline]
    pub fn append(&mut self, received: Received, skip: usize) -> Result<(), Received> {
        let Some(len) = received.len().checked_sub(skip) else {
            return Err(received);
        };
        let (page, offset) = received.buffer().location();
        let offset = offset.wrapping_add(received.headroom()).wrapping_add(skip);
        let truesize = received.buffer().capacity();
        let shared = self.0.shared_info_mut();
        let n = usize::from(shared.nr_frags);

        let mut joined = false;
        if let Some(last) = n.checked_sub(1).and_then(|last| shared.frags.get_mut(last)) {
            if last.netmem == page as usize
                && (last.offset.wrapping_add(last.len)) as usize == offset
            {
                last.len = last.len.wrapping_add(len as u32);
                joined = true;
            }
        }
        if joined {
            // One reference to the page is enough for the joined fragment.
            drop(received.into_buffer());
        } else {
            let Some(frag) = shared.frags.get_mut(n) else {
                return Err(received);
            };
            frag.netmem = page as usize;
            frag.offset = offset as u32;
            frag.len = len as u32;
            shared.nr_frags = shared.nr_frags.wrapping_add(1);
            let buffer = ManuallyDrop::new(received.into_buffer());
            // SAFETY: The buffer's page is valid.
            if unsafe { bindings::page_is_pfmemalloc(buffer.location().0) } {
                self.raw_mut().set_pfmemalloc(1);
            }
            // One of a list of packets is not marked yet.
            self.mark_for_recycle();
        }
        self.account(len, truesize);
        Ok(())
    }

    #[inline]
    fn account(&mut self, len: usize, truesize: usize) {
        let raw = self.raw_mut();
        raw.len = raw.len.wrapping_add(len as u32);
        raw.data_len = raw.data_len.wrapping_add(len as u32);
        raw.truesize = raw.truesize.wrapping_add(truesize as u32);
    }

    /// Applies what the virtio header says of checksum and segmentation; `header`
    /// is the whole header as received. For packets that are not plain: this walks
    /// the packet's headers (`virtio_net_hdr_tnl_to_skb`).
    ///
    /// # Errors
    ///
    /// `EINVAL` if the header does not fit the packet, or the packet has no Ethernet header
    /// in its linear part.
    #[cold]
    #[inline(never)]
    pub fn apply_virtio_header(
        &mut self,
        header: &[u8],
        tunnel: bool,
        tunnel_checksum: bool,
    ) -> Result {
        if self.linear_len() < ETH_HLEN {
            return Err(EINVAL);
        }
        let mut longest = [0u8; size_of::<bindings::virtio_net_hdr_v1_hash_tunnel>()];
        let n = header.len().min(longest.len());
        longest[..n].copy_from_slice(&header[..n]);
        self.0.headers_mut().network_header = self.headroom().wrapping_add(ETH_HLEN) as u16;
        // SAFETY: By the type invariant; the copy has the longest header's length.
        unsafe {
            let (skb, header) = (self.as_ptr(), longest.as_mut_ptr());
            to_result(bindings::virtio_net_handle_csum_offload(
                skb,
                header.cast(),
                tunnel_checksum,
            ))?;
            // On little-endian machines, a legacy header is little-endian as well.
            to_result(bindings::virtio_net_hdr_tnl_to_skb(
                skb,
                header.cast(),
                tunnel,
                tunnel_checksum,
                true,
            ))
        }
    }

    /// The device has verified the checksum (`CHECKSUM_UNNECESSARY`).
    #[inline]
    pub fn set_checksum_verified(&mut self) {
        self.0
            .headers_mut()
            .set_ip_summed(bindings::CHECKSUM_UNNECESSARY as u8);
    }

    /// Gives a complete Ethernet frame of the polled queue to the stack, by way of GRO
    /// (`eth_type_trans`, `napi_gro_receive`).
    ///
    /// A frame without a whole Ethernet header in its linear part is freed.
    #[inline]
    pub fn receive(mut self, poll: &RxPoll<'_>) {
        if self.linear_len() < ETH_HLEN {
            return;
        }
        self.raw_mut().queue_mapping = (poll.queue() as u16).wrapping_add(1);
        let skb = self.0.into_ptr().as_ptr();
        // SAFETY: The packet is given away; the poll's NAPI and its device are live.
        unsafe {
            let napi = poll.napi();
            let dev = (*napi).dev;
            let protocol = bindings::eth_type_trans(skb, dev.cast());
            (*skb).__bindgen_anon_4.headers.as_mut().protocol = protocol;
            bindings::gro_receive_skb(&raw mut (*napi).gro, skb);
        }
    }
}

impl super::PagePool {
    /// Bytes that must be free behind the data of a buffer that
    /// [`RxSkb::around`] takes.
    pub const SKB_OVERHEAD: usize = bindings::SKB_SHINFO_SIZE;
}

/// A packet that is put together from several receive buffers. When its fragments
/// run out, further packets are chained to it (`skb_shared_info::frag_list`).
pub struct Assembly {
    head: RxSkb,
    /// The last packet of the chain; null while there is no chain.
    last: *mut bindings::sk_buff,
}

impl Assembly {
    /// Begins with the packet of the first buffer.
    #[inline]
    pub fn new(head: RxSkb) -> Self {
        Self {
            head,
            last: core::ptr::null_mut(),
        }
    }

    /// Appends a whole received buffer.
    ///
    /// # Errors
    ///
    /// The buffer, if there is no memory for another packet, or the first packet has a
    /// chain already.
    #[inline]
    pub fn append(&mut self, received: Received) -> Result<(), RxBuffer> {
        if self.last.is_null() {
            return match self.head.append(received, 0) {
                Ok(()) => Ok(()),
                Err(received) => self.chain(received),
            };
        }
        let (len, truesize) = (received.len(), received.buffer().capacity());
        // SAFETY: It is not null, by the check above, and belongs to `head`: it is only
        // lent, which `ManuallyDrop` makes sure of.
        let last = unsafe { RxSkb::from_ptr(NonNull::new_unchecked(self.last)) };
        let mut last = ManuallyDrop::new(last);
        match last.append(received, 0) {
            Ok(()) => {
                self.head.account(len, truesize);
                Ok(())
            }
            Err(received) => self.chain(received),
        }
    }

    #[cold]
    fn chain(&mut self, received: Received) -> Result<(), RxBuffer> {
        if self.last.is_null() && !self.head.shared_info().frag_list.is_null() {
            // The end of another assembly's chain is not known.
            return Err(received.into_buffer());
        }
        // SAFETY: No preconditions; softirq context allows atomic allocation.
        let skb = unsafe { bindings::alloc_skb(0, bindings::GFP_ATOMIC) };
        let Some(skb) = NonNull::new(skb) else {
            return Err(received.into_buffer());
        };
        // SAFETY: A new buffer is ours.
        let mut next = unsafe { RxSkb::from_ptr(skb) };
        let own = next.raw().truesize as usize;
        let (len, truesize) = (received.len(), received.buffer().capacity());
        if let Err(received) = next.append(received, 0) {
            return Err(received.into_buffer());
        }
        let next = next.0.into_ptr().as_ptr();
        if self.last.is_null() {
            self.head.0.shared_info_mut().frag_list = next;
        } else {
            // SAFETY: The chain belongs to `head`.
            unsafe { (*self.last).__bindgen_anon_1.__bindgen_anon_1.next = next };
        }
        self.last = next;
        self.head.account(len, truesize.wrapping_add(own));
        Ok(())
    }

    /// The whole packet.
    #[inline]
    pub fn finish(self) -> RxSkb {
        self.head
    }
}
