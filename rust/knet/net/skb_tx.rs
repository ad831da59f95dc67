// SPDX-License-Identifier: GPL-2.0

//! Packets on their way to the device.

use super::{napi::Poll, SkBuff, TxPacket};
use crate::{
    bindings,
    virtio::{PushError, SgTable, Token, Virtqueue},
};
use core::{ops::Deref, ptr::NonNull};
use kernel::{error::to_result, ffi::c_void, prelude::*};
pub use virtio_net_wire::tx::TxOffload;
use virtio_net_wire::tx::{Gso, GsoKind, PartialChecksum, Tunnel};
use zerocopy::{Immutable, IntoBytes};

/// Where the virtio header goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum TxHeader {
    /// In front of the packet, in one descriptor with it, where there is room.
    Joined,
    /// Always in a descriptor of its own, as old devices want it.
    Separate,
}

/// Segments that a packet can have: header, linear part and fragments.
pub const MAX_SEGMENTS: usize = bindings::MAX_SKB_FRAGS + 2;

/// A packet that the stack gave to be sent; others may share its data, which cannot be
/// changed. Dropping it frees it as a packet that was lost.
#[repr(transparent)]
pub struct TxSkb(SkBuff);

impl Deref for TxSkb {
    type Target = SkBuff;

    #[inline]
    fn deref(&self) -> &SkBuff {
        &self.0
    }
}

// SAFETY: The pointer is all there is.
unsafe impl Token for TxSkb {
    type Source = ();

    #[inline]
    fn into_raw(self) -> (NonNull<c_void>, *mut c_void) {
        (self.0.into_ptr().cast(), core::ptr::null_mut())
    }

    #[inline]
    unsafe fn from_raw(data: NonNull<c_void>, _context: *mut c_void) -> Self {
        // SAFETY: By the caller's promise, this is what `into_raw` gave away.
        Self(unsafe { SkBuff::from_ptr(data.cast()) })
    }
}

impl TxSkb {
    /// # Safety
    ///
    /// `skb` is valid and its owner gives it away.
    #[inline]
    pub(super) unsafe fn from_ptr(skb: NonNull<bindings::sk_buff>) -> Self {
        // SAFETY: By the caller's promise.
        Self(unsafe { SkBuff::from_ptr(skb) })
    }

    /// Frees a packet that was sent, in batches (`napi_consume_skb`).
    #[inline]
    pub fn consume(self, poll: &Poll<'_>) {
        let skb = self.0.into_ptr().as_ptr();
        // SAFETY: The packet was ours. This is softirq context, which the per-CPU
        // batch needs, or netpoll's any context with its budget of 0.
        unsafe { bindings::napi_consume_skb(skb, poll.budget() as c_int) };
    }

    /// The same outside of polls, in any context (`dev_consume_skb_any`).
    pub fn consume_any(self) {
        let skb = self.0.into_ptr().as_ptr();
        // SAFETY: The packet was ours.
        unsafe { bindings::dev_kfree_skb_any_reason(skb, bindings::skb_drop_reason_SKB_CONSUMED) };
    }

    /// Lets go of the socket, of connection tracking, of the route, and of pages that are lent, as nobody
    /// says when the packet is freed (`skb_orphan_frags`, `skb_orphan`, `skb_dst_drop`, `nf_reset_ct`).
    ///
    /// # Errors
    ///
    /// `ENOMEM`: there was none to copy lent pages to; the packet is to be dropped.
    pub fn orphan(&mut self) -> Result {
        // SAFETY: By the type invariant.
        to_result(unsafe { bindings::skb_orphan(self.0.as_ptr()) })
    }

    /// Whether the stack leaves nothing to the device; then [`Self::tx_offload`] is
    /// [`TxOffload::NONE`].
    #[inline]
    pub fn is_complete(&self) -> bool {
        self.headers().ip_summed() != bindings::CHECKSUM_PARTIAL as u8
            && self.shared_info().gso_size == 0
    }

    /// What the stack leaves to the device (`virtio_net_hdr_from_skb`).
    ///
    /// # Errors
    ///
    /// `EINVAL` for a kind of segmentation that virtio-net does not have.
    #[inline]
    pub fn tx_offload(&self) -> Result<TxOffload> {
        let mut offload = TxOffload::NONE;
        if self.headers().ip_summed() == bindings::CHECKSUM_PARTIAL as u8 {
            // SAFETY: With a partial checksum, these are the fields in use.
            let (start, offset) = unsafe {
                let csum = &self.headers().__bindgen_anon_1.__bindgen_anon_1;
                (csum.csum_start, csum.csum_offset)
            };
            let start = start.wrapping_sub(self.headroom() as u16);
            offload.checksum = Some(PartialChecksum { start, offset });
        }
        if self.shared_info().gso_size != 0 {
            offload.gso = Some(self.tx_gso()?);
        }
        Ok(offload)
    }

    #[inline(never)]
    fn tx_gso(&self) -> Result<Gso> {
        let shared = self.shared_info();
        let is = |bit: c_int| shared.gso_type & bit as u32 != 0;
        let kind = if is(bindings::SKB_GSO_TCPV4) {
            GsoKind::TcpV4
        } else if is(bindings::SKB_GSO_TCPV6) {
            GsoKind::TcpV6
        } else if is(bindings::SKB_GSO_UDP_L4) {
            GsoKind::UdpL4
        } else {
            return Err(EINVAL);
        };
        Ok(Gso {
            kind,
            ecn: is(bindings::SKB_GSO_TCP_ECN),
            hdr_len: self.linear_len() as u16,
            size: shared.gso_size,
            tunnel: self.tx_tunnel(),
        })
    }

    /// The UDP tunnel around a segmented packet (`virtio_net_hdr_tnl_from_skb`).
    fn tx_tunnel(&self) -> Option<Tunnel> {
        const PLAIN: u32 = bindings::SKB_GSO_UDP_TUNNEL as u32;
        const CHECKSUM: u32 = bindings::SKB_GSO_UDP_TUNNEL_CSUM as u32;
        let gso_type = self.shared_info().gso_type;
        let (headers, headroom) = (self.headers(), self.headroom() as u16);
        (gso_type & (PLAIN | CHECKSUM) != 0).then(|| Tunnel {
            outer_ipv6: headers.protocol == (bindings::ETH_P_IPV6 as u16).to_be(),
            outer_checksum: gso_type & CHECKSUM != 0,
            outer_transport: headers.transport_header.wrapping_sub(headroom),
            inner_network: headers.inner_network_header.wrapping_sub(headroom),
        })
    }

    /// Bytes of all headers up to the payload of a segmented packet, or of its linear
    /// part if the headers are not there (`__virtio_net_set_hdrlen`,
    /// `__virtio_net_set_tnl_hdrlen`).
    pub fn gso_header_len(&self, kind: GsoKind, in_tunnel: bool) -> u16 {
        let headers = self.headers();
        let transport = if in_tunnel {
            headers.inner_transport_header
        } else {
            headers.transport_header
        };
        let transport = transport.wrapping_sub(self.headroom() as u16);
        let header_len = if kind.is_tcp() {
            // SAFETY: The linear part has that many bytes.
            let linear = unsafe { core::slice::from_raw_parts(self.raw().data, self.linear_len()) };
            // The upper half of a TCP header's byte 12 counts its 32-bit words.
            match linear.get(usize::from(transport).wrapping_add(12)) {
                Some(byte) => u16::from(byte >> 4).wrapping_mul(4),
                None => return self.linear_len() as u16,
            }
        } else {
            kind.header_len()
        };
        transport.wrapping_add(header_len)
    }

    /// Takes a software time stamp, if a socket asked for one (`skb_tx_timestamp`).
    #[inline]
    pub fn tx_timestamp(&mut self) {
        // PHY time stamping, the other half of the C function, needs a PHY.
        const ASKED: u32 = bindings::SKBTX_SW_TSTAMP | bindings::SKBTX_BPF;
        if u32::from(self.shared_info().tx_flags) & ASKED != 0 {
            // SAFETY: By the type invariant.
            unsafe { bindings::skb_tstamp_tx(self.as_ptr(), core::ptr::null_mut()) };
        }
    }

    /// Whether the header area is shared with a clone (`skb_header_cloned`).
    #[inline]
    fn header_is_shared(&self) -> bool {
        if self.raw().cloned() == 0 {
            return false;
        }
        // SAFETY: By the type invariant. Clones change the counter at any time: a
        // volatile read, as `atomic_read` does, and no reference to it.
        let dataref =
            unsafe { (&raw const (*self.shared_info_ptr()).dataref.counter).read_volatile() };
        (dataref & 0xffff).wrapping_sub(dataref >> 16) != 1
    }
}

impl Virtqueue<TxPacket> {
    /// Queues a packet behind its virtio header, which has at most 48 bytes.
    ///
    /// # Errors
    ///
    /// As [`PushError`]; the packet is as it was.
    #[inline(always)]
    pub fn send<H: IntoBytes + Immutable + Copy>(
        &mut self,
        sg: &mut SgTable<MAX_SEGMENTS>,
        mut skb: TxSkb,
        header: H,
        place: TxHeader,
    ) -> Result<(), PushError<TxPacket>> {
        const { assert!(size_of::<H>() <= size_of::<[c_char; 48]>()) };
        let joined = place == TxHeader::Joined
            && skb.raw().data as usize & 1 == 0
            && skb.headroom() >= size_of::<H>()
            && !skb.header_is_shared();
        let linear = skb.linear_len();
        sg.clear();
        // SAFETY: The packet owns all these bytes, and the queue gets the packet. The
        // header is in its headroom or control block, each long enough.
        unsafe {
            if joined {
                let start = skb.raw().data.wrapping_sub(size_of::<H>());
                start.cast::<H>().write_unaligned(header);
                sg.push_linear(start, size_of::<H>().wrapping_add(linear));
            } else {
                let start = skb.0.raw_mut().cb.as_mut_ptr().cast::<u8>();
                start.cast::<H>().write_unaligned(header);
                sg.push_linear(start, size_of::<H>());
                if linear != 0 {
                    sg.push_linear(skb.raw().data, linear);
                }
            }
            let shared = skb.shared_info();
            for frag in shared.frags.iter().take(usize::from(shared.nr_frags)) {
                sg.push_page(
                    frag.netmem as *mut _,
                    frag.offset as usize,
                    frag.len as usize,
                );
            }
            self.push_out(sg, false, TxPacket::Skb(skb))
        }
    }
}
