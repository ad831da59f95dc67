// SPDX-License-Identifier: GPL-2.0

//! The network device itself.
//!
//! C header: [`include/linux/netdevice.h`](srctree/include/linux/netdevice.h),
//! [`include/linux/etherdevice.h`](srctree/include/linux/etherdevice.h)

use super::{
    ethtool,
    napi::Slot,
    ops::{Driver, Operations},
    page_pool::PagePool,
    qstats,
    queues::Queues,
};
use crate::{
    bindings,
    cpu::Online,
    virtio::{self, Binding, Probe, Registered, Start},
};
use core::{
    cell::Cell,
    marker::PhantomData,
    ops::{BitAnd, BitOr, BitOrAssign},
    ptr::NonNull,
    sync::atomic::{AtomicBool, Ordering},
};
use kernel::{
    container_of, cpumask::Cpumask, error::to_result, prelude::*, sync::Arc, types::Opaque,
};

/// An Ethernet address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MacAddress(pub [u8; 6]);

/// Features of a network device (`netdev_features_t`).
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Features(u64);

#[allow(missing_docs)]
impl Features {
    pub const SG: Self = Self(bindings::NETIF_F_SG);
    pub const HW_CSUM: Self = Self(bindings::NETIF_F_HW_CSUM);
    pub const RXCSUM: Self = Self(bindings::NETIF_F_RXCSUM);
    pub const RXHASH: Self = Self(bindings::NETIF_F_RXHASH);
    pub const HIGHDMA: Self = Self(bindings::NETIF_F_HIGHDMA);
    pub const TSO: Self = Self(bindings::NETIF_F_TSO);
    pub const TSO6: Self = Self(bindings::NETIF_F_TSO6);
    pub const TSO_ECN: Self = Self(bindings::NETIF_F_TSO_ECN);
    pub const GSO_UDP_TUNNEL: Self = Self(bindings::NETIF_F_GSO_UDP_TUNNEL);
    pub const GSO_UDP_TUNNEL_CSUM: Self = Self(bindings::NETIF_F_GSO_UDP_TUNNEL_CSUM);
    pub const GSO_UDP_L4: Self = Self(bindings::NETIF_F_GSO_UDP_L4);
    pub const GSO_ROBUST: Self = Self(bindings::NETIF_F_GSO_ROBUST);
    pub const GRO_HW: Self = Self(bindings::NETIF_F_GRO_HW);
    pub const HW_VLAN_CTAG_FILTER: Self = Self(bindings::NETIF_F_HW_VLAN_CTAG_FILTER);

    /// No features.
    pub const fn empty() -> Self {
        Self(0)
    }

    pub(super) const fn from_bits_retain(bits: u64) -> Self {
        Self(bits)
    }

    /// Whether all of `other` are in.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// `self` if `on`, nothing otherwise.
    pub const fn only_if(self, on: bool) -> Self {
        if on {
            self
        } else {
            Self(0)
        }
    }
}

impl BitOr for Features {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitAnd for Features {
    type Output = Self;
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl BitOrAssign for Features {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

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

/// The memory of a network device, freed when nothing points there any more.
///
/// # Invariants
///
/// `dev` is valid, and not registered when this is dropped.
pub(super) struct NetDevice {
    dev: NonNull<bindings::net_device>,
    /// The parent.
    binding: Arc<Binding>,
}

// SAFETY: The device is not bound to a thread.
unsafe impl Send for NetDevice {}
// SAFETY: Users of the pointer use the C side's synchronisation.
unsafe impl Sync for NetDevice {}

impl NetDevice {
    pub(super) fn as_raw(&self) -> *mut bindings::net_device {
        self.dev.as_ptr()
    }
}

impl Drop for NetDevice {
    fn drop(&mut self) {
        // SAFETY: By the type invariant.
        unsafe { bindings::free_netdev(self.as_raw()) };
    }
}

/// Evidence that the instance lock of a device is held.
pub struct OpsLocked<'a, D> {
    netdev: *mut bindings::net_device,
    _lock: PhantomData<&'a D>,
}

impl<D> OpsLocked<'_, D> {
    /// # Safety
    ///
    /// The caller holds the instance lock of `netdev` while the value lives.
    #[inline]
    pub(super) unsafe fn new(netdev: *mut bindings::net_device) -> Self {
        Self {
            netdev,
            _lock: PhantomData,
        }
    }

    pub(super) fn netdev(&self) -> *mut bindings::net_device {
        self.netdev
    }
}

/// Evidence that the RTNL lock is held.
pub struct Rtnl<'a>(PhantomData<(&'a (), *mut ())>);

impl Rtnl<'_> {
    /// # Safety
    ///
    /// The caller holds the RTNL lock while the value lives.
    pub(super) unsafe fn new() -> Self {
        Self(PhantomData)
    }
}

/// A network device that is not registered yet.
pub struct Builder<D: Driver> {
    netdev: Arc<NetDevice>,
    _driver: PhantomData<fn() -> D>,
}

impl<D: Driver> Builder<D> {
    /// Allocates an Ethernet device with `queues` queue pairs, a child of the virtio
    /// device (`alloc_etherdev_mqs`).
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new(parent: &Probe<'_>, queues: usize) -> Result<Self> {
        // SAFETY: No preconditions.
        let dev = unsafe {
            bindings::alloc_etherdev_mqs(
                size_of::<Priv<D>>() as c_int,
                queues as u32,
                queues as u32,
            )
        };
        // INVARIANT: The device is new and ours.
        let netdev = NetDevice {
            dev: NonNull::new(dev).ok_or(ENOMEM)?,
            binding: parent.binding().clone(),
        };
        // SAFETY: As above.
        unsafe {
            (*dev).dev.parent = parent.as_device().cast();
            (*dev).netdev_ops = Operations::<D>::vtable();
            (*dev).ethtool_ops = ethtool::Operations::<D>::vtable();
            (*dev).stat_ops = qstats::Operations::<D>::vtable();
            (*dev).request_ops_lock = true;
            // We filter unicast addresses, change ours while up, and send packets that
            // have no linear part.
            bindings::netdev_add_priv_flags(
                dev,
                (bindings::netdev_priv_flags_IFF_UNICAST_FLT
                    | bindings::netdev_priv_flags_IFF_LIVE_ADDR_CHANGE
                    | bindings::netdev_priv_flags_IFF_TX_SKB_NO_LINEAR) as usize,
            );
        }
        Ok(Self {
            netdev: Arc::new(netdev, GFP_KERNEL)?,
            _driver: PhantomData,
        })
    }

    pub(super) fn netdev(&self) -> &Arc<NetDevice> {
        &self.netdev
    }

    fn as_raw(&self) -> *mut bindings::net_device {
        self.netdev.as_raw()
    }

    /// Which features are on, which of them users can change, and which are on for
    /// VLANs too (all that are on).
    pub fn features(&mut self, on: Features, changeable: Features) {
        let dev = self.as_raw();
        // SAFETY: The device is not registered, and these fields are ours.
        unsafe {
            (*dev).features = on.0;
            (*dev).hw_features = changeable.0;
            (*dev).vlan_features = on.0 & !Features::HW_VLAN_CTAG_FILTER.0;
        }
    }

    /// Which features work for packets inside tunnels too.
    pub fn tunnel_features(&mut self, features: Features) {
        // SAFETY: As in `features`.
        unsafe { (*self.as_raw()).hw_enc_features = features.0 };
    }

    /// The limits of the MTU, and its first value; in bytes.
    pub fn mtu(&mut self, least: u32, most: u32, first: Option<u32>) {
        let dev = self.as_raw();
        // SAFETY: As in `features`.
        unsafe {
            (*dev).min_mtu = least;
            (*dev).max_mtu = most.min(bindings::ETH_MAX_MTU);
            if let Some(first) = first {
                (*dev).mtu = first.min(bindings::ETH_MAX_MTU);
            }
        }
    }

    /// The largest MTU that users can set, in bytes.
    pub fn max_mtu(&self) -> u32 {
        // SAFETY: The device is valid.
        unsafe { (*self.as_raw()).max_mtu }
    }

    /// Bytes that the stack shall leave free in front of packets to be sent.
    pub fn needed_headroom(&mut self, bytes: usize) {
        // SAFETY: As in `features`.
        unsafe { (*self.as_raw()).needed_headroom = bytes as u16 };
    }

    /// The device's address, or a random one (`eth_hw_addr_set`, `eth_hw_addr_random`).
    pub fn address(&mut self, address: Option<MacAddress>) {
        let dev = self.as_raw();
        // SAFETY: The device is ours.
        unsafe {
            match address {
                Some(address) => {
                    bindings::dev_addr_mod(dev, 0, address.0.as_ptr().cast(), address.0.len())
                }
                None => bindings::eth_hw_addr_random(dev),
            }
        }
    }

    /// How many queue pairs are used at first.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the device does not have so many.
    pub fn queues_in_use(&mut self, n: usize) -> Result {
        let dev = self.as_raw();
        // SAFETY: The device is ours.
        unsafe {
            to_result(bindings::netif_set_real_num_tx_queues(dev, n as u32))?;
            to_result(bindings::netif_set_real_num_rx_queues(dev, n as u32))
        }
    }

    /// The device, to be registered, with the driver's part of each queue.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; `EINVAL` if these are more queues than the device has.
    pub fn build(self, rx: KVec<(D::Rx, PagePool)>, tx: KVec<D::Tx>) -> Result<Device<D>> {
        let interface = Interface {
            // SAFETY: The device is not registered, and stays valid as long as this.
            queues: unsafe { Queues::new(self.as_raw(), rx, tx)? },
            claimed: AtomicBool::new(false),
            registered: AtomicBool::new(false),
            recovery: Opaque::zeroed(),
            netdev: self.netdev,
        };
        let interface = Arc::new(interface, GFP_KERNEL)?;
        // SAFETY: The work item stays in place, and nobody knows of it yet.
        unsafe {
            bindings::init_work_with_key(
                interface.recovery.get(),
                Some(Interface::<D>::recover),
                false,
                c"netdev_tx_recovery".as_char_ptr(),
                kernel::static_lock_class!().as_ptr(),
            )
        };
        Ok(Device(interface))
    }
}

/// A network device with its queues.
pub(super) struct Interface<D: Driver> {
    // Before the device, whose NAPI instances they have.
    queues: Queues<D>,
    /// Sees to transmit queues that are stuck; not queued before registration.
    recovery: Opaque<bindings::work_struct>,
    /// Set once: a device is not registered twice.
    claimed: AtomicBool,
    /// Set between registration and its end. Changed under RTNL and the instance lock.
    registered: AtomicBool,
    netdev: Arc<NetDevice>,
}

// SAFETY: The work item is used by the C side's synchronisation; the rest is `Send`.
unsafe impl<D: Driver> Send for Interface<D> {}
// SAFETY: As above; the rest is `Sync`.
unsafe impl<D: Driver> Sync for Interface<D> {}

impl<D: Driver> Interface<D> {
    fn as_raw(&self) -> *mut bindings::net_device {
        self.netdev.as_raw()
    }

    fn locked<R>(&self, f: impl FnOnce(&mut OpsLocked<'_, D>) -> R) -> R {
        // SAFETY: The device is valid; the lock is held while the token lives.
        unsafe {
            bindings::netdev_lock(self.as_raw());
            let result = f(&mut OpsLocked::new(self.as_raw()));
            bindings::netdev_unlock(self.as_raw());
            result
        }
    }

    fn is_registered(&self) -> bool {
        self.registered.load(Ordering::Relaxed)
    }

    /// Has the driver see to transmit queue `index`, from a workqueue. Any context.
    pub(super) fn schedule_recovery(&self, index: usize) {
        let Some(slot) = self.queues.tx().get(index) else {
            return;
        };
        slot.stuck.store(true, Ordering::Relaxed);
        // SAFETY: The work item was initialised in `build`.
        unsafe {
            bindings::queue_work_on(
                bindings::wq_misc_consts_WORK_CPU_UNBOUND as c_int,
                bindings::system_percpu_wq,
                self.recovery.get(),
            )
        };
    }

    /// # Safety
    ///
    /// The workqueue calls this for the work item of an interface, which stays until
    /// the work has ended.
    unsafe extern "C" fn recover(work: *mut bindings::work_struct) {
        // SAFETY: By the caller's promise.
        let this = unsafe { &*container_of!(Opaque::cast_from(work), Self, recovery) };
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
        unsafe { bindings::disable_work_sync(self.recovery.get()) };
        // Should the driver have left a queue running, its polls end here.
        self.locked(|lock| self.queues.publish(core::ptr::null(), lock));
    }
}

/// A network device of driver `D`, with its queues. It is unregistered when the virtio
/// device goes, before the driver's data does.
pub struct Device<D: Driver>(Arc<Interface<D>>);

impl<D: Driver> Device<D> {
    pub(super) fn as_raw(&self) -> *mut bindings::net_device {
        self.0.as_raw()
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
                told: Told::default(),
            });
            bindings::rtnl_lock();
            this.locked(|lock| this.queues.publish(driver, lock));
            let mut result = to_result(bindings::register_netdevice(dev));
            if result.is_ok() {
                this.locked(|_| this.registered.store(true, Ordering::Relaxed));
                result = then(&Rtnl(PhantomData));
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

    /// Uses `n` queue pairs from here on.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the device does not have so many, or the lock is another's; `ENOMEM`.
    pub fn use_queues(&self, n: usize, _rtnl: &Rtnl<'_>, lock: &mut OpsLocked<'_, D>) -> Result {
        if lock.netdev() != self.as_raw() {
            return Err(EINVAL);
        }
        // SAFETY: The device is valid, and both locks are held.
        unsafe {
            to_result(bindings::netif_set_real_num_tx_queues(
                self.as_raw(),
                n as u32,
            ))?;
            to_result(bindings::netif_set_real_num_rx_queues(
                self.as_raw(),
                n as u32,
            ))
        }
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
    /// takes the RTNL and instance locks. Nothing if the device is not registered.
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

    /// The features that are on.
    pub fn features(&self) -> Features {
        // SAFETY: The device is valid; a whole-word read.
        Features(unsafe { (&raw const (*self.as_raw()).features).read_volatile() })
    }

    /// The largest MTU that users can set, in bytes.
    pub fn max_mtu(&self) -> u32 {
        // SAFETY: The device is valid.
        unsafe { (*self.as_raw()).max_mtu }
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

/// A snapshot of the addresses that the stack wants to receive.
pub struct AddressList {
    list: *mut bindings::netdev_hw_addr_list,
}

impl AddressList {
    /// # Safety
    ///
    /// The list is valid and does not change while the value lives.
    pub(super) unsafe fn new(list: *mut bindings::netdev_hw_addr_list) -> Self {
        Self { list }
    }

    /// How many addresses there are.
    pub fn len(&self) -> usize {
        // SAFETY: By the promise of `new`.
        unsafe { (*self.list).count as usize }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The addresses.
    pub fn iter(&self) -> impl Iterator<Item = MacAddress> + '_ {
        // SAFETY: By the promise of `new`.
        let (head, mut node) = unsafe { (&raw const (*self.list).list, (*self.list).list.next) };
        core::iter::from_fn(move || {
            if core::ptr::eq(node, head) {
                return None;
            }
            // SAFETY: Each node but the head is the first field of an address.
            let entry = unsafe { &*node.cast::<bindings::netdev_hw_addr>() };
            node = entry.list.next;
            let mut address = [0; 6];
            for (to, from) in address.iter_mut().zip(&entry.addr) {
                *to = *from;
            }
            Some(MacAddress(address))
        })
    }
}
