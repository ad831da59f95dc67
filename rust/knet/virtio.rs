// SPDX-License-Identifier: GPL-2.0

//! The virtio bus: drivers, devices, feature bits and configuration space.
//!
//! C header: [`include/linux/virtio.h`](srctree/include/linux/virtio.h),
//! [`include/linux/virtio_config.h`](srctree/include/linux/virtio_config.h)

use crate::{bindings, dma};
use core::{marker::PhantomData, ptr::NonNull};
use kernel::{prelude::*, str::CStr, sync::Arc, types::Opaque};

mod binding;
mod bound;
mod command;
mod queue_set;
mod registration;
mod reset;
mod restart;
mod sg;
mod token;
mod virtqueue;

pub use binding::BoundDevice;
pub use bound::Start;
pub use command::CommandQueue;
pub use queue_set::{Affinity, Interrupt, QueueRequest};
pub use registration::Registration;
pub use restart::Restart;
pub use sg::SgTable;
pub use token::{DeviceLength, Portable, PushError, Token};
pub use virtio_net_wire::LengthError;
pub use virtqueue::{Rearm, Virtqueue};

pub(crate) use binding::Binding;
pub(crate) use bound::Registered;
pub(crate) use sg::{page_address, page_to_phys, virt_to_page, SG_END};

use queue_set::QueueSet;

/// A driver of one kind of virtio device.
///
/// The order of calls is [`validate`](Self::validate), then the core negotiates
/// features, [`probe`](Self::probe), [`start`](Self::start); later callbacks; and
/// [`remove`](Self::remove), after which the data is dropped. [`freeze`](Self::freeze)
/// and [`restore`](Self::restore) come in pairs in between. A driver may keep parts of
/// the device elsewhere, such as a queue: it is not taken from the driver before the
/// last of them is dropped.
pub trait Driver: Sized + Send + Sync + 'static {
    /// The device type, as in section 5 of the specification.
    const DEVICE_ID: u32;
    /// Feature bits that the driver understands.
    const FEATURES: &'static [u32];
    /// The same for a device that does not offer `VIRTIO_F_VERSION_1`.
    const FEATURES_LEGACY: &'static [u32];

    /// Looks at what the device offers before features are negotiated, and
    /// returns the bits to be cleared: two words, bit 0 first.
    ///
    /// An error refuses the device.
    fn validate(device: &Device) -> Result<[u64; 2]>;

    /// Makes the driver's data with its queues; the device is not live yet.
    fn probe(device: &Probe<'_>) -> Result<Pin<KBox<Self>>>;

    /// Makes the device live ([`Start::ready`]) and visible. Callbacks come from
    /// here on. After an error, [`remove`](Self::remove) is called.
    fn start(self: Pin<&Self>, device: &Start<'_, Self>) -> Result;

    /// The configuration space may have changed. Process context, one call at a time.
    fn config_changed(&self);

    /// The device is about to lose its state, to be suspended or reset: the driver stops
    /// using it and drops all its queues. No configuration changes come from here on.
    /// After an error it goes on as before.
    fn freeze(self: Pin<&Self>) -> Result;

    /// The device is back, with the same features and no queues. Without success, it
    /// stays so, until it is frozen again or goes.
    fn restore(self: Pin<&Self>, device: &Probe<'_>, start: &Start<'_, Self>) -> Result;

    /// A queue that asked for it has used buffers. Interrupt context.
    fn queue_interrupt(&self, interrupt: Interrupt<'_>);

    /// The device goes. Its users, such as those of a network interface, are gone
    /// already; the queues still work.
    fn remove(self: Pin<&Self>) {}
}

/// Bytes of the configuration space that can be accessed. No device has more, and
/// transports do not check.
const CONFIG_LEN: usize = 256;

/// A virtio device.
#[repr(transparent)]
pub struct Device(Opaque<bindings::virtio_device>);

// SAFETY: The methods only use the C side's own synchronisation.
unsafe impl Send for Device {}
// SAFETY: As above.
unsafe impl Sync for Device {}

impl Device {
    /// # Safety
    ///
    /// `vdev` is valid for as long as the reference is used.
    unsafe fn from_raw<'a>(vdev: *mut bindings::virtio_device) -> &'a Self {
        // SAFETY: By the caller's promise; the types have the same layout.
        unsafe { &*vdev.cast() }
    }

    pub(crate) fn as_raw(&self) -> *mut bindings::virtio_device {
        self.0.get()
    }

    /// The feature words: offered before probe, negotiated from then on.
    pub fn features(&self) -> [u64; 2] {
        // SAFETY: The device is valid, and features do not change under a driver.
        unsafe { (*self.as_raw()).__bindgen_anon_1.features_array }
    }

    fn config(&self) -> *const bindings::virtio_config_ops {
        // SAFETY: The device is valid; its operations are set before it is added.
        unsafe { (*self.as_raw()).config }
    }

    /// Whether the transport lets the driver read the configuration space.
    pub fn has_config(&self) -> bool {
        // SAFETY: The operations are valid while the device is.
        unsafe { (*self.config()).get.is_some() }
    }

    /// Reads `N` bytes of the configuration space at `offset`, again until the
    /// device reports one generation for all of them. May sleep. Zeroes, if they are
    /// not in its first 256 bytes.
    pub fn read_config<const N: usize>(&self, offset: u32) -> [u8; N] {
        let mut bytes = [0u8; N];
        // SAFETY: The operations are valid while the device is.
        let ops = unsafe { &*self.config() };
        let Some(get) = ops.get.filter(|_| in_config(offset, N)) else {
            return bytes;
        };
        let generation = || match ops.generation {
            // SAFETY: The device is valid.
            Some(generation) => unsafe { generation(self.as_raw()) },
            None => 0,
        };
        // A device that changes for ever must not hold the driver for ever.
        for _ in 0..64 {
            let before = generation();
            // A number is read whole, anything else byte by byte: transports have no
            // other accesses.
            let step = if matches!(N, 1 | 2 | 4) { N } else { 1 };
            for (i, part) in bytes.chunks_mut(step).enumerate() {
                let at = offset.wrapping_add((i * step) as u32);
                // SAFETY: `part` has room for its length.
                unsafe {
                    get(
                        self.as_raw(),
                        at,
                        part.as_mut_ptr().cast(),
                        part.len() as u32,
                    )
                };
            }
            if generation() == before {
                break;
            }
        }
        bytes
    }

    /// Writes bytes of the configuration space, one at a time, as legacy devices
    /// want it. May sleep. Nothing, if they are not in its first 256 bytes.
    pub fn write_config(&self, offset: u32, bytes: &[u8]) {
        // SAFETY: The operations are valid while the device is.
        let set = unsafe { (*self.config()).set };
        let Some(set) = set.filter(|_| in_config(offset, bytes.len())) else {
            return;
        };
        for (i, byte) in bytes.iter().enumerate() {
            // SAFETY: `byte` is readable for its one byte.
            unsafe {
                set(
                    self.as_raw(),
                    offset.wrapping_add(i as u32),
                    core::ptr::from_ref(byte).cast(),
                    1,
                )
            };
        }
    }

    /// Lets configuration changes through, or holds them back
    /// (`virtio_config_driver_enable`, `virtio_config_driver_disable`).
    pub fn enable_config_changes(&self, enable: bool) {
        // SAFETY: The device is valid.
        unsafe {
            if enable {
                bindings::virtio_config_driver_enable(self.as_raw());
            } else {
                bindings::virtio_config_driver_disable(self.as_raw());
            }
        }
    }

    /// Behaves as if the device had reported a configuration change.
    pub fn report_config_change(&self) {
        // SAFETY: The device is valid.
        unsafe { bindings::virtio_config_changed(self.as_raw()) };
    }

    /// The name of the device behind the transport, such as a PCI address
    /// (`virtio_bus_name`).
    pub fn bus_name(&self) -> &CStr {
        // SAFETY: The device and its operations are valid; the name lives as long.
        unsafe {
            match (*self.config()).bus_name {
                Some(bus_name) => CStr::from_char_ptr(bus_name(self.as_raw())),
                None => c"virtio",
            }
        }
    }

    /// The bits `VIRTIO_CONFIG_S_...`. Of a device that is gone all are set.
    fn status(&self) -> u32 {
        // SAFETY: The device and its operations are valid.
        let status = unsafe {
            (*self.config())
                .get_status
                .map_or(0, |get_status| get_status(self.as_raw()))
        };
        status.into()
    }

    /// Whether the device says that it has met an error which it does not get out of without a
    /// reset (section 2.1.2); not if it is marked as failed, or gone. Process context.
    pub fn needs_reset(&self) -> bool {
        let (needs, failed) = (
            bindings::VIRTIO_CONFIG_S_NEEDS_RESET,
            bindings::VIRTIO_CONFIG_S_FAILED,
        );
        self.status() & (needs | failed) == needs
    }

    /// Whether the device was made live (DRIVER_OK) since its last reset. Process context.
    pub fn is_live(&self) -> bool {
        self.status() & bindings::VIRTIO_CONFIG_S_DRIVER_OK != 0
    }

    /// Whether the device behind the transport has memory by its physical addresses, and sees what
    /// is in it at once.
    pub fn has_memory_as_it_is(&self) -> bool {
        // SAFETY: The device is valid, and has a parent while a driver is bound.
        unsafe {
            let parent = (*self.as_device()).parent;
            !dma::needs_sync(parent) && dma::is_direct(parent)
        }
    }

    /// Marks the device broken: no queue of it takes or gives buffers any more
    /// (`virtio_break_device`).
    pub fn mark_broken(&self) {
        // SAFETY: The device is valid.
        unsafe { bindings::virtio_break_device(self.as_raw()) };
    }

    /// The device in the driver model.
    pub(crate) fn as_device(&self) -> *mut bindings::device {
        // SAFETY: The device is valid; only the field's address is taken.
        unsafe { &raw mut (*self.as_raw()).dev }
    }

    /// The NUMA node of the device behind the transport, or -1.
    #[cfg(CONFIG_NUMA)]
    pub(crate) fn node(&self) -> i32 {
        // SAFETY: The device is valid, and has a parent while a driver is bound.
        unsafe { (*(*self.as_device()).parent).numa_node }
    }

    /// -1: there are no nodes.
    #[cfg(not(CONFIG_NUMA))]
    pub(crate) fn node(&self) -> i32 {
        -1
    }
}

fn in_config(offset: u32, len: usize) -> bool {
    (offset as usize).saturating_add(len) <= CONFIG_LEN
}

impl AsRef<kernel::device::Device> for Device {
    fn as_ref(&self) -> &kernel::device::Device {
        // SAFETY: `as_device` is valid and initialised while `self` is.
        unsafe { kernel::device::Device::from_raw(self.as_device()) }
    }
}

/// A device during [`Driver::probe`] or [`Driver::restore`], or as it is restarted ([`Restart`]), when
/// its queues can be found.
pub struct Probe<'a> {
    binding: &'a Arc<Binding>,
    interrupt: unsafe extern "C" fn(*mut bindings::virtqueue),
    /// Finding queues is for one thread.
    _thread: PhantomData<*mut ()>,
}

impl core::ops::Deref for Probe<'_> {
    type Target = Device;

    fn deref(&self) -> &Device {
        self.binding.device()
    }
}

impl Probe<'_> {
    /// The device, for a driver's data to keep.
    pub fn keep(&self) -> BoundDevice {
        BoundDevice(self.binding.clone())
    }

    pub(crate) fn binding(&self) -> &Arc<Binding> {
        self.binding
    }

    /// Asks the transport for the queues, in the device's order, and returns one
    /// [`FoundQueue`] for each (`virtio_find_vqs`).
    ///
    /// # Errors
    ///
    /// `EINVAL` without requests; `EBUSY` while there are queues; `ENOMEM`, or the
    /// transport's error: `ENOENT` for a queue that the device does not have.
    pub fn find_queues(&self, requests: &[QueueRequest]) -> Result<KVec<FoundQueue>> {
        if requests.is_empty() {
            return Err(EINVAL);
        }
        let mut found = KVec::with_capacity(requests.len(), GFP_KERNEL)?;
        let set = self.binding.find_queues(requests, self.interrupt)?;
        for (index, request) in requests.iter().enumerate() {
            let vq = set.queue(index).ok_or(ENOENT)?;
            found.push(
                FoundQueue {
                    vq,
                    set: set.clone(),
                    context: request.context,
                },
                GFP_KERNEL,
            )?;
        }
        Ok(found)
    }
}

/// A queue that the transport found, not yet typed. There is one value for each.
pub struct FoundQueue {
    vq: NonNull<bindings::virtqueue>,
    set: Arc<QueueSet>,
    context: bool,
}

// SAFETY: A queue is not bound to a thread.
unsafe impl Send for FoundQueue {}

impl FoundQueue {
    /// The interrupt affinity of all queues of the device.
    pub fn affinity(&self) -> Affinity {
        Affinity(self.binding().clone())
    }

    pub(crate) fn binding(&self) -> &Arc<Binding> {
        self.set.binding()
    }

    /// How many descriptors the ring has.
    pub(crate) fn size(&self) -> usize {
        // SAFETY: The queue is live while the set is.
        unsafe { bindings::virtqueue_get_vring_size(self.vq.as_ptr()) as usize }
    }

    /// The device for the DMA API, or null if the queue does without it.
    pub(crate) fn dma_device(&self) -> *mut bindings::device {
        // SAFETY: The queue is live while the set is.
        unsafe { bindings::virtqueue_dma_dev(self.vq.as_ptr()) }
    }

    /// Fixes the type of the tokens that go through the queue.
    ///
    /// # Errors
    ///
    /// `EINVAL` if `T` needs a queue with context and this is not one.
    pub fn typed<T: Token<Source = ()>>(self) -> Result<Virtqueue<T>> {
        self.with_source(())
    }

    /// The same for tokens whose memory comes from `source`.
    pub(crate) fn with_source<T: Token>(self, source: T::Source) -> Result<Virtqueue<T>> {
        if T::CONTEXT && !self.context {
            return Err(EINVAL);
        }
        Ok(Virtqueue::new(self, source))
    }
}
