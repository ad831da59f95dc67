// SPDX-License-Identifier: GPL-2.0

//! All queues of one device: found together, deleted together.

use super::Binding;
use crate::bindings;
use core::{
    marker::PhantomData,
    ptr::NonNull,
    sync::atomic::{AtomicPtr, Ordering},
};
use kernel::{container_of, cpumask::Cpumask, ffi::c_void, prelude::*, str::CString, sync::Arc};

/// What a driver asks of one queue.
pub struct QueueRequest {
    /// A name for `/proc/interrupts`, cut after 31 bytes.
    pub name: CString,
    /// Whether used buffers raise [`super::Driver::queue_interrupt`].
    pub interrupt: bool,
    /// Whether each token carries a word of context; such a queue does not use
    /// indirect descriptors.
    pub context: bool,
}

/// The queues of a device, deleted when nobody has any of them.
///
/// # Invariants
///
/// The queues are live, unless they are null.
pub(crate) struct QueueSet {
    queues: KVec<*mut bindings::virtqueue>,
    binding: Arc<Binding>,
    /// The queues point to their names for as long as they live.
    _labels: KVec<KBox<Label>>,
}

/// A queue's name, which `virtqueue::name` points to; and beside it what the queue's
/// user has for callbacks that get nothing but the queue.
#[repr(C)]
pub(super) struct Label {
    data: AtomicPtr<c_void>,
    name: [c_char; 32],
}

impl Label {
    fn new(name: &CStr) -> Result<KBox<Self>> {
        let mut label = Self {
            data: AtomicPtr::new(core::ptr::null_mut()),
            name: [0; 32],
        };
        // The last byte ends the string.
        for (to, from) in label.name[..31].iter_mut().zip(name.to_bytes()) {
            *to = *from as c_char;
        }
        Ok(KBox::new(label, GFP_KERNEL)?)
    }

    /// The label of a queue.
    ///
    /// # Safety
    ///
    /// The queue is one of a [`QueueSet`], and live while the reference is used.
    pub(super) unsafe fn of<'a>(vq: *mut bindings::virtqueue) -> &'a Self {
        // SAFETY: By the caller's promise, the name is the one of a label that lives as
        // long as the queue.
        unsafe { &*container_of!((*vq).name.cast::<[c_char; 32]>(), Self, name) }
    }

    /// Only the queue's user sets it.
    pub(super) fn set(&self, data: *mut c_void) {
        self.data.store(data, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> *mut c_void {
        self.data.load(Ordering::Relaxed)
    }
}

// SAFETY: The set only hands out pointers.
unsafe impl Send for QueueSet {}
// SAFETY: As above.
unsafe impl Sync for QueueSet {}

impl QueueSet {
    pub(super) fn find(
        binding: &Arc<Binding>,
        requests: &[QueueRequest],
        interrupt: unsafe extern "C" fn(*mut bindings::virtqueue),
    ) -> Result<Arc<Self>> {
        let (n, device) = (requests.len(), binding.device());
        let mut labels = KVec::with_capacity(n, GFP_KERNEL)?;
        let mut infos = KVec::with_capacity(n, GFP_KERNEL)?;
        for request in requests {
            let label = Label::new(&request.name)?;
            infos.push(
                bindings::virtqueue_info {
                    name: label.name.as_ptr(),
                    callback: request.interrupt.then_some(interrupt),
                    ctx: request.context,
                },
                GFP_KERNEL,
            )?;
            labels.push(label, GFP_KERNEL)?;
        }
        let queues = KVec::from_elem(core::ptr::null_mut(), n, GFP_KERNEL)?;
        // The set is allocated first, so that nothing can fail once the queues are there.
        let mut set = kernel::sync::UniqueArc::new(
            QueueSet {
                queues,
                binding: binding.clone(),
                _labels: labels,
            },
            GFP_KERNEL,
        )?;
        // SAFETY: The device is valid and `find_vqs` is mandatory; both arrays have
        // `n` elements.
        let ret = unsafe {
            let find_vqs = (*(*device.as_raw()).config).find_vqs.ok_or(EOPNOTSUPP)?;
            find_vqs(
                device.as_raw(),
                n as u32,
                set.queues.as_mut_ptr(),
                infos.as_mut_ptr(),
                core::ptr::null_mut(),
            )
        };
        if ret < 0 {
            // The transport has taken back those that it made.
            set.queues.clear();
            return Err(Error::from_errno(ret));
        }
        Ok(set.into())
    }

    /// The device of the queues.
    pub(super) fn binding(&self) -> &Arc<Binding> {
        &self.binding
    }

    pub(super) fn queue(&self, index: usize) -> Option<NonNull<bindings::virtqueue>> {
        self.queues.get(index).copied().and_then(NonNull::new)
    }

    /// Whether all of them are broken, as by `virtio_break_device`.
    pub(super) fn are_broken(&self) -> bool {
        // SAFETY: By the type invariant.
        let broken = |vq: NonNull<_>| unsafe { bindings::virtqueue_is_broken(vq.as_ptr()) };
        (0..self.queues.len()).all(|index| self.queue(index).is_none_or(broken))
    }

    /// Asks for the interrupts of queue `index` to go to `mask`; null takes the wish
    /// back.
    ///
    /// # Safety
    ///
    /// The mask is null or valid.
    unsafe fn set_affinity(&self, index: usize, mask: *const bindings::cpumask) {
        let Some(vq) = self.queue(index) else { return };
        let vdev = self.binding.device().as_raw();
        // SAFETY: By the type invariant and the caller's promise.
        unsafe {
            if let Some(set_vq_affinity) = (*(*vdev).config).set_vq_affinity {
                set_vq_affinity(vq.as_ptr(), mask);
            }
        }
    }
}

impl Drop for QueueSet {
    fn drop(&mut self) {
        // Those that could not be found are not known.
        if self.queues.is_empty() {
            return;
        }
        self.binding.queues_go();
        self.binding.reset_device();
        let vdev = self.binding.device().as_raw();
        // SAFETY: The device has these queues, and nobody else does. The end of a poll may still look
        // at its ring, by a `Rearm`. Process context.
        unsafe {
            bindings::synchronize_net();
            for index in 0..self.queues.len() {
                self.set_affinity(index, core::ptr::null());
            }
            if let Some(del_vqs) = (*(*vdev).config).del_vqs {
                del_vqs(vdev);
            }
        }
        self.binding.queues_are_gone();
    }
}

/// Which processors take the interrupts of a device's queues, while it has any.
pub struct Affinity(pub(super) Arc<Binding>);

impl Affinity {
    /// Asks for the interrupts of queue `index` to go to `processors`; a wish, which the
    /// transport may not be able to fulfil (`virtqueue_set_affinity`).
    pub fn set(&self, index: usize, processors: &Cpumask) {
        self.0.with_queues(|queues| {
            // SAFETY: The mask is valid.
            unsafe { queues.set_affinity(index, processors.as_raw().cast_const()) }
        });
    }
}

/// A used-buffer notification of one queue, in interrupt context.
pub struct Interrupt<'a> {
    vq: *mut bindings::virtqueue,
    _vq: PhantomData<&'a ()>,
}

impl Interrupt<'_> {
    /// # Safety
    ///
    /// `vq` is live while the value is.
    pub(super) unsafe fn new(vq: *mut bindings::virtqueue) -> Self {
        Self {
            vq,
            _vq: PhantomData,
        }
    }

    /// Which of the device's queues, counted from 0.
    #[inline]
    pub fn queue(&self) -> usize {
        // SAFETY: `vq` is live.
        unsafe { (*self.vq).index as usize }
    }

    /// Asks the device not to interrupt for now (`virtqueue_disable_cb`).
    #[inline]
    pub fn disable(&self) {
        // SAFETY: `vq` is live. This only writes the queue's event suppression, which
        // tolerates races with the queue's user: it is a hint.
        unsafe { bindings::virtqueue_disable_cb(self.vq) };
    }
}
