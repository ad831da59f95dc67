// SPDX-License-Identifier: GPL-2.0

//! Frames of a pool in a queue that receives.

use super::{
    super::{page_pool::PoolRef, RxBuffer},
    chain::{Chain, Chains},
    pool::Taken,
    reserve::Reserve,
    XskPool,
};
use crate::{
    bindings,
    virtio::{Token, Virtqueue, SG_END},
};
use core::{mem::ManuallyDrop, ptr::NonNull};
use kernel::{ffi::c_void, prelude::*};
use virtio_net_wire::{HeaderLayout, HeaderMask};

/// A frame of a pool that is the device's to fill.
///
/// # Invariants
///
/// The value owns the frame, of a pool that its queue holds.
pub(super) struct Buffer {
    pub(super) xskb: NonNull<bindings::xdp_buff_xsk>,
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: By the type invariant. Queues are in their poll, or paused.
        unsafe { bindings::xp_free(self.xskb.as_ptr()) };
    }
}

/// What is in a queue that receives for AF_XDP: frames of its pool, alone or in chains, and
/// pages while it has too few of them.
pub struct RxFrame(pub(super) Posted);

pub(super) enum Posted {
    Page(RxBuffer),
    Frame(Buffer),
    Chain(Chain),
}

impl From<Chain> for RxFrame {
    #[inline]
    fn from(chain: Chain) -> Self {
        Self(Posted::Chain(chain))
    }
}

// SAFETY: Memory is not bound to a thread.
unsafe impl Send for RxFrame {}

/// What marks the addresses of a frame and a chain: what they describe is aligned, as are pages.
pub(super) const FRAME: usize = 1;
const CHAIN: usize = 2;

/// Where the memory comes from, and what it is like.
pub struct Sources {
    pages: PoolRef,
    /// Bytes of a frame that can be received into, behind the header.
    pub(super) frame_len: usize,
    /// Bytes of the header, and which of the longest those are.
    pub(super) header_len: usize,
    pub(super) mask: HeaderMask,
    /// The fewest bytes of a packet in one frame, and how many more there may be.
    pub(super) least: usize,
    pub(super) span: usize,
    /// Of a pool whose process takes packets over several frames.
    pub(super) chains: Option<Chains>,
    /// Pages in the queue, and bytes of each.
    pub(super) pages_posted: usize,
    pub(super) page_len: usize,
    pub(super) reserve: Reserve,
    /// The last to go, as in [`super::XskTx`].
    pub(super) pool: Taken<Chains>,
}

impl Drop for Sources {
    fn drop(&mut self) {
        if let Some(mut chains) = self.chains.take() {
            // The queue has none any more: it was emptied, or is gone.
            chains.put_all();
            self.pool.keep(chains);
        }
    }
}

// SAFETY: Each word is the address of one kind, which the mark tells.
unsafe impl Token for RxFrame {
    const CONTEXT: bool = true;

    type Source = Sources;

    #[inline]
    fn into_raw(self) -> (NonNull<c_void>, *mut c_void) {
        match self.0 {
            Posted::Page(buffer) => buffer.into_raw(),
            Posted::Frame(buffer) => {
                let buffer = ManuallyDrop::new(buffer);
                (
                    buffer.xskb.cast::<c_void>().map_addr(|at| at | FRAME),
                    core::ptr::null_mut(),
                )
            }
            Posted::Chain(chain) => (
                chain.into_ptr().cast::<c_void>().map_addr(|at| at | CHAIN),
                core::ptr::null_mut(),
            ),
        }
    }

    #[inline]
    unsafe fn from_raw(data: NonNull<c_void>, context: *mut c_void) -> Self {
        let at = data.as_ptr();
        // SAFETY: By the caller's promise, this is what `into_raw` gave away.
        unsafe {
            if at as usize & FRAME != 0 {
                Self(Posted::Frame(Buffer {
                    xskb: NonNull::new_unchecked(at.wrapping_byte_sub(FRAME).cast()),
                }))
            } else if at as usize & CHAIN != 0 {
                let record = at.wrapping_byte_sub(CHAIN).cast();
                Self(Posted::Chain(Chain::from_ptr(NonNull::new_unchecked(
                    record,
                ))))
            } else {
                Self(Posted::Page(RxBuffer::from_raw(data, context)))
            }
        }
    }
}

/// What filling a queue has come to.
pub struct Filled {
    /// Frames that were posted.
    pub frames: usize,
    /// Whether there were too few for the queue's room.
    pub is_short: bool,
    /// Whether none could be posted, as they are kept for pages; see [`Virtqueue::post_frames`].
    pub is_kept: bool,
}

/// Bytes of an Ethernet header.
pub(super) const ETH_HLEN: usize = bindings::ETH_HLEN as usize;

const _: () = assert!(HeaderLayout::Legacy10.len() + ETH_HLEN >= HeaderLayout::MAX_LEN);

/// How many frames are taken from the process at once.
pub(super) const BATCH: usize = 64;

impl Virtqueue<RxBuffer> {
    /// Has the queue, which is empty, receive into frames of `pool`, too, each packet behind a
    /// header of `layout`.
    ///
    /// # Errors
    ///
    /// The queue, and `EBUSY` if it is not empty or another queue receives into the pool,
    /// `EINVAL` if that is mapped for another device, `ENOMEM`.
    pub fn with_pool(
        self,
        pool: &XskPool,
        layout: HeaderLayout,
    ) -> Result<Virtqueue<RxFrame>, (Error, Self)> {
        let source = match self.sources(pool, layout) {
            Ok(source) => source,
            Err(error) => return Err((error, self)),
        };
        // SAFETY: It was empty just now.
        Ok(unsafe { self.retype(source) }.0)
    }

    fn sources(&self, pool: &XskPool, layout: HeaderLayout) -> Result<Sources> {
        let mut pool = pool.take::<Chains>()?;
        if !self.is_empty() {
            return Err(EBUSY);
        }
        if !pool.is_for(self) {
            return Err(EINVAL);
        }
        let chains = if pool.takes_many() {
            let (device, size) = (self.dma_device(), self.max_size().max(self.size()));
            Some(pool.kept_or(
                |chains| chains.are_for(device, size),
                || Chains::new(device, size),
            )?)
        } else {
            None
        };
        let (frame_len, header_len) = (pool.frame_len(), layout.len());
        let least = header_len.wrapping_add(ETH_HLEN);
        let posted = header_len.wrapping_add(frame_len);
        // In frames without room there is no packet.
        let (least, span) = match posted.checked_sub(least) {
            Some(span) => (least, span),
            None => (usize::MAX, 0),
        };
        Ok(Sources {
            pages: self.source().share(),
            frame_len,
            header_len,
            mask: layout.mask(),
            least,
            span,
            pool,
            chains,
            pages_posted: 0,
            page_len: 0,
            reserve: Reserve::new(),
        })
    }
}

impl Virtqueue<RxFrame> {
    /// Has the queue receive into pages only; it gives its pool back. Whatever is in it goes.
    pub fn without_pool(mut self) -> (Virtqueue<RxBuffer>, Result) {
        let result = self.empty_any(drop);
        let pages = self.source().pages.share();
        // SAFETY: All tokens were taken out.
        (unsafe { self.retype(pages) }.0, result)
    }

    /// Pages come from another pool from here on.
    ///
    /// # Errors
    ///
    /// `EBUSY` if the queue is not empty; `EINVAL` if the pool is another device's.
    pub fn use_pages(&mut self, pages: PoolRef) -> Result {
        if !self.is_empty() {
            return Err(EBUSY);
        }
        if !pages.is_for(self) {
            return Err(EINVAL);
        }
        self.source_mut().pages = pages;
        Ok(())
    }

    /// Takes all buffers back; those of [`Virtqueue::reset`] are errors.
    pub fn reset_frames(&mut self) -> Result {
        let result = self.reset_any(drop);
        self.forget_posted();
        result
    }

    /// As [`Virtqueue::resize`]; buffers are freed.
    pub fn resize_frames(&mut self, size: usize) -> Result {
        let result = self.resize_any(size, drop);
        self.forget_posted();
        result
    }

    /// Nothing is posted any more: chains and pages came back in another way than from the device.
    fn forget_posted(&mut self) {
        if !self.is_empty() {
            return;
        }
        self.source_mut().pages_posted = 0;
        self.source_mut().reserve = Reserve::new();
        if let Some(chains) = &mut self.source_mut().chains {
            chains.put_all();
        }
    }

    /// The MTU of the interface, in bytes.
    #[inline]
    pub fn mtu(&self) -> usize {
        self.source().pool.mtu()
    }

    /// Whether the device may give large packets, to be cut again (`NETIF_F_GRO_HW`).
    pub fn receives_large(&self) -> bool {
        self.source().pool.receives_large()
    }

    /// Pages in the queue.
    pub fn pages(&self) -> usize {
        self.source().pages_posted
    }

    /// The fewest bytes for which a descriptor stands that is not a page's: where frames are
    /// posted together, two at least, behind one for the header.
    pub fn frame_share(&self) -> usize {
        let Sources {
            chains, frame_len, ..
        } = self.source();
        match chains {
            Some(_) => frame_len / 3 * 2,
            None => *frame_len,
        }
    }

    /// Posts as many frames as the process has and there is room for, each with room for the
    /// header in front of where it begins. If they are too few, the process is asked to wake
    /// the queue when there are more (`xsk_buff_alloc_batch`, `xsk_set_rx_need_wakeup`).
    ///
    /// Where packets of `longest` bytes do not fit in a frame, and the process takes several,
    /// as many as are needed are posted together.
    ///
    /// While there are pages in the queue, as many frames are kept back as they may need: the core
    /// copies what arrives in a page into one, if it is for the process ([`Reserve`]).
    pub fn post_frames(&mut self, longest: impl FnOnce(&Self) -> usize) -> Filled {
        if self.source().chains.is_some() {
            let most = longest(self).div_ceil(self.source().frame_len.max(1));
            if most > 1 {
                return self.post_chains(most);
            }
        }
        let raw = self.source().pool.raw();
        let is_kept = !self.keep_for_pages();
        let (mut frames, mut is_short) = (0usize, is_kept);
        while !is_short && self.free() > 0 {
            let want = self.free().min(BATCH);
            let mut batch = [core::ptr::null_mut::<bindings::xdp_buff>(); BATCH];
            // SAFETY: The pool is live, we have its part, and there is room for as many.
            let n = unsafe { bindings::xp_alloc_batch(raw, batch.as_mut_ptr(), want as u32) };
            is_short = (n as usize) < want;
            let posted = self.post_each(batch.get(..n as usize).unwrap_or_default());
            // A frame that was not taken is freed, and no more are tried.
            is_short |= posted != n as usize;
            frames = frames.wrapping_add(posted);
        }
        self.ask_for_frames(is_short);
        Filled {
            frames,
            is_short,
            is_kept,
        }
    }

    /// Whether the process has any frames for the queue.
    pub fn has_frames(&self) -> bool {
        let Sources { pool, reserve, .. } = self.source();
        // SAFETY: The pool is live, and we have its part.
        reserve.len() != 0 || unsafe { bindings::xp_can_alloc(pool.raw(), 1) }
    }

    /// Has the process wake the queue when it has more frames, or not.
    #[inline]
    pub(super) fn ask_for_frames(&mut self, is_short: bool) {
        let raw = self.source().pool.raw();
        // SAFETY: The pool is live, and we have its part.
        unsafe {
            if is_short {
                bindings::xsk_set_rx_need_wakeup(raw);
            } else {
                bindings::xsk_clear_rx_need_wakeup(raw);
            }
        }
    }

    /// Posts frames of the pool, which are the caller's to give away; how many. Others are freed.
    #[inline]
    fn post_each(&mut self, frames: &[*mut bindings::xdp_buff]) -> usize {
        let header_len = self.source().header_len;
        // SAFETY: All-zero is a valid `scatterlist`.
        let mut entry: bindings::scatterlist = unsafe { core::mem::zeroed() };
        entry.dma_length = header_len.wrapping_add(self.source().frame_len) as u32;
        entry.page_link = SG_END;
        let mut posted = 0usize;
        for xdp in frames {
            // They begin with their descriptions.
            let Some(xskb) = NonNull::new(xdp.cast::<bindings::xdp_buff_xsk>()) else {
                continue;
            };
            let token = RxFrame(Posted::Frame(Buffer { xskb }));
            // SAFETY: The frame owns these bytes, as it has more headroom than any header has
            // bytes; the queue holds the pool, which maps them.
            let result = unsafe {
                entry.dma_address = (*xskb.as_ptr()).dma.wrapping_sub(header_len as u64);
                self.push_in(core::slice::from_mut(&mut entry), true, token)
            };
            posted = posted.wrapping_add(usize::from(result.is_ok()));
        }
        posted
    }

    /// Posts a page, as [`Virtqueue::post`] does; false if it is not taken.
    pub fn post_page(&mut self, mut buffer: RxBuffer, headroom: usize, len: usize) -> bool {
        let mapped = self.uses_dma();
        let pool = self.source().pages.as_raw();
        let Some(mut entry) = buffer.describe(pool, headroom, len, mapped) else {
            return false;
        };
        // SAFETY: The buffer owns the bytes; the entry is filled as `mapped` says.
        let is_posted = unsafe {
            self.push_in(
                core::slice::from_mut(&mut entry),
                mapped,
                RxFrame(Posted::Page(buffer)),
            )
        }
        .is_ok();
        let source = self.source_mut();
        source.pages_posted = source.pages_posted.wrapping_add(usize::from(is_posted));
        source.page_len = len;
        is_posted
    }
}
