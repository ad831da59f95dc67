// SPDX-License-Identifier: GPL-2.0

//! Reset of one queue while the device lives (`VIRTIO_F_RING_RESET`): the device gives
//! back what it has, and the ring may be made anew with another size.

use super::{queue_set::Label, Portable, Token, Virtqueue};
use crate::bindings;
use core::ptr::NonNull;
use kernel::{error::to_result, ffi::c_void, prelude::*};

/// What is called for each token that comes back.
type Recycle<'a, T> = &'a mut dyn FnMut(T);

impl<T: Token> Virtqueue<T> {
    /// Resets the queue, and calls `recycle` for each token that was in it
    /// (`virtqueue_reset`). Buffers that the device has used, but that were not taken
    /// yet, are among them. A token that has a context comes back without, and is of no
    /// use but to be dropped. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOENT` if the device or its transport cannot do that, and nothing has changed;
    /// `EBUSY` if the device did not take the queue again: it is broken then.
    pub fn reset(&mut self, recycle: impl FnMut(T)) -> Result
    where
        T: Portable,
    {
        self.reset_any(recycle)
    }

    /// The same, and where the device does not do that, it is reset as a whole and works no
    /// more: afterwards the queue is empty in any case.
    pub fn empty_anyway(&mut self, mut recycle: impl FnMut(T)) -> Result
    where
        T: Portable,
    {
        self.empty_any(&mut recycle)
    }

    pub(crate) fn empty_any(&mut self, mut recycle: impl FnMut(T)) -> Result {
        let result = self.reset_any(&mut recycle);
        if !self.is_empty() {
            self.take_back(recycle);
        }
        result
    }

    /// [`Self::reset`] for tokens of any kind.
    pub(crate) fn reset_any(&mut self, recycle: impl FnMut(T)) -> Result {
        // SAFETY: By the type invariant; the callback fits.
        self.recycling(recycle, |vq, recycle| unsafe {
            bindings::virtqueue_reset(vq, Some(recycle), None)
        })
    }

    /// Gives the ring `size` descriptors, by a reset as in [`Self::reset`]; nothing is
    /// reset if it has so many already (`virtqueue_resize`).
    ///
    /// # Errors
    ///
    /// Those of `reset`; `E2BIG` and `EINVAL` for sizes that the device or the ring does
    /// not have, and `ENOMEM`: the ring has its old size, and may have been emptied.
    pub fn resize(&mut self, size: usize, recycle: impl FnMut(T)) -> Result
    where
        T: Portable,
    {
        self.resize_any(size, recycle)
    }

    /// The same for tokens of any kind.
    pub(crate) fn resize_any(&mut self, size: usize, recycle: impl FnMut(T)) -> Result {
        let size = u32::try_from(size).map_err(|_| E2BIG)?;
        // SAFETY: By the type invariant; the callback fits.
        self.recycling(recycle, |vq, recycle| unsafe {
            bindings::virtqueue_resize(vq, size, Some(recycle), None)
        })
    }

    /// Takes and drops the tokens that the device has used; how many. For queues that are about to be
    /// emptied, or to end.
    pub fn drop_used(&mut self) -> usize {
        let mut used = 0usize;
        while self.take().is_some() {
            used = used.wrapping_add(1);
        }
        used
    }

    fn recycling(
        &mut self,
        mut recycle: impl FnMut(T),
        call: impl FnOnce(
            *mut bindings::virtqueue,
            unsafe extern "C" fn(*mut bindings::virtqueue, *mut c_void),
        ) -> c_int,
    ) -> Result {
        let vq = self.as_ptr();
        // SAFETY: No preconditions; process context. The end of a poll that is over may
        // still look at the ring, by its `Rearm`.
        unsafe { bindings::synchronize_net() };
        let mut recycle: Recycle<'_, T> = &mut recycle;
        // SAFETY: The queue is live, and was found with a label.
        let label = unsafe { Label::of(vq) };
        label.set((&raw mut recycle).cast());
        let ret = call(vq, Self::recycle_one);
        label.set(core::ptr::null_mut());
        let result = to_result(ret);
        if result == Err(EBUSY) {
            // SAFETY: By the type invariant.
            unsafe { bindings::__virtqueue_break(vq) };
        }
        result
    }

    /// # Safety
    ///
    /// C calls this in `recycling`, for this queue, once for each token in it.
    unsafe extern "C" fn recycle_one(vq: *mut bindings::virtqueue, token: *mut c_void) {
        // SAFETY: By the caller's promise, the label has what `recycling` put there, and
        // the token is one of `T`. Its context is lost, which `from_raw` allows.
        unsafe {
            let recycle = &mut *Label::of(vq).get().cast::<Recycle<'_, T>>();
            if let Some(token) = NonNull::new(token) {
                recycle(T::from_raw(token, core::ptr::null_mut()));
            }
        }
    }
}
