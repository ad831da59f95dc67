// SPDX-License-Identifier: GPL-2.0

//! A network device before users see it.
//!
//! C header: [`include/linux/netdevice.h`](srctree/include/linux/netdevice.h),
//! [`include/linux/etherdevice.h`](srctree/include/linux/etherdevice.h)

use super::{
    address::MacAddress,
    device::{Device, Priv},
    ethtool,
    features::Features,
    ops::{Driver, Operations},
    page_pool::PagePool,
    qstats,
    queues::Queues,
};
use crate::{
    bindings,
    virtio::{Binding, Probe},
};
use core::{marker::PhantomData, ptr::NonNull};
use kernel::{error::to_result, prelude::*, sync::Arc};

/// The memory of a network device, freed when nothing points there any more.
///
/// # Invariants
///
/// `dev` is valid, and not registered when this is dropped.
pub struct NetDevice {
    dev: NonNull<bindings::net_device>,
    /// The parent.
    pub(super) binding: Arc<Binding>,
}

// SAFETY: The device is not bound to a thread.
unsafe impl Send for NetDevice {}
// SAFETY: Users of the pointer use the C side's synchronisation.
unsafe impl Sync for NetDevice {}

impl NetDevice {
    pub(super) fn as_raw(&self) -> *mut bindings::net_device {
        self.dev.as_ptr()
    }

    /// The largest MTU that users can set, in bytes.
    pub fn max_mtu(&self) -> u32 {
        // SAFETY: The device is valid.
        unsafe { (*self.as_raw()).max_mtu }
    }
}

impl Drop for NetDevice {
    fn drop(&mut self) {
        // SAFETY: By the type invariant.
        unsafe { bindings::free_netdev(self.as_raw()) };
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
            (*dev).queue_mgmt_ops = Operations::<D>::queue_mgmt();
            (*dev).request_ops_lock = true;
            // We filter unicast addresses, and change ours while up. We could send packets that
            // have no linear part, but the core refuses to complete checksums of AF_XDP in copy
            // mode where this is said, and gains nothing else by it.
            bindings::netdev_add_priv_flags(
                dev,
                (bindings::netdev_priv_flags_IFF_UNICAST_FLT
                    | bindings::netdev_priv_flags_IFF_LIVE_ADDR_CHANGE) as usize,
            );
        }
        Ok(Self {
            netdev: Arc::new(netdev, GFP_KERNEL)?,
            _driver: PhantomData,
        })
    }

    /// The device below.
    pub fn netdev(&self) -> &Arc<NetDevice> {
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

    /// Takes features back, and those that the stack has with them only.
    pub fn without(&mut self, features: Features) {
        let dev = self.as_raw();
        // SAFETY: As in `features`.
        unsafe {
            (*dev).features &= !features.0;
            (*dev).hw_features &= !features.0;
            (*dev).vlan_features &= !features.0;
            (*dev).hw_enc_features &= !features.0;
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
        // SAFETY: The device is not registered, and stays valid as long as its queues.
        let queues = unsafe { Queues::new(self.as_raw(), rx, tx)? };
        Device::new(self.netdev, queues)
    }
}
