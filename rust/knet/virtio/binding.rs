// SPDX-License-Identifier: GPL-2.0

//! The time for which a driver has a device.
//!
//! All that a driver can keep of a device, such as its queues, holds a [`Binding`]. A
//! driver loses a device only when nothing holds one any more: [`Owner`] waits for it.
//! Queues may come and go meanwhile, as a device that was asleep comes back without.

use super::{Device, QueueRequest, QueueSet};
use crate::bindings;
use core::{ops::Deref, ptr::NonNull};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{Arc, Completion, Mutex},
};

/// The queues of a device.
///
/// # Invariants
///
/// The set is live: it takes itself out before it goes.
struct Found(Option<NonNull<QueueSet>>);

// SAFETY: A set is shared by threads.
unsafe impl Send for Found {}

/// What holds the device in its driver's hands.
///
/// # Invariants
///
/// `vdev` is bound to a driver.
#[pin_data(PinnedDrop)]
pub(crate) struct Binding {
    vdev: NonNull<bindings::virtio_device>,
    /// The device's queues, if it has any.
    #[pin]
    queues: Mutex<Found>,
    /// Completed when nobody holds this any more.
    released: Arc<Completion>,
}

// SAFETY: The device's methods use the C side's own synchronisation.
unsafe impl Send for Binding {}
// SAFETY: As above.
unsafe impl Sync for Binding {}

impl Binding {
    pub(crate) fn device(&self) -> &Device {
        // SAFETY: By the type invariant.
        unsafe { Device::from_raw(self.vdev.as_ptr()) }
    }

    /// Calls `f` with the device's queues, if it has any. May sleep.
    pub(super) fn with_queues<R>(&self, f: impl FnOnce(&QueueSet) -> R) -> Option<R> {
        let found = self.queues.lock();
        // SAFETY: By the type invariant, and as the set cannot go while we have the lock.
        found.0.map(|set| f(unsafe { set.as_ref() }))
    }

    /// Finds the queues, which are live while anybody has the set.
    ///
    /// # Errors
    ///
    /// `EBUSY` if there are any; the errors of [`QueueSet::find`].
    pub(super) fn find_queues(
        self: &Arc<Self>,
        requests: &[QueueRequest],
        interrupt: unsafe extern "C" fn(*mut bindings::virtqueue),
    ) -> Result<Arc<QueueSet>> {
        // Only `Probe` comes here, and it is on one thread.
        if self.with_queues(|_| ()).is_some() {
            return Err(EBUSY);
        }
        let set = QueueSet::find(self, requests, interrupt)?;
        // INVARIANT: `forget_queues` is called before the set goes.
        self.queues.lock().0 = Some(NonNull::from(&*set));
        Ok(set)
    }

    /// The queues are about to go.
    pub(super) fn forget_queues(&self) {
        self.queues.lock().0 = None;
    }

    /// Makes the device forget its queues, so that their buffers can be freed.
    pub(super) fn reset_device(&self) {
        // SAFETY: By the type invariant.
        unsafe { bindings::virtio_reset_device(self.vdev.as_ptr()) };
    }
}

#[pinned_drop]
impl PinnedDrop for Binding {
    fn drop(self: Pin<&mut Self>) {
        self.released.complete_all();
    }
}

/// The end of a binding: dropping it waits until nobody holds the device.
pub(super) struct Owner {
    /// Always there, but for `drop`.
    binding: Option<Arc<Binding>>,
    released: Arc<Completion>,
}

impl Owner {
    /// # Safety
    ///
    /// The device is in its driver's hands until the value was dropped.
    pub(super) unsafe fn new(device: &Device) -> Result<Self> {
        let released = Arc::pin_init(Completion::new(), GFP_KERNEL)?;
        let vdev = NonNull::new(device.as_raw()).ok_or(EINVAL)?;
        let at_end = released.clone();
        // INVARIANT: By the caller's promise, and as `drop` waits.
        let binding = Arc::pin_init(
            pin_init!(Binding {
                vdev,
                queues <- new_mutex!(Found(None), "virtio queues"),
                released: at_end,
            }),
            GFP_KERNEL,
        )?;
        Ok(Self {
            binding: Some(binding),
            released,
        })
    }

    pub(super) fn binding(&self) -> Result<&Arc<Binding>> {
        self.binding.as_ref().ok_or(ENODEV)
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        drop(self.binding.take());
        // A driver that keeps a queue for ever waits here for ever: that is its mistake,
        // and the only safe end of it.
        self.released.wait_for_completion();
    }
}

/// A device that its driver keeps: the driver loses the device only after this was
/// dropped.
#[derive(Clone)]
pub struct BoundDevice(pub(super) Arc<Binding>);

impl Deref for BoundDevice {
    type Target = Device;

    fn deref(&self) -> &Device {
        self.0.device()
    }
}
