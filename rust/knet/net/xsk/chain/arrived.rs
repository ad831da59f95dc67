// SPDX-License-Identifier: GPL-2.0

//! Chains that the device has filled.

use super::{
    super::{
        super::{xdp::Program, Pages},
        rx::Sources,
        RxFrame, XskFrags,
    },
    start_of, Chain, Record,
};
use crate::{
    bindings,
    virtio::{DeviceLength, LengthError, Virtqueue},
};
use core::marker::PhantomData;
use virtio_net_wire::HeaderLayout;

/// A chain that the device has filled, as far as the packet goes.
///
/// # Invariants
///
/// The slot has `header_len` initialised bytes; the frames have `len`, each `frame_len` of them
/// but for the last one that has any.
pub struct ArrivedChain<'q> {
    // As small as others that arrive, among which it is.
    chain: Chain,
    header_len: u32,
    frame_len: u32,
    len: u32,
    _queue: PhantomData<&'q mut ()>,
}

impl<'q> ArrivedChain<'q> {
    /// What is in the slot.
    #[inline]
    pub(in super::super) fn header(&self) -> &[u8] {
        let slot = self.chain.record().slot.as_ptr();
        // SAFETY: By the type invariant.
        unsafe { core::slice::from_raw_parts(slot, self.header_len as usize) }
    }

    /// What is in the frames.
    pub(in super::super) fn parts(&self) -> impl Iterator<Item = &[u8]> {
        let (mut rest, frame_len) = (self.len(), self.frame_len as usize);
        self.chain
            .frames()
            .iter()
            .flatten()
            .map_while(move |frame| {
                let len = rest.min(frame_len);
                rest = rest.wrapping_sub(len);
                // SAFETY: By the type invariant.
                (len != 0).then(|| unsafe { core::slice::from_raw_parts(start_of(*frame), len) })
            })
    }

    /// Bytes behind the header.
    #[inline]
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether the packet is in the first frame.
    #[inline]
    pub fn is_one(&self) -> bool {
        self.len <= self.frame_len
    }

    /// The first `n` frames have gone to somebody else. The others are free again.
    #[inline]
    fn without_first(mut self, n: usize) {
        for frame in self.chain.frames().iter().skip(n).flatten() {
            // SAFETY: The chain owns the frame; this is the queue's poll.
            unsafe { bindings::xp_free(frame.as_ptr()) };
        }
        // SAFETY: By the type invariant of the chain.
        unsafe { self.chain.0.as_mut().n = 0 };
    }

    /// The packet behind its header, of which the device has said `record`, for `program`. None if
    /// the process has given one of the frames twice.
    pub fn begin<'p>(
        self,
        record: &[u8; HeaderLayout::MAX_LEN],
        program: Option<Program<'q>>,
        pages: &'q mut Pages<'p>,
    ) -> Option<XskFrags<'q, 'p>> {
        let (len, frame_len) = (self.len(), self.frame_len as usize);
        let n = len.div_ceil(frame_len.max(1)).max(1);
        let frames = self.chain.frames().get(..n)?;
        // SAFETY: The frames are ours, and have these bytes. If it succeeds, they are given
        // away.
        let frame = unsafe { XskFrags::new(frames, len, frame_len, record, program, pages)? };
        self.without_first(n);
        Some(frame)
    }
}

impl Virtqueue<RxFrame> {
    /// A chain that the device has filled, with `least` bytes or more.
    #[inline(never)]
    pub(in super::super) fn chain_arrived(
        &mut self,
        chain: Chain,
        len: DeviceLength,
        least: usize,
    ) -> Result<ArrivedChain<'_>, LengthError> {
        let Sources {
            pool,
            chains,
            frame_len,
            ..
        } = self.source_mut();
        let Record {
            n,
            header_len,
            index,
            ..
        } = *chain.record();
        // The queue is borrowed for as long as somebody looks at the slot.
        if let Some(chains) = chains {
            chains.put(index);
        }
        let posted = header_len.wrapping_add(n.wrapping_mul(*frame_len));
        let len = len.checked(least, posted)?;
        let header_len = header_len.min(len);
        let len = len.wrapping_sub(header_len);
        if pool.needs_sync() {
            let mut rest = len;
            for frame in chain.frames().iter().flatten() {
                let len = rest.min(*frame_len);
                if len == 0 {
                    break;
                }
                rest = rest.wrapping_sub(len);
                // SAFETY: The frame is ours, and mapped.
                unsafe {
                    bindings::__dma_sync_single_for_cpu(
                        pool.device(),
                        (*frame.as_ptr()).dma,
                        len,
                        bindings::dma_data_direction::DMA_BIDIRECTIONAL,
                    );
                }
            }
        }
        // INVARIANT: The device has had no more than these bytes.
        Ok(ArrivedChain {
            chain,
            header_len: header_len as u32,
            frame_len: *frame_len as u32,
            len: len as u32,
            _queue: PhantomData,
        })
    }
}
