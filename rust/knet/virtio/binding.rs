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
/// A set that is found is live: it takes itself out before it goes.
enum Found {
    None,
    Some(NonNull<QueueSet>),
    /// They are being found, or deleted.
    Changing,
}

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
    /// Held by the driver while it changes the device's status.
    #[pin]
    pub(super) status: Mutex<()>,
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
        match *self.queues.lock() {
            // SAFETY: By the type invariant, and as the set cannot go while we have the lock.
            Found::Some(set) => Some(f(unsafe { set.as_ref() })),
            Found::None | Found::Changing => None,
        }
    }

    /// Whether the device has queues, and all of them are broken: it is given up.
    pub(crate) fn is_broken(&self) -> bool {
        self.with_queues(QueueSet::are_broken).unwrap_or(false)
    }

    /// Whether the device has queues, or still has them.
    pub(super) fn has_queues(&self) -> bool {
        !matches!(*self.queues.lock(), Found::None)
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
        match &mut *self.queues.lock() {
            found @ Found::None => *found = Found::Changing,
            Found::Some(_) | Found::Changing => return Err(EBUSY),
        }
        let result = QueueSet::find(self, requests, interrupt);
        // INVARIANT: `queues_go` is called before the set goes.
        *self.queues.lock() = match &result {
            Ok(set) => Found::Some(NonNull::from(&**set)),
            Err(_) => Found::None,
        };
        result
    }

    /// The queues are about to go.
    pub(super) fn queues_go(&self) {
        *self.queues.lock() = Found::Changing;
    }

    /// They are gone.
    pub(super) fn queues_are_gone(&self) {
        *self.queues.lock() = Found::None;
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
                queues <- new_mutex!(Found::None, "virtio queues"),
                status <- new_mutex!((), "virtio status"),
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
