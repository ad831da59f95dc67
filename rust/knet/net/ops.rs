// SPDX-License-Identifier: GPL-2.0

//! What a network driver implements, and how C calls it.
//!
//! C header: [`include/linux/netdevice.h`](srctree/include/linux/netdevice.h)

use super::{
    address::{MacAddress, RxMode},
    coalesce::Coalescing,
    device::Priv,
    ethtool::{Channels, DriverInfo, LinkSettings, RingSizes, Statistics},
    features::Features,
    locks::OpsLocked,
    napi::{Poll, Polled, RxPoll},
    page_pool::{Pages, PoolRef},
    private_flags::PrivateFlags,
    qstats::QueueStatistics,
    resize::Resize,
    rss::Rss,
    sysfs::RxQueueAttribute,
    txq::TxQueue,
    xdp::{Xdp, XdpFrames},
    xsk::Xsk,
    TxSkb,
};
use crate::bindings;
use core::{marker::PhantomData, ptr::NonNull};
use kernel::{error::from_result, prelude::*};

/// A driver of network devices; one value for each device.
pub trait Driver:
    QueueStatistics
    + Resize
    + Rss
    + Coalescing
    + PrivateFlags
    + RxQueueAttribute
    + Xdp
    + Xsk
    + Sized
    + Send
    + Sync
    + 'static
{
    /// The body of a receive queue, touched from its poll.
    type Rx: Send;
    /// The body of a transmit queue, touched under its lock.
    type Tx: Send;

    /// The interface goes up (`ndo_open`).
    fn open(&self, lock: &mut OpsLocked<'_, Self>) -> Result;
    /// The interface goes down; no packet is sent any more (`ndo_stop`).
    fn stop(&self, lock: &mut OpsLocked<'_, Self>);

    /// Sends a packet, or drops and counts it (`ndo_start_xmit`).
    fn start_xmit(&self, tx: &mut Self::Tx, queue: &TxQueue, skb: TxSkb);
    /// Sends frames beside the stack, as many as there is room for (`ndo_xdp_xmit`). The device is to be told of
    /// them whether the core says so (`XDP_XMIT_FLUSH`) or not: where it means to do so later, and a program of a
    /// map then drops all of the rest, it does not.
    fn xmit_frames(&self, tx: &mut Self::Tx, queue: &TxQueue, frames: &mut XdpFrames<'_>);
    /// Receives up to [`Poll::budget`] packets. `pages` are those of the queue's pool.
    fn poll_rx<'q>(&self, rx: &'q mut Self::Rx, pages: Pages<'_>, poll: &RxPoll<'_>) -> Polled<'q>;
    /// Reclaims what the device has sent.
    fn poll_tx<'q>(&self, tx: &'q mut Self::Tx, queue: &TxQueue, poll: &Poll<'_>) -> Polled<'q>;
    /// The end of a queue of a device that is detached: what is in it is lost.
    fn drop_rx(rx: Self::Rx);
    /// The same for a transmit queue.
    fn drop_tx(tx: Self::Tx);
    /// The stack has waited too long for transmit queue `index` (`ndo_tx_timeout`).
    /// Softirq context; [`Resize::recover_tx`] follows.
    fn tx_timeout(&self, index: usize);

    /// Whether single receive queues can be stopped, to get other memory.
    fn can_restart_rx(&self) -> bool;
    /// Takes all buffers of a paused queue back from the device, and gives them to their
    /// pool.
    ///
    /// # Errors
    ///
    /// Those of [`crate::virtio::Virtqueue::reset`].
    fn empty_rx(&self, rx: &mut Self::Rx) -> Result;
    /// The buffers of an empty queue come from another pool from here on
    /// ([`crate::virtio::Virtqueue::use_source`]).
    fn use_pool(&self, rx: &mut Self::Rx, pool: PoolRef) -> Result;
    /// Waits until no transmit queue has a frame of a program any more that it has now, or takes
    /// those back: their memory loses its mappings.
    fn let_go_of_frames(&self, lock: &mut OpsLocked<'_, Self>);
    /// Fills the queue, number `index`, before it runs again.
    fn fill_rx(&self, rx: &mut Self::Rx, index: usize, pages: Pages<'_>);

    /// The counters since the device was probed (`ndo_get_stats64`).
    fn link_stats(&self) -> LinkStats;
    /// Which addresses to receive; an error makes the stack try again later
    /// (`ndo_set_rx_mode_async`).
    fn set_rx_mode(&self, mode: &RxMode) -> Result;
    /// A new address for the device (`ndo_set_mac_address`).
    fn set_mac_address(&self, address: MacAddress) -> Result;
    /// The features of `wanted` that can be had now (`ndo_fix_features`).
    fn fix_features(&self, wanted: Features) -> Features;
    /// Whether frames can have up to `mtu` bytes behind their Ethernet header
    /// (`ndo_change_mtu`).
    ///
    /// # Errors
    ///
    /// `EINVAL`.
    fn check_mtu(&self, mtu: usize) -> Result;
    /// Other features are wanted than there are now (`ndo_set_features`).
    fn set_features(&self, now: Features, wanted: Features) -> Result;
    /// Frames of a VLAN are wanted, or not any more.
    fn set_vlan_filter(&self, id: u16, wanted: bool) -> Result;

    /// `ethtool -i`.
    fn driver_info(&self) -> DriverInfo<'_>;
    /// `ethtool -g`.
    fn ring_sizes(&self) -> RingSizes;
    /// `ethtool -l`.
    fn channels(&self) -> Channels;
    /// `ethtool`: speed and duplex.
    fn link_settings(&self) -> LinkSettings;
    /// `ethtool -s`: takes other ones, which only users believe in.
    fn set_link_settings(&self, settings: LinkSettings);
    /// `ethtool -S`: calls `statistics` for each counter, always in the same order.
    fn statistics(&self, statistics: &mut dyn Statistics);
}

/// Counters of the whole device (`struct rtnl_link_stats64`).
#[derive(Default)]
#[allow(missing_docs)]
pub struct LinkStats {
    pub rx_packets: u64,
    pub tx_packets: u64,
    pub rx_bytes: u64,
    pub tx_bytes: u64,
    pub rx_dropped: u64,
    pub tx_dropped: u64,
    pub rx_errors: u64,
    pub tx_errors: u64,
    pub rx_length_errors: u64,
    pub rx_frame_errors: u64,
    pub tx_fifo_errors: u64,
}

/// The C operations of driver `D`.
pub(super) struct Operations<D>(PhantomData<D>);

impl<D: Driver> Operations<D> {
    const VTABLE: bindings::net_device_ops = {
        // SAFETY: All operations are optional: null is a valid function pointer here.
        let mut ops: bindings::net_device_ops = unsafe { core::mem::zeroed() };
        ops.ndo_open = Some(Self::open);
        ops.ndo_stop = Some(Self::stop);
        ops.ndo_start_xmit = Some(Self::start_xmit);
        ops.ndo_features_check = Some(Self::features_check);
        ops.ndo_validate_addr = Some(bindings::eth_validate_addr);
        ops.ndo_set_mac_address = Some(Self::set_mac_address);
        ops.ndo_set_rx_mode_async = Some(Self::set_rx_mode);
        ops.ndo_get_stats64 = Some(Self::stats64);
        ops.ndo_vlan_rx_add_vid = Some(Self::vlan_add);
        ops.ndo_vlan_rx_kill_vid = Some(Self::vlan_kill);
        ops.ndo_set_features = Some(Self::set_features);
        ops.ndo_tx_timeout = Some(Self::tx_timeout);
        ops.ndo_fix_features = Some(Self::fix_features);
        ops.ndo_change_mtu = Some(Self::change_mtu);
        ops.ndo_get_phys_port_name = Some(Self::phys_port_name);
        Self::with_xsk(Self::with_xdp(ops))
    };

    pub(super) const fn vtable() -> &'static bindings::net_device_ops {
        &Self::VTABLE
    }

    /// # Safety
    ///
    /// `dev` is registered for driver `D`.
    #[inline]
    pub(super) unsafe fn driver<'a>(dev: *mut bindings::net_device) -> &'a D {
        // SAFETY: The pointer is set before the device is registered, and the driver's
        // data outlives the registration.
        unsafe { &*(*Priv::<D>::of(dev)).driver }
    }

    /// # Safety
    ///
    /// C calls this for a registered device of driver `D`, with RTNL and its instance lock.
    unsafe extern "C" fn open(dev: *mut bindings::net_device) -> c_int {
        // SAFETY: C calls this for a registered device, with its instance lock.
        let (driver, mut lock) = unsafe { (Self::driver(dev), OpsLocked::new(dev)) };
        // SAFETY: The interface stays while it is registered.
        let interface = unsafe { &*(*Priv::<D>::of(dev)).interface };
        from_result(|| {
            interface.may_open()?;
            driver.open(&mut lock).map(|()| 0)
        })
    }

    /// # Safety
    ///
    /// C calls this for a registered device of driver `D`, with its instance lock.
    unsafe extern "C" fn stop(dev: *mut bindings::net_device) -> c_int {
        // SAFETY: As in `open`.
        let (driver, mut lock) = unsafe { (Self::driver(dev), OpsLocked::new(dev)) };
        driver.stop(&mut lock);
        0
    }

    /// # Safety
    ///
    /// C calls this for a registered device of driver `D`, gives the packet away, and holds
    /// the lock of the queue that the packet names.
    unsafe extern "C" fn start_xmit(
        skb: *mut bindings::sk_buff,
        dev: *mut bindings::net_device,
    ) -> bindings::netdev_tx_t {
        // SAFETY: C gives us the packet, for a registered device, with the lock of the
        // queue that the packet names.
        unsafe {
            let Priv { driver, tx, .. } = &*Priv::<D>::of(dev);
            let index = usize::from((*skb).queue_mapping);
            let skb = TxSkb::from_ptr(NonNull::new_unchecked(skb));
            // Without such a queue the packet is dropped here.
            if let Some(slot) = (**tx).get(index) {
                if let Some(body) = slot.body() {
                    (**driver).start_xmit(body, TxQueue::of(slot), skb);
                }
            }
        }
        bindings::netdev_tx_NETDEV_TX_OK
    }

    /// The device completes inner checksums of segmented packets only.
    ///
    /// # Safety
    ///
    /// The packet is valid.
    unsafe extern "C" fn features_check(
        skb: *mut bindings::sk_buff,
        _dev: *mut bindings::net_device,
        features: bindings::netdev_features_t,
    ) -> bindings::netdev_features_t {
        // SAFETY: C passes a valid packet and waits for the answer.
        unsafe {
            if (*skb).__bindgen_anon_4.headers.as_ref().encapsulation() == 0 {
                return features;
            }
            let shared = (*skb)
                .head
                .add((*skb).end as usize)
                .cast::<bindings::skb_shared_info>();
            if (*shared).gso_size == 0 || bindings::netif_needs_gso(skb, features) {
                features & !bindings::NETIF_F_CSUM_MASK
            } else {
                features
            }
        }
    }

    /// # Safety
    ///
    /// C calls this for a registered device of driver `D`, with a `struct sockaddr`.
    unsafe extern "C" fn set_mac_address(
        dev: *mut bindings::net_device,
        address: *mut c_void,
    ) -> c_int {
        // SAFETY: C calls this for a registered device, with a `struct sockaddr`.
        unsafe {
            let driver = Self::driver(dev);
            from_result(|| {
                kernel::error::to_result(bindings::eth_prepare_mac_addr_change(dev, address))?;
                let data = &(*address.cast::<bindings::sockaddr>()).sa_data;
                let mut mac = [0; 6];
                for (to, from) in mac.iter_mut().zip(data) {
                    *to = *from;
                }
                driver.set_mac_address(MacAddress(mac))?;
                bindings::eth_commit_mac_addr_change(dev, address);
                Ok(0)
            })
        }
    }

    /// # Safety
    ///
    /// C calls this for a registered device of driver `D`, with lists that do not change.
    unsafe extern "C" fn set_rx_mode(
        dev: *mut bindings::net_device,
        unicast: *mut bindings::netdev_hw_addr_list,
        multicast: *mut bindings::netdev_hw_addr_list,
    ) -> c_int {
        // SAFETY: C calls this for a registered device, with snapshots of the lists.
        unsafe {
            let driver = Self::driver(dev);
            from_result(|| {
                let mode = RxMode::new(dev, [unicast, multicast], GFP_KERNEL)?;
                driver.set_rx_mode(&mode).map(|()| 0)
            })
        }
    }

    /// # Safety
    ///
    /// C calls this for a registered device of driver `D`, with a valid result, zeroed.
    unsafe extern "C" fn stats64(
        dev: *mut bindings::net_device,
        to: *mut bindings::rtnl_link_stats64,
    ) {
        // SAFETY: C calls this for a registered device, with a zeroed result.
        let (driver, to) = unsafe { (Self::driver(dev), &mut *to) };
        let stats = driver.link_stats();
        to.rx_packets = stats.rx_packets;
        to.tx_packets = stats.tx_packets;
        to.rx_bytes = stats.rx_bytes;
        to.tx_bytes = stats.tx_bytes;
        to.rx_dropped = stats.rx_dropped;
        to.tx_dropped = stats.tx_dropped;
        to.tx_errors = stats.tx_errors;
        to.rx_errors = stats.rx_errors;
        to.rx_length_errors = stats.rx_length_errors;
        to.rx_frame_errors = stats.rx_frame_errors;
        to.tx_fifo_errors = stats.tx_fifo_errors;
    }

    /// # Safety
    ///
    /// C calls this for a registered device of driver `D`.
    unsafe extern "C" fn vlan_add(dev: *mut bindings::net_device, _proto: u16, id: u16) -> c_int {
        // SAFETY: C calls this for a registered device.
        let driver = unsafe { Self::driver(dev) };
        from_result(|| driver.set_vlan_filter(id, true).map(|()| 0))
    }

    /// # Safety
    ///
    /// C calls this for a registered device of driver `D`.
    unsafe extern "C" fn vlan_kill(dev: *mut bindings::net_device, _proto: u16, id: u16) -> c_int {
        // SAFETY: C calls this for a registered device.
        let driver = unsafe { Self::driver(dev) };
        from_result(|| driver.set_vlan_filter(id, false).map(|()| 0))
    }

    /// # Safety
    ///
    /// C calls this for a registered device of driver `D`.
    unsafe extern "C" fn set_features(
        dev: *mut bindings::net_device,
        wanted: bindings::netdev_features_t,
    ) -> c_int {
        // SAFETY: C calls this for a registered device, whose features do not change
        // meanwhile.
        let (driver, now) = unsafe { (Self::driver(dev), (*dev).features) };
        let [now, wanted] = [now, wanted].map(Features::from_bits_retain);
        from_result(|| driver.set_features(now, wanted).map(|()| 0))
    }

    /// # Safety
    ///
    /// C calls this for a device of driver `D`, as it is registered and later.
    unsafe extern "C" fn fix_features(
        dev: *mut bindings::net_device,
        wanted: bindings::netdev_features_t,
    ) -> bindings::netdev_features_t {
        // SAFETY: By the caller's promise.
        let driver = unsafe { Self::driver(dev) };
        driver.fix_features(Features::from_bits_retain(wanted)).0
    }

    /// # Safety
    ///
    /// C calls this for a registered device of driver `D`, with its instance lock, and an
    /// MTU within its limits.
    unsafe extern "C" fn change_mtu(dev: *mut bindings::net_device, mtu: c_int) -> c_int {
        // SAFETY: By the caller's promise; a whole-word write.
        unsafe {
            from_result(|| {
                Self::driver(dev).check_mtu(mtu as usize)?;
                (&raw mut (*dev).mtu).write_volatile(mtu as u32);
                Ok(0)
            })
        }
    }

    /// # Safety
    ///
    /// C calls this for a registered device of driver `D`.
    unsafe extern "C" fn tx_timeout(dev: *mut bindings::net_device, index: u32) {
        // SAFETY: C calls this for a registered device.
        unsafe {
            Self::driver(dev).tx_timeout(index as usize);
            (*(*Priv::<D>::of(dev)).interface).schedule_recovery(index as usize);
        }
    }
}
