// SPDX-License-Identifier: GPL-2.0

//! A network device as users have it.
//!
//! C header: [`include/linux/netdevice.h`](srctree/include/linux/netdevice.h)

use super::{
    address::MacAddress,
    builder::NetDevice,
    failover::Failover,
    features::Features,
    locks::{OpsLocked, Rtnl},
    napi::Slot,
    ops::Driver,
    queues::Queues,
    xdp::Attached,
};
use crate::{
    bindings,
    cpu::Online,
    virtio::{self, Registered, Start},
};
use core::{
    cell::Cell,
    sync::atomic::{AtomicBool, Ordering},
};
use kernel::{
    container_of,
    cpumask::Cpumask,
    error::to_result,
    prelude::*,
    sync::{Arc, SetOnce},
    types::Opaque,
};

/// Sizes that the kernel was told last, and makes room for: what a driver says later does
/// not count.
#[derive(Default)]
pub(super) struct Told {
    /// Counters of `ethtool -S`.
    pub(super) counters: Cell<usize>,
    /// Bytes of the hash key.
    pub(super) key: Cell<usize>,
    /// Entries of the indirection table.
    pub(super) table: Cell<usize>,
}

/// What the C side keeps for us behind its `net_device`: set before the device is
/// registered, and valid until it is not any more.
#[repr(C)]
pub(super) struct Priv<D: Driver> {
    pub(super) driver: *const D,
    pub(super) tx: *const [Slot<D, D::Tx>],
    pub(super) interface: *const Interface<D>,
    /// None when the device is not registered any more. Changed under RTNL and the instance
    /// lock.
    pub(super) program: Attached,
    /// Changed under the instance lock only.
    pub(super) told: Told,
}

impl<D: Driver> Priv<D> {
    /// # Safety
    ///
    /// `Builder::new` allocated the device.
    #[inline]
    pub(super) unsafe fn of(dev: *mut bindings::net_device) -> *mut Self {
        // SAFETY: By the caller's promise; only the address is taken.
        unsafe { (*dev).priv_.as_mut_ptr().cast() }
    }
}

/// A network device with its queues.
pub(super) struct Interface<D: Driver> {
    // Before the device, whose NAPI instances they have.
    pub(super) queues: Queues<D>,
    /// Sees to transmit queues that are stuck, and tells of claims; not queued before registration.
    later: Opaque<bindings::work_struct>,
    /// Set once: a device is not registered twice.
    claimed: AtomicBool,
    /// Set between registration and its end. Changed under RTNL and the instance lock.
    registered: AtomicBool,
    /// Set once the device can be opened. Changed under RTNL.
    ready: AtomicBool,
    /// Somebody wanted to open it before that. Changed under RTNL.
    wanted: AtomicBool,
    /// The master, if this is a standby.
    failover: SetOnce<Failover>,
    /// What is claimed of XDP has changed, and nobody was told.
    pub(super) claims: AtomicBool,
    netdev: Arc<NetDevice>,
}

// SAFETY: The work item is used by the C side's synchronisation; the rest is `Send`.
unsafe impl<D: Driver> Send for Interface<D> {}
// SAFETY: As above; the rest is `Sync`.
unsafe impl<D: Driver> Sync for Interface<D> {}

impl<D: Driver> Interface<D> {
    pub(super) fn as_raw(&self) -> *mut bindings::net_device {
        self.netdev.as_raw()
    }

    pub(super) fn locked<R>(&self, f: impl FnOnce(&mut OpsLocked<'_, D>) -> R) -> R {
        // SAFETY: The device is valid; the lock is held while the token lives.
        unsafe {
            bindings::netdev_lock(self.as_raw());
            let result = f(&mut OpsLocked::new(self.as_raw()));
            bindings::netdev_unlock(self.as_raw());
            result
        }
    }

    pub(super) fn is_registered(&self) -> bool {
        self.registered.load(Ordering::Relaxed)
    }

    pub(super) fn is_standby(&self) -> bool {
        self.failover.as_ref().is_some()
    }

    /// Whether the device can be opened now. A failover master that is up opens its
    /// standby while that is being registered: it is told to wait, and not asked again.
    pub(super) fn may_open(&self) -> Result {
        if !self.ready.load(Ordering::Relaxed) {
            self.wanted.store(true, Ordering::Relaxed);
            return Err(EBUSY);
        }
        Ok(())
    }

    /// Has the driver see to transmit queue `index`, from a workqueue. Any context.
    pub(super) fn schedule_recovery(&self, index: usize) {
        let Some(slot) = self.queues.tx().get(index) else {
            return;
        };
        slot.stuck.store(true, Ordering::Relaxed);
        self.schedule();
    }

    fn schedule(&self) {
        // SAFETY: The work item was initialised in `build`.
        unsafe {
            bindings::queue_work_on(
                bindings::wq_misc_consts_WORK_CPU_UNBOUND as c_int,
                bindings::system_percpu_wq,
                self.later.get(),
            )
        };
    }

    /// # Safety
    ///
    /// The workqueue calls this for the work item of an interface, which stays until
    /// the work has ended.
    unsafe extern "C" fn see_to_it(work: *mut bindings::work_struct) {
        // SAFETY: By the caller's promise.
        let this = unsafe { &*container_of!(Opaque::cast_from(work), Self, later) };
        if this.claims.load(Ordering::Relaxed) {
            this.announce_claims();
        }
        this.locked(|lock| {
            for slot in this.queues.tx() {
                if !slot.stuck.swap(false, Ordering::Relaxed) || !slot.enabled.get() {
                    continue;
                }
                // SAFETY: A queue that runs has a driver; the lock keeps it so.
                unsafe { (*slot.driver.get()).recover_tx(slot.index, lock) };
            }
        });
    }
}

impl<D: Driver> Registered for Interface<D> {
    fn unregister(&self) {
        // SAFETY: No preconditions; process context.
        unsafe { bindings::rtnl_lock() };
        let registered = self.locked(|_| self.registered.swap(false, Ordering::Relaxed));
        // SAFETY: We hold the lock.
        unsafe { bindings::rtnl_unlock() };
        if registered {
            // SAFETY: The device is registered, and will not be twice unregistered.
            unsafe { bindings::unregister_netdev(self.as_raw()) };
        }
        // SAFETY: The work item was initialised in `build`. It does not run again.
        unsafe { bindings::disable_work_sync(self.later.get()) };
        self.queues.end_dim();
        // Should the driver have left a queue running, its polls end here.
        self.locked(|lock| self.queues.publish(core::ptr::null(), lock));
    }
}

/// A network device of driver `D`, with its queues. It is unregistered when the virtio
/// device goes, before the driver's data does.
pub struct Device<D: Driver>(Arc<Interface<D>>);

impl<D: Driver> Device<D> {
    /// `queues` are those of `netdev`.
    pub(super) fn new(netdev: Arc<NetDevice>, queues: Queues<D>) -> Result<Self> {
        let interface = Interface {
            queues,
            claimed: AtomicBool::new(false),
            registered: AtomicBool::new(false),
            ready: AtomicBool::new(false),
            wanted: AtomicBool::new(false),
            failover: SetOnce::new(),
            claims: AtomicBool::new(false),
            later: Opaque::zeroed(),
            netdev,
        };
        let interface = Arc::new(interface, GFP_KERNEL)?;
        // SAFETY: The work item stays in place, and nobody knows of it yet.
        unsafe {
            bindings::init_work_with_key(
                interface.later.get(),
                Some(Interface::<D>::see_to_it),
                false,
                c"netdev_later".as_char_ptr(),
                kernel::static_lock_class!().as_ptr(),
            )
        };
        Ok(Self(interface))
    }

    pub(super) fn as_raw(&self) -> *mut bindings::net_device {
        self.0.as_raw()
    }

    /// Has whoever listens for claims of XDP hear that they have changed, soon; nobody before the
    /// device is registered, nor after that.
    pub(super) fn schedule_claims(&self) {
        if !self.is_registered() {
            return;
        }
        self.0.claims.store(true, Ordering::Relaxed);
        self.0.schedule();
    }

    pub(super) fn failover(&self) -> &SetOnce<Failover> {
        &self.0.failover
    }

    /// The queues.
    #[inline]
    pub fn queues(&self) -> &Queues<D> {
        &self.0.queues
    }

    /// Makes the device visible (`register_netdevice`) and calls `then` before anybody
    /// can open it.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the device was registered before, or is no child of the one that
    /// starts; `ENOMEM`; the errors of the C function and of `then`, after which the
    /// device is not registered.
    pub fn register(&self, start: &Start<'_, D>, then: impl FnOnce(&Rtnl<'_>) -> Result) -> Result
    where
        D: virtio::Driver,
    {
        let this = &*self.0;
        if !start.is_of(&this.netdev.binding) || this.claimed.swap(true, Ordering::Relaxed) {
            return Err(EINVAL);
        }
        start.hold(self.0.clone())?;
        let (dev, driver) = (self.as_raw(), core::ptr::from_ref(start.data()));
        // SAFETY: The device is valid, and was not registered before. Its registration
        // ends before the driver's data goes, as `start` holds it; the queues stay as
        // long.
        unsafe {
            Priv::<D>::of(dev).write(Priv {
                driver,
                tx: this.queues.tx(),
                interface: this,
                program: Attached::none(),
                told: Told::default(),
            });
            bindings::rtnl_lock();
            this.locked(|lock| this.queues.publish(driver, lock));
            let mut result = to_result(bindings::register_netdevice(dev));
            if result.is_ok() {
                this.locked(|_| this.registered.store(true, Ordering::Relaxed));
                result = then(&Rtnl::new());
            }
            if result.is_ok() {
                this.ready.store(true, Ordering::Relaxed);
                if this.wanted.load(Ordering::Relaxed) {
                    // Whoever wanted it does without if it cannot be.
                    bindings::dev_open(dev, core::ptr::null_mut());
                }
            }
            bindings::rtnl_unlock();
            if result.is_err() {
                this.unregister();
            }
            result
        }
    }

    /// Calls `f` with the instance lock held. Process context.
    pub fn locked<R>(&self, f: impl FnOnce(&mut OpsLocked<'_, D>) -> R) -> R {
        self.0.locked(f)
    }

    /// Has the stack send by `n` queues from here on (`netif_set_real_num_tx_queues`). Fewer
    /// cannot fail but for what is wrong with the arguments.
    ///
    /// # Errors
    ///
    /// Nothing has changed then. `EINVAL` if the device does not have so many, or the lock is
    /// another's; `ENOMEM`.
    pub fn use_tx_queues(&self, n: usize, _rtnl: &Rtnl<'_>, lock: &mut OpsLocked<'_, D>) -> Result {
        if lock.netdev() != self.as_raw() {
            return Err(EINVAL);
        }
        // SAFETY: The device is valid, and both locks are held.
        to_result(unsafe { bindings::netif_set_real_num_tx_queues(self.as_raw(), n as u32) })
    }

    /// Has the stack know of `n` receive queues (`netif_set_real_num_rx_queues`). It complains of
    /// packets from others.
    ///
    /// # Errors
    ///
    /// Those of [`Self::use_tx_queues`].
    pub fn use_rx_queues(&self, n: usize, _rtnl: &Rtnl<'_>, lock: &mut OpsLocked<'_, D>) -> Result {
        if lock.netdev() != self.as_raw() {
            return Err(EINVAL);
        }
        // SAFETY: The device is valid, and both locks are held.
        to_result(unsafe { bindings::netif_set_real_num_rx_queues(self.as_raw(), n as u32) })
    }

    /// Packets that `processors` send go to transmit queue `index` (`__netif_set_xps_queue`).
    ///
    /// # Errors
    ///
    /// `ENOMEM`; `EINVAL` if there is no such queue.
    pub fn prefer_tx_queue(
        &self,
        index: usize,
        processors: &Cpumask,
        _online: &Online<'_>,
    ) -> Result {
        // SAFETY: The device is valid.
        if index >= unsafe { (*self.as_raw()).num_tx_queues as usize } {
            return Err(EINVAL);
        }
        // SAFETY: The device has that queue. Process context, with the hotplug lock.
        to_result(unsafe {
            bindings::__netif_set_xps_queue(
                self.as_raw(),
                processors.as_raw().cast_const().cast(),
                index as u16,
                bindings::xps_map_type_XPS_CPUS,
            )
        })
    }

    /// Whether users have the device.
    pub(super) fn is_registered(&self) -> bool {
        self.0.is_registered()
    }

    /// Whether the interface is up (`netif_running`).
    pub fn is_running(&self) -> bool {
        // SAFETY: The device is valid; a whole-word read.
        let state = unsafe { (&raw const (*self.as_raw()).state).read_volatile() };
        state & 1 << bindings::netdev_state_t___LINK_STATE_START != 0
    }

    /// Whether there is a link (`netif_carrier_on`, `netif_carrier_off`). Nothing if the
    /// device is not registered, or the lock is another's.
    pub fn set_carrier(&self, on: bool, lock: &OpsLocked<'_, D>) {
        // Who follows links would keep a device that is on its way out.
        if lock.netdev() != self.as_raw() || !self.0.is_registered() {
            return;
        }
        // SAFETY: The device is valid.
        unsafe {
            if on {
                bindings::netif_carrier_on(self.as_raw());
            } else {
                bindings::netif_carrier_off(self.as_raw());
            }
        }
    }

    /// Tells the neighbours of our addresses (`netdev_notify_peers`). May sleep;
    /// takes RTNL. Nothing if the device is not registered.
    pub fn notify_peers(&self) {
        // SAFETY: The device is valid, and registered as long as we hold RTNL.
        unsafe {
            bindings::rtnl_lock();
            if self.0.is_registered() {
                bindings::__netdev_notify_peers(self.as_raw());
            }
            bindings::rtnl_unlock();
        }
    }

    /// The MTU.
    pub fn mtu(&self) -> usize {
        // SAFETY: The device is valid; a whole-word read.
        unsafe { (&raw const (*self.as_raw()).mtu).read_volatile() as usize }
    }

    /// The features that are on.
    pub fn features(&self) -> Features {
        // SAFETY: The device is valid; a whole-word read.
        Features(unsafe { (&raw const (*self.as_raw()).features).read_volatile() })
    }

    /// The device below.
    pub fn netdev(&self) -> &Arc<NetDevice> {
        &self.0.netdev
    }

    /// The device's address.
    pub fn address(&self) -> MacAddress {
        let mut address = [0; 6];
        // SAFETY: The device is valid, and its address has at least that many bytes.
        unsafe {
            core::ptr::copy_nonoverlapping(
                (*self.as_raw()).dev_addr.cast(),
                address.as_mut_ptr(),
                6,
            )
        };
        MacAddress(address)
    }
}
