// SPDX-License-Identifier: GPL-2.0

//! What hangs on a device while a driver has it.

use super::{binding::Owner, Binding, Device, Driver, Probe};
use crate::{
    bindings,
    cpu::{Watch, Watcher},
};
use core::{cell::Cell, marker::PhantomData, ops::Deref};
use kernel::{prelude::*, sync::Arc, types::Opaque};

/// A driver's data and the work that tells it of configuration changes.
#[repr(C)]
pub(super) struct Bound<T: Driver> {
    work: Opaque<bindings::work_struct>,
    /// What users can reach the driver by. Touched by [`Start`] and `release` only.
    registered: Cell<KVec<Arc<dyn Registered>>>,
    data: Pin<KBox<T>>,
    // After the data, which holds the device.
    owner: Owner,
}

/// Something by which users reach a driver, such as a network interface.
pub(crate) trait Registered {
    /// Takes it away from users; afterwards none of them is in the driver. A second call
    /// does nothing.
    fn unregister(&self);
}

impl<T: Driver> Bound<T> {
    /// Hangs the data on the device, where callbacks find it.
    ///
    /// # Safety
    ///
    /// The device is in its driver's hands and has no data.
    pub(super) unsafe fn attach(device: &Device, data: Pin<KBox<T>>, owner: Owner) -> Result {
        let bound = KBox::new(
            Self {
                work: Opaque::zeroed(),
                registered: Cell::new(KVec::new()),
                data,
                owner,
            },
            GFP_KERNEL,
        )?;
        let bound = KBox::into_raw(bound);
        // SAFETY: The work item stays in place until `release`. Callbacks read the
        // pointer whole.
        unsafe {
            bindings::init_work_with_key(
                (*bound).work.get(),
                Some(Self::run),
                false,
                c"virtio_config_changed".as_char_ptr(),
                kernel::static_lock_class!().as_ptr(),
            );
            let priv_ = &raw mut (*device.as_raw()).priv_;
            priv_.write_volatile(bound.cast());
        }
        Ok(())
    }

    /// What hangs on a device of this driver, if anything does yet.
    ///
    /// # Safety
    ///
    /// The device is bound to this driver; the reference ends before `release`.
    pub(super) unsafe fn of<'a>(vdev: *mut bindings::virtio_device) -> Option<&'a Self> {
        // SAFETY: The pointer is null or what `attach` wrote.
        unsafe {
            (&raw const (*vdev).priv_)
                .read_volatile()
                .cast::<Self>()
                .as_ref()
        }
    }

    pub(super) fn data(&self) -> &T {
        &self.data
    }

    /// Makes the device live; after an error nothing hangs on it any more.
    ///
    /// # Safety
    ///
    /// Called once, right after `attach`.
    pub(super) unsafe fn start(device: &Device) -> Result {
        // SAFETY: By the caller's promise; the reference ends in this statement.
        let result = unsafe { Self::of(device.as_raw()) }
            .ok_or(ENODEV)
            .and_then(|bound| bound.data.as_ref().start(&Start { device, bound }));
        if result.is_err() {
            // SAFETY: Called once, as the core does not call `remove` after an error.
            unsafe { Self::release(device) };
        }
        result
    }

    /// Has the driver drop its queues. The core lets no configuration change through.
    pub(super) fn freeze(&self) -> Result {
        // SAFETY: The work item was initialised in `attach`.
        let cancelled = unsafe { bindings::cancel_work_sync(self.work.get()) };
        let mut result = self.data.as_ref().freeze();
        // Whether the device was marked as failed, which the core would do again after a reset.
        // That it needs one could not be heard of it then.
        // SAFETY: The device is valid, and the core in this call.
        unsafe { (*self.owner.binding()?.device().as_raw()).failed = false };
        // The core would find the device's queues gone, and the driver would use them.
        if result.is_ok() && self.owner.binding()?.has_queues() {
            result = Err(EBUSY);
        }
        if result.is_err() && cancelled {
            self.schedule_config_changed();
        }
        result
    }

    /// Has the driver find its queues again.
    pub(super) fn restore(
        &self,
        device: &Device,
        interrupt: unsafe extern "C" fn(*mut bindings::virtqueue),
    ) -> Result {
        let probe = Probe {
            binding: self.owner.binding()?,
            interrupt,
            _thread: PhantomData,
        };
        let start = Start {
            device,
            bound: self,
        };
        self.data.as_ref().restore(&probe, &start)
    }

    pub(super) fn schedule_config_changed(&self) {
        // SAFETY: The work item was initialised in `attach`.
        unsafe {
            bindings::queue_work_on(
                bindings::wq_misc_consts_WORK_CPU_UNBOUND as c_int,
                bindings::system_percpu_wq,
                self.work.get(),
            )
        };
    }

    /// # Safety
    ///
    /// The workqueue calls this for a work item that `attach` initialised.
    unsafe extern "C" fn run(work: *mut bindings::work_struct) {
        // SAFETY: The work item is the first field of what `attach` leaked, which stays
        // until the work has ended.
        unsafe { (*work.cast::<Self>()).data.config_changed() };
    }

    /// Takes the driver off the device.
    ///
    /// # Safety
    ///
    /// Called once, after `attach`.
    pub(super) unsafe fn release(device: &Device) {
        let vdev = device.as_raw();
        // SAFETY: The device is valid.
        let bound = unsafe { (*vdev).priv_ }.cast::<Self>();
        if bound.is_null() {
            return;
        }
        // SAFETY: The pointer is what `attach` leaked. The work item does not run again,
        // and no user is left in the driver. Reset stops new callbacks, and those that
        // have begun are waited for, as not every transport does so by itself: after
        // that the data is ours alone.
        unsafe {
            bindings::disable_work_sync((*bound).work.get());
            // Who was registered last may need what was before.
            let mut registered = (*bound).registered.take();
            while let Some(last) = registered.pop() {
                last.unregister();
            }
            (*bound).data.as_ref().remove();
            bindings::virtio_reset_device(vdev);
            (&raw mut (*vdev).priv_).write_volatile(core::ptr::null_mut());
            match (*(*vdev).config).synchronize_cbs {
                Some(synchronize_cbs) => synchronize_cbs(vdev),
                None => bindings::synchronize_net(),
            }
            drop(KBox::from_raw(bound));
        }
    }
}

/// A device during [`Driver::start`] or [`Driver::restore`], when it can be made live and
/// visible.
pub struct Start<'a, T: Driver> {
    device: &'a Device,
    bound: &'a Bound<T>,
}

impl<T: Driver> Deref for Start<'_, T> {
    type Target = Device;

    fn deref(&self) -> &Device {
        self.device
    }
}

impl<T: Driver> Start<'_, T> {
    /// Sets DRIVER_OK: from here on the device uses its queues. A second call
    /// does nothing (`virtio_device_ready`).
    pub fn ready(&self) {
        let Ok(binding) = self.bound.owner.binding() else {
            return;
        };
        let _status = binding.status.lock();
        // SAFETY: We have the lock.
        unsafe { binding.make_ready() };
    }

    /// The driver's data, which stays until what was given to [`Self::hold`] was
    /// unregistered.
    pub(crate) fn data(&self) -> &T {
        &self.bound.data
    }

    /// Whether this is the device of `binding`.
    pub(crate) fn is_of(&self, binding: &Binding) -> bool {
        core::ptr::eq(self.device, binding.device())
    }

    /// Has the driver told of processors that come and go, until it goes itself.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn watch_processors(&self) -> Result
    where
        T: Watcher,
    {
        // SAFETY: The data stays until what is held was unregistered.
        let watch = Arc::new(unsafe { Watch::new::<T>(self.data()) }, GFP_KERNEL)?;
        self.hold(watch.clone())?;
        // SAFETY: What is in an `Arc` does not move, and it is held.
        unsafe { watch.add() }
    }

    /// Sees to it that `registered` is unregistered before the driver's data goes.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn hold(&self, registered: Arc<dyn Registered>) -> Result {
        let mut all = self.bound.registered.take();
        let result = all.push(registered, GFP_KERNEL);
        self.bound.registered.set(all);
        Ok(result?)
    }
}
