// SPDX-License-Identifier: GPL-2.0

//! What the device has filled of a queue with a pool.

use super::{
    super::{xdp::Program, XDP_HEADROOM},
    rx::{Posted, Sources, ETH_HLEN, FRAME},
    Arrived, ArrivedFrame, RxFrame, XskFrame,
};
use crate::{
    bindings,
    virtio::{DeviceLength, LengthError, Token, Virtqueue},
};
use core::{marker::PhantomData, ptr::NonNull};
use virtio_net_wire::HeaderLayout;

impl Virtqueue<RxFrame> {
    /// The next buffer that the device has filled, with `least` bytes or more.
    pub fn receive(&mut self, least: usize) -> Option<Result<Arrived<'_>, LengthError>> {
        let (posted, len) = self.take()?;
        Some(self.arrived(posted, len, least))
    }

    /// The next packet that the device has written, with an Ethernet header or more: the usual
    /// one is ready for the program.
    #[inline(always)]
    pub fn receive_next<'q>(&'q mut self, program: Option<Program<'q>>) -> Option<RxNext<'q>> {
        let (data, context, len) = self.take_words()?;
        let source = self.source();
        let (least, header_len) = (source.least, source.header_len);
        // Nothing is made of a usual one that would be of no use.
        let is_frame = data.addr().get() & FRAME != 0;
        let behind_least = (len as usize).wrapping_sub(least);
        if is_frame && program.is_some() && behind_least <= source.span {
            let at = data.as_ptr().wrapping_byte_sub(FRAME);
            // SAFETY: By the mark, this is what `into_raw` gave away.
            let xskb = unsafe { NonNull::new_unchecked(at.cast::<bindings::xdp_buff_xsk>()) };
            self.sync_frame(xskb, len as usize);
            // SAFETY: The frame is ours, and has header and packet, which together are longer
            // than any header. What it owns is initialised.
            let bytes = unsafe { &*start(xskb, header_len).cast::<[u8; HeaderLayout::MAX_LEN]>() };
            // Devices write this even if packets are always in one buffer (5.1.6.4.1).
            if u16::from_le_bytes([bytes[10], bytes[11]]) == 1 {
                let len = behind_least.wrapping_add(ETH_HLEN);
                // SAFETY: As above.
                let frame = unsafe { XskFrame::new(xskb, len, source.mask.read(bytes), program) };
                return Some(RxNext::Frame(frame));
            }
        }
        // SAFETY: The words are the queue's, which gives them once.
        let posted = unsafe { RxFrame::from_raw(data, context) };
        let least = header_len.wrapping_add(ETH_HLEN);
        let arrived = self.arrived(posted, DeviceLength::new(len), least);
        Some(RxNext::Other(arrived))
    }

    /// What a buffer that the device has used is.
    #[inline(never)]
    fn arrived(
        &mut self,
        RxFrame(posted): RxFrame,
        len: DeviceLength,
        least: usize,
    ) -> Result<Arrived<'_>, LengthError> {
        match posted {
            Posted::Frame(buffer) => {
                let header_len = self.source().header_len;
                let posted = header_len.wrapping_add(self.source().frame_len);
                let len = len.checked(least, posted)?;
                self.sync_frame(buffer.xskb, len);
                Ok(Arrived::Frame(ArrivedFrame {
                    buffer,
                    header_len,
                    len,
                    _queue: PhantomData,
                }))
            }
            Posted::Chain(chain) => self.chain_arrived(chain, len, least).map(Arrived::Chain),
            Posted::Page(buffer) => {
                self.page_arrived();
                match buffer.received(len, least) {
                    Ok(received) => Ok(Arrived::Page(received)),
                    Err((error, _)) => Err(error),
                }
            }
        }
    }

    /// Takes a frame over from the device, which has written `len` bytes.
    #[inline(always)]
    fn sync_frame(&self, xskb: NonNull<bindings::xdp_buff_xsk>, len: usize) {
        let Sources {
            pool, header_len, ..
        } = self.source();
        if pool.needs_sync() {
            // SAFETY: The frame is ours, and mapped.
            unsafe {
                bindings::__dma_sync_single_for_cpu(
                    pool.device(),
                    (*xskb.as_ptr()).dma.wrapping_sub(*header_len as u64),
                    len,
                    bindings::dma_data_direction::DMA_BIDIRECTIONAL,
                );
            }
        }
    }
}

/// A packet that has come.
pub enum RxNext<'q> {
    /// In one frame, for the program.
    Frame(XskFrame<'q>),
    /// Or otherwise, or there is no program; if there are as many bytes as it must have.
    Other(Result<Arrived<'q>, LengthError>),
}

/// Where the header of what is in a frame begins.
///
/// # Safety
///
/// The frame is valid.
#[inline(always)]
pub(super) unsafe fn start(xskb: NonNull<bindings::xdp_buff_xsk>, header_len: usize) -> *const u8 {
    // SAFETY: By the caller's promise.
    let hard_start = unsafe { (*xskb.as_ptr()).xdp.data_hard_start };
    hard_start
        .wrapping_byte_add(XDP_HEADROOM.wrapping_sub(header_len))
        .cast()
}
