// SPDX-License-Identifier: GPL-2.0

//! Virtqueues of one token type.
//!
//! C header: [`include/linux/virtio.h`](srctree/include/linux/virtio.h)

use super::{DeviceLength, FoundQueue, Portable, PushError, QueueSet, SgTable, Token};
use crate::bindings;
use core::{marker::PhantomData, mem::ManuallyDrop, ptr::NonNull};
use kernel::{ffi::c_void, prelude::*, sync::Arc};

/// A virtqueue whose tokens are all of type `T`.
///
/// # Invariants
///
/// `vq` is live, as `set` is held, and all tokens in it are of type `T`. Only this
/// value adds to and takes from it.
pub struct Virtqueue<T: Token> {
    vq: NonNull<bindings::virtqueue>,
    set: Arc<QueueSet>,
    source: T::Source,
    /// What the DMA API maps for, or null if the queue does without it.
    dma: *mut bindings::device,
    _tokens: PhantomData<T>,
}

// SAFETY: A queue is not bound to a thread; its tokens travel with it.
unsafe impl<T: Token + Send> Send for Virtqueue<T> {}

impl<T: Token> Virtqueue<T> {
    pub(super) fn new(found: FoundQueue, source: T::Source) -> Self {
        Self {
            dma: found.dma_device(),
            vq: found.vq,
            set: found.set,
            source,
            _tokens: PhantomData,
        }
    }

    /// Where the memory of its tokens comes from.
    #[inline]
    pub(crate) fn source(&self) -> &T::Source {
        &self.source
    }

    #[inline]
    pub(super) fn as_ptr(&self) -> *mut bindings::virtqueue {
        self.vq.as_ptr()
    }

    /// How many descriptors are free.
    #[inline]
    pub fn free(&self) -> usize {
        // SAFETY: By the type invariant.
        unsafe { (*self.as_ptr()).num_free as usize }
    }

    /// How many descriptors the ring has (`virtqueue_get_vring_size`).
    pub fn size(&self) -> usize {
        // SAFETY: By the type invariant.
        unsafe { bindings::virtqueue_get_vring_size(self.as_ptr()) as usize }
    }

    /// How many descriptors the device would allow.
    pub fn max_size(&self) -> usize {
        // SAFETY: By the type invariant.
        unsafe { (*self.as_ptr()).num_max as usize }
    }

    /// Whether no token is in the queue.
    pub fn is_empty(&self) -> bool {
        self.free() == self.size()
    }

    /// Whether used buffers wait to be taken. Leaves interrupts enabled.
    pub fn has_used(&mut self) -> bool {
        self.enable_interrupts().pending()
    }

    /// Whether the device or the driver has declared the queue broken.
    pub fn is_broken(&self) -> bool {
        // SAFETY: By the type invariant.
        unsafe { bindings::virtqueue_is_broken(self.as_ptr()) }
    }

    /// Whether the queue uses the DMA API (`virtqueue_dma_dev`).
    #[inline]
    pub(crate) fn uses_dma(&self) -> bool {
        !self.dma.is_null()
    }

    /// What the DMA API maps for, or null.
    #[inline]
    pub(crate) fn dma_device(&self) -> *mut bindings::device {
        self.dma
    }

    /// Settles an attempt to add `token` whose words have been handed over.
    #[inline]
    fn settle(ret: c_int, data: NonNull<c_void>, context: *mut c_void) -> Result<(), PushError<T>> {
        if ret == 0 {
            return Ok(());
        }
        // SAFETY: The queue did not take the words, so they are used once.
        let token = unsafe { T::from_raw(data, context) };
        Err(PushError {
            error: Error::from_errno(ret),
            token,
        })
    }

    /// Adds segments that the device reads (`virtqueue_add_outbuf`), or, if `premapped`,
    /// that were added by [`SgTable::push_mapped`] (`virtqueue_add_outbuf_premapped`).
    ///
    /// # Safety
    ///
    /// `token` owns the memory of all segments in `sg`, and their mappings for this queue,
    /// if `premapped`.
    #[inline]
    pub(crate) unsafe fn push_out<const N: usize>(
        &mut self,
        sg: &mut SgTable<N>,
        premapped: bool,
        token: T,
    ) -> Result<(), PushError<T>> {
        if !sg.finish() {
            return Err(PushError {
                error: EINVAL,
                token,
            });
        }
        // To the kernel it is a bug to add what even an empty ring has no room for, as what is sent
        // has no tables of its own.
        if sg.used > self.free() {
            return Err(PushError {
                error: ENOSPC,
                token,
            });
        }
        let (data, context) = token.into_raw();
        // SAFETY: By the type invariant; the table has `used` entries and an end mark.
        let ret = unsafe {
            let add = if premapped {
                bindings::virtqueue_add_outbuf_premapped
            } else {
                bindings::virtqueue_add_outbuf
            };
            add(
                self.as_ptr(),
                sg.entries.as_mut_ptr(),
                sg.used as u32,
                data.as_ptr(),
                bindings::GFP_ATOMIC,
            )
        };
        Self::settle(ret, data, context)
    }

    /// Adds segments that the device writes (`virtqueue_add_inbuf_ctx`), or, if
    /// `premapped`, that carry a DMA address (`virtqueue_add_inbuf_premapped`).
    ///
    /// # Safety
    ///
    /// As for [`Self::push_out`]; the entries are initialised as `premapped` says.
    #[inline]
    pub(crate) unsafe fn push_in(
        &mut self,
        entries: &mut [bindings::scatterlist],
        premapped: bool,
        token: T,
    ) -> Result<(), PushError<T>> {
        let (data, context) = token.into_raw();
        let (vq, sg, n) = (self.as_ptr(), entries.as_mut_ptr(), entries.len() as u32);
        // SAFETY: By the type invariant and the caller's promise.
        let ret = unsafe {
            if premapped {
                bindings::virtqueue_add_inbuf_premapped(
                    vq,
                    sg,
                    n,
                    data.as_ptr(),
                    context,
                    bindings::GFP_ATOMIC,
                )
            } else {
                bindings::virtqueue_add_inbuf_ctx(
                    vq,
                    sg,
                    n,
                    data.as_ptr(),
                    context,
                    bindings::GFP_ATOMIC,
                )
            }
        };
        Self::settle(ret, data, context)
    }

    /// Adds a command: segments that the device reads, then ones that it writes,
    /// all inside the box (`virtqueue_add_sgs`).
    ///
    /// # Safety
    ///
    /// The byte ranges are inside the box's allocation.
    pub(crate) unsafe fn push_ranges(
        &mut self,
        out: &[(*const u8, usize)],
        into: &[(*const u8, usize)],
        token: T,
    ) -> Result<(), PushError<T>> {
        let mut tables: [SgTable<1>; 6] = core::array::from_fn(|_| SgTable::new());
        let mut lists = [core::ptr::null_mut::<bindings::scatterlist>(); 6];
        let n = out.len().saturating_add(into.len());
        if n > lists.len() {
            return Err(PushError {
                error: EINVAL,
                token,
            });
        }
        for (((start, len), table), list) in Iterator::chain(out.iter(), into)
            .zip(&mut tables)
            .zip(&mut lists)
        {
            // SAFETY: By the caller's promise.
            unsafe { table.push_linear(*start, *len) };
            table.finish();
            *list = table.entries.as_mut_ptr();
        }
        let (data, context) = token.into_raw();
        // SAFETY: By the type invariant; `lists` has that many tables.
        let ret = unsafe {
            bindings::virtqueue_add_sgs(
                self.as_ptr(),
                lists.as_mut_ptr(),
                out.len() as u32,
                into.len() as u32,
                data.as_ptr(),
                bindings::GFP_ATOMIC,
            )
        };
        Self::settle(ret, data, context)
    }

    /// Takes the next used token and the length that the device claims
    /// (`virtqueue_get_buf_ctx`).
    #[inline]
    pub fn pop(&mut self) -> Option<(T, DeviceLength)>
    where
        T: Portable,
    {
        self.take()
    }

    /// The same for tokens of any kind.
    #[inline]
    pub(crate) fn take(&mut self) -> Option<(T, DeviceLength)> {
        let (data, context, len) = self.take_words()?;
        // SAFETY: The queue gives back each pair of words once.
        let token = unsafe { T::from_raw(data, context) };
        Some((token, DeviceLength::new(len)))
    }

    /// The next used token in its two words, for who makes one of them, and the length.
    #[inline(always)]
    pub(crate) fn take_words(&mut self) -> Option<(NonNull<c_void>, *mut c_void, u32)> {
        let mut len = 0;
        let mut context = core::ptr::null_mut();
        // SAFETY: By the type invariant.
        let data = unsafe {
            if T::CONTEXT {
                bindings::virtqueue_get_buf_ctx(self.as_ptr(), &mut len, &mut context)
            } else {
                bindings::virtqueue_get_buf(self.as_ptr(), &mut len)
            }
        };
        Some((NonNull::new(data)?, context, len))
    }

    /// Tells the device of added buffers, if it wants to know; true if it was told
    /// (`virtqueue_kick_prepare`, `virtqueue_notify`).
    #[inline]
    pub fn kick(&mut self) -> bool {
        // SAFETY: By the type invariant.
        unsafe {
            bindings::virtqueue_kick_prepare(self.as_ptr())
                && bindings::virtqueue_notify(self.as_ptr())
        }
    }

    /// Tells the device of added buffers, whether it wants to know or not; false if the
    /// queue is broken (`virtqueue_notify`).
    pub fn notify(&mut self) -> bool {
        // SAFETY: By the type invariant.
        unsafe { bindings::virtqueue_notify(self.as_ptr()) }
    }

    /// Asks for no interrupts (`virtqueue_disable_cb`).
    #[inline]
    pub fn disable_interrupts(&mut self) {
        // SAFETY: By the type invariant.
        unsafe { bindings::virtqueue_disable_cb(self.as_ptr()) };
    }

    /// Asks for interrupts from the next used buffer on. Buffers that were used
    /// before it are found through the result (`virtqueue_enable_cb_prepare`).
    #[inline]
    pub fn enable_interrupts(&mut self) -> Rearm<'_> {
        // SAFETY: By the type invariant.
        let opaque = unsafe { bindings::virtqueue_enable_cb_prepare(self.as_ptr()) };
        Rearm {
            vq: self.vq,
            opaque,
            _queue: PhantomData,
        }
    }

    /// Asks for an interrupt once most buffers are used; false if many are already
    /// (`virtqueue_enable_cb_delayed`).
    #[inline]
    pub fn enable_interrupts_delayed(&mut self) -> bool {
        // SAFETY: By the type invariant.
        unsafe { bindings::virtqueue_enable_cb_delayed(self.as_ptr()) }
    }
}

impl<T: Token> Virtqueue<T> {
    /// The end of the queue, as by dropping it, and what `f` is called with is in it. The
    /// tokens are of no use but to be dropped.
    pub fn discard(mut self, f: impl FnMut(T))
    where
        T: Portable,
    {
        self.empty(f);
    }

    /// The end of the queue, as by dropping it; returns how many tokens the device had used that
    /// nobody had taken.
    pub fn end(mut self) -> usize {
        // Nothing is used any more from here on.
        self.set.binding().reset_device();
        self.drop_used()
    }

    /// Has the queue take tokens of another type, and gives back where those of this one
    /// came from.
    ///
    /// # Safety
    ///
    /// No token is in the queue.
    pub(crate) unsafe fn retype<U: Token>(self, source: U::Source) -> (Virtqueue<U>, T::Source) {
        const { assert!(T::CONTEXT || !U::CONTEXT) };
        let this = ManuallyDrop::new(self);
        // SAFETY: The fields are moved out once, as `this` is neither used nor dropped any
        // more.
        let (set, old) = unsafe {
            (
                core::ptr::read(&raw const this.set),
                core::ptr::read(&raw const this.source),
            )
        };
        // INVARIANT: By the caller's promise.
        let queue = Virtqueue {
            vq: this.vq,
            set,
            source,
            dma: this.dma,
            _tokens: PhantomData,
        };
        (queue, old)
    }

    /// The device of the queue.
    pub(crate) fn device(&self) -> &super::Device {
        self.set.binding().device()
    }

    /// Where the memory of its tokens comes from, to be changed.
    #[inline]
    pub(crate) fn source_mut(&mut self) -> &mut T::Source {
        &mut self.source
    }

    /// Takes all tokens back from a device that does not give them: it is reset, and works
    /// no more.
    pub(super) fn take_back(&mut self, f: impl FnMut(T)) {
        // SAFETY: By the type invariant, the device is valid. Process context, as for the reset.
        unsafe {
            bindings::virtio_break_device(self.device().as_raw());
            // Who has seen a queue whole before that may still be about to kick it.
            bindings::synchronize_net();
        }
        self.empty(f);
    }

    /// Resets the device, which may still own the buffers, and takes them back.
    fn empty(&mut self, mut f: impl FnMut(T)) {
        self.set.binding().reset_device();
        loop {
            // SAFETY: By the type invariant; the device is reset.
            let data = unsafe { bindings::virtqueue_detach_unused_buf(self.as_ptr()) };
            let Some(data) = NonNull::new(data) else {
                break;
            };
            // SAFETY: Each token comes out once. The context is lost here, which
            // `from_raw` allows.
            f(unsafe { T::from_raw(data, core::ptr::null_mut()) });
        }
    }
}

impl<T: Token> Drop for Virtqueue<T> {
    fn drop(&mut self) {
        self.empty(drop);
    }
}

/// A queue on which interrupts were just enabled. The end of a poll checks it for
/// buffers that were used in between.
///
/// # Invariants
///
/// `vq` is live: it is borrowed, and deleted only after the polls that began before.
#[must_use]
pub struct Rearm<'a> {
    vq: NonNull<bindings::virtqueue>,
    opaque: u32,
    _queue: PhantomData<&'a mut ()>,
}

impl Rearm<'_> {
    /// Whether buffers were used meanwhile (`virtqueue_poll`).
    #[inline]
    pub(crate) fn pending(&self) -> bool {
        // SAFETY: By the type invariant. This reads the ring's used index.
        unsafe { bindings::virtqueue_poll(self.vq.as_ptr(), self.opaque) }
    }

    /// Asks for no interrupts after all.
    #[inline]
    pub(crate) fn cancel(&self) {
        // SAFETY: By the type invariant; see `Interrupt::disable` for races.
        unsafe { bindings::virtqueue_disable_cb(self.vq.as_ptr()) };
    }
}
