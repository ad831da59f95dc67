// SPDX-License-Identifier: GPL-2.0

//! A pool of frames, mapped for a device.

use super::{
    super::{xdp::QueueInfo, XDP_HEADROOM},
    chain::Chains,
    tx::Turns,
};
use crate::{
    bindings, dma,
    virtio::{page_to_phys, Token, Virtqueue},
};
use core::{
    cell::UnsafeCell,
    marker::PhantomData,
    ptr::NonNull,
    sync::atomic::{AtomicBool, Ordering},
};
use kernel::{
    device::Device,
    error::to_result,
    prelude::*,
    sync::{aref::ARef, Arc, Completion},
};

/// A pool that a process offers for a queue pair.
pub struct XskOffer<'a> {
    pub(super) raw: NonNull<bindings::xsk_buff_pool>,
    pub(super) netdev: *mut bindings::net_device,
    pub(super) index: usize,
    pub(super) release: Release,
    pub(super) _core: PhantomData<&'a mut ()>,
}

/// Tells who offered a pool, when this is dropped, that nobody uses it any more.
pub(super) struct Release(pub(super) Arc<Completion>);

impl Drop for Release {
    fn drop(&mut self) {
        self.0.complete_all();
    }
}

/// A pool that is mapped for the device of a queue.
///
/// # Invariants
///
/// `raw` is live until `_release` is dropped, and mapped for `device`.
pub(super) struct Mapped {
    raw: NonNull<bindings::xsk_buff_pool>,
    device: *mut bindings::device,
    needs_sync: bool,
    /// What programs are told of the queue: frames of the pool point to it.
    info: Option<QueueInfo>,
    /// What is received into, and what is sent from.
    pub(super) rx: Part<Chains>,
    pub(super) tx: Part<Turns>,
    _release: Release,
}

// SAFETY: Pools are not bound to threads. The fill ring is used by who has the one part only,
// the transmit rings by who has the other.
unsafe impl Send for Mapped {}
// SAFETY: As above.
unsafe impl Sync for Mapped {}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: By the type invariant. Nothing of the pool is in a queue any more, as who
        // has put it there would hold this. Who has offered it has RTNL, and waits for this.
        unsafe { bindings::xp_dma_unmap(self.raw.as_ptr(), 0) };
    }
}

/// A pool of frames that a queue pair uses, until all holders have dropped it.
#[derive(Clone)]
pub struct XskPool(Arc<Mapped>);

/// What memory of processes is mapped for.
pub struct XskTarget {
    device: *mut bindings::device,
    _held: ARef<Device>,
    /// Whether the device is given what the DMA API says.
    uses_dma: bool,
}

impl<T: Token> Virtqueue<T> {
    /// What memory is mapped for that the queue is to have.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` for transports that map in a way of their own.
    pub fn xsk_target(&self) -> Result<XskTarget> {
        let vdev = self.device().as_raw();
        // SAFETY: The device is valid, and has a parent.
        let device = unsafe {
            match (self.dma_device(), (*vdev).map.is_null()) {
                (dma, _) if !dma.is_null() => dma,
                (_, true) => (*vdev).dev.parent,
                (_, false) => return Err(EOPNOTSUPP),
            }
        };
        Ok(XskTarget {
            device,
            // SAFETY: The device is there as long as its queue.
            _held: unsafe { Device::get_device(device.cast()) },
            uses_dma: self.uses_dma(),
        })
    }
}

impl XskOffer<'_> {
    /// Maps the pool for a device (`xsk_pool_dma_map`). A device that does without
    /// the DMA API is given addresses of memory itself: then every one must be what the DMA API
    /// has for its bus, too, or else an IOMMU or a bounce buffer were in between.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` if the addresses are others, or if frames can lie across pages, each of which the
    /// DMA API copies by itself; `ENOMEM`.
    pub fn map(self, target: &XskTarget) -> Result<XskPool> {
        let device = target.device;
        let raw = self.raw.as_ptr();
        // SAFETY: The core offers a live pool with its memory, and RTNL is held.
        unsafe {
            let umem = (*raw).umem;
            to_result(bindings::xp_dma_map(
                raw,
                device,
                0,
                (*umem).pgs,
                (*umem).npgs,
            ))?;
        }
        // INVARIANT: Who offers the pool waits for the release.
        let mut mapped = Mapped {
            raw: self.raw,
            device,
            // SAFETY: The device is valid.
            needs_sync: unsafe { dma::needs_sync(device) },
            info: None,
            rx: Part::new(),
            tx: Part::new(),
            _release: self.release,
        };
        // SAFETY: The pool is live. One that shares its memory has the mapping that there was.
        if unsafe { (*raw).dev } != device {
            return Err(EINVAL);
        }
        if !target.uses_dma && (mapped.needs_sync || !mapped.is_physical()) {
            return Err(EOPNOTSUPP);
        }
        // SAFETY: The pool is live.
        let (unaligned, chunk_size) = unsafe { ((*raw).unaligned, (*raw).chunk_size) };
        if unaligned && mapped.needs_sync {
            return Err(EOPNOTSUPP);
        }
        let step = if unaligned { 0 } else { chunk_size };
        // SAFETY: The device is valid as long as it has queues with pools.
        let info = unsafe { QueueInfo::of_frames(self.netdev, self.index, step as usize)? };
        mapped.info = Some(info);
        let mapped = Arc::new(mapped, GFP_KERNEL)?;
        if let Some(info) = &mapped.info {
            // SAFETY: The pool is live; what is in an `Arc` stays in place, and frames are
            // looked at only while that is there.
            unsafe { bindings::xp_set_rxq_info(raw, info.as_raw()) };
        }
        Ok(XskPool(mapped))
    }
}

impl Mapped {
    /// Whether the DMA addresses of all pages are their physical addresses.
    fn is_physical(&self) -> bool {
        /// In the lowest bit: that the next page follows.
        const CONTIGUOUS: u64 = 1;
        // SAFETY: By the type invariant, the pool is live and mapped, all of its pages.
        unsafe {
            let pool = self.raw.as_ptr();
            let umem = (*pool).umem;
            let n = ((*pool).dma_pages_cnt).min((*umem).npgs) as usize;
            (0..n).all(|index| {
                let address = *(*pool).dma_pages.add(index) & !CONTIGUOUS;
                address == page_to_phys(*(*umem).pgs.add(index))
            })
        }
    }
}

/// A part of a pool: whether a queue has it, and what the last one had for it.
pub(super) struct Part<K> {
    is_taken: AtomicBool,
    /// Of who has taken the part.
    kept: UnsafeCell<Option<K>>,
}

impl<K> Part<K> {
    const fn new() -> Self {
        Self {
            is_taken: AtomicBool::new(false),
            kept: UnsafeCell::new(None),
        }
    }
}

/// What a queue has allocated for a part of a pool. It stays with the pool: a queue that takes the
/// place of another, as the device was reset, is to serve the process whether there is memory or not.
pub(super) trait Kept: Sized {
    /// The part that it is for.
    fn part(mapped: &Mapped) -> &Part<Self>;
}

/// A part of a pool, in one hand at a time.
pub(super) struct Taken<K: Kept> {
    mapped: Arc<Mapped>,
    _part: PhantomData<fn() -> K>,
}

impl<K: Kept> Drop for Taken<K> {
    fn drop(&mut self) {
        K::part(&self.mapped)
            .is_taken
            .store(false, Ordering::Release);
    }
}

impl XskPool {
    /// Takes a part of the pool, unless somebody has it.
    pub(super) fn take<K: Kept>(&self) -> Result<Taken<K>> {
        if K::part(&self.0).is_taken.swap(true, Ordering::Acquire) {
            return Err(EBUSY);
        }
        Ok(Taken {
            mapped: self.0.clone(),
            _part: PhantomData,
        })
    }
}

impl<K: Kept> Taken<K> {
    /// What the last queue had, if that fits, or what `new` gives.
    pub(super) fn kept_or(
        &mut self,
        fits: impl FnOnce(&K) -> bool,
        new: impl FnOnce() -> Result<K>,
    ) -> Result<K> {
        // SAFETY: Nobody else has the part.
        let kept = unsafe { (*K::part(&self.mapped).kept.get()).take() };
        kept.filter(fits).map_or_else(new, Ok)
    }

    /// Keeps it for the next one.
    pub(super) fn keep(&mut self, kept: K) {
        // SAFETY: As above.
        unsafe { *K::part(&self.mapped).kept.get() = Some(kept) };
    }

    #[inline]
    pub(super) fn raw(&self) -> *mut bindings::xsk_buff_pool {
        self.mapped.raw.as_ptr()
    }

    /// What the pool is mapped for.
    #[inline]
    pub(super) fn device(&self) -> *mut bindings::device {
        self.mapped.device
    }

    /// Whether the device's memory must be handed over explicitly.
    #[inline]
    pub(super) fn needs_sync(&self) -> bool {
        self.mapped.needs_sync
    }

    /// The network device whose queue it is for, or null.
    pub(super) fn netdev(&self) -> *mut bindings::net_device {
        let info = self.mapped.info.as_ref();
        // SAFETY: It was registered with the device.
        info.map_or(core::ptr::null_mut(), |info| unsafe {
            (*info.as_raw()).dev
        })
    }

    /// Whether it is mapped for the device of `queue`.
    pub(super) fn is_for<T: Token>(&self, queue: &Virtqueue<T>) -> bool {
        let dma = queue.dma_device();
        if dma.is_null() {
            // SAFETY: The device is valid.
            let parent = unsafe { (*queue.device().as_raw()).dev.parent };
            // It was seen in `map` that this makes no difference.
            return parent == self.mapped.device;
        }
        dma == self.mapped.device
    }

    /// Whether the process takes packets over several frames (`XDP_USE_SG`).
    pub(super) fn takes_many(&self) -> bool {
        // SAFETY: The pool is live.
        let flags = unsafe { (*(*self.raw()).umem).flags };
        u32::from(flags) & bindings::XDP_UMEM_SG_FLAG != 0
    }

    /// The MTU of the interface.
    #[inline]
    pub(super) fn mtu(&self) -> usize {
        // SAFETY: The pool is live, and its interface stays while it is bound; a whole-word read.
        unsafe { (&raw const (*(*self.raw()).netdev).mtu).read_volatile() as usize }
    }

    /// Whether the interface has large packets given to it, to be cut again.
    pub(super) fn receives_large(&self) -> bool {
        // SAFETY: The pool is live, and its interface stays while it is bound; a whole-word read.
        let features = unsafe { (&raw const (*(*self.raw()).netdev).features).read_volatile() };
        features & bindings::NETIF_F_GRO_HW != 0
    }

    /// Whether no socket sends from it.
    #[inline]
    pub(super) fn has_no_sender(&self) -> bool {
        // SAFETY: The pool is live, and so is the list's head; a whole-word read of who sends.
        unsafe {
            let list = &raw const (*self.raw()).xsk_tx_list;
            (&raw const (*list).next).read_volatile().cast_const() == list
        }
    }

    /// Whether frames that are sent can have metadata.
    pub(super) fn has_metadata(&self) -> bool {
        // SAFETY: The pool is live.
        unsafe { (*self.raw()).tx_metadata_len != 0 }
    }

    /// Bytes of a frame that can be received into (`xsk_pool_get_rx_frame_size`).
    pub(super) fn frame_len(&self) -> usize {
        // SAFETY: The pool is live.
        let (chunk, headroom) = unsafe {
            let pool = self.raw();
            ((*pool).chunk_size as usize, (*pool).headroom as usize)
        };
        let tailroom = if self.takes_many() {
            bindings::SKB_SHINFO_SIZE
        } else {
            0
        };
        let len = chunk
            .saturating_sub(XDP_HEADROOM)
            .saturating_sub(headroom)
            .saturating_sub(tailroom);
        len & !127
    }
}
