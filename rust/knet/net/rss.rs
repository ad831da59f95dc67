// SPDX-License-Identifier: GPL-2.0

//! Receive-side scaling: `ethtool -x`, `-X`, `-n` and `-N rx-flow-hash`.
//!
//! C header: [`include/linux/ethtool.h`](srctree/include/linux/ethtool.h)

use super::{
    device::{Device, Priv},
    ethtool::Operations,
    extack::Extack,
    features::Features,
    ops::Driver,
    Poll,
};
use crate::bindings;
use ::kernel::bindings::net_device as NetDevice;
use kernel::{error::from_result, prelude::*};
pub use virtio_net_wire::rss::{Flow, Hash, HashFields};

/// Bytes of the longest key.
pub const RSS_KEY_LEN: usize = bindings::NETDEV_RSS_KEY_LEN as usize;

/// How received packets are spread over queues by their hash (Toeplitz).
///
/// All calls come in process context, one at a time.
pub trait Rss {
    /// Bytes of the key, and entries of the indirection table; 0 of what there is not.
    fn rss_sizes(&self) -> (usize, usize);
    /// Writes the key and the queue numbers of the table, each where it is wanted.
    fn rss(&self, key: Option<&mut [u8]>, table: Option<&mut [u32]>);
    /// Takes a key, a table, or both.
    fn set_rss(&self, key: Option<&[u8]>, table: Option<&[u32]>, extack: &mut Extack<'_>)
        -> Result;
    /// What the hash of `flow` covers.
    fn hash_fields(&self, flow: Flow) -> HashFields;
    /// What it shall cover.
    fn set_hash_fields(&self, flow: Flow, fields: HashFields, extack: &mut Extack<'_>) -> Result;
}

impl<D: Driver> Device<D> {
    /// Whether users have given an indirection table (`netif_is_rxfh_configured`).
    pub fn has_user_rss(&self) -> bool {
        // SAFETY: The device is valid.
        unsafe { bindings::netif_is_rxfh_configured(self.as_raw()) }
    }

    /// Fills in the host's hash key, the same for all devices (`netdev_rss_key_fill`).
    ///
    /// # Errors
    ///
    /// `EINVAL` if it is longer than [`RSS_KEY_LEN`].
    pub fn rss_key(key: &mut [u8]) -> Result {
        if key.len() > RSS_KEY_LEN {
            return Err(EINVAL);
        }
        // SAFETY: The range is writable, and not too long.
        unsafe { bindings::netdev_rss_key_fill(key.as_mut_ptr().cast(), key.len()) };
        Ok(())
    }
}

impl Poll<'_> {
    /// The features of the device that are on now.
    pub fn features(&self) -> Features {
        // SAFETY: The poll's NAPI instance and its device are live; a whole-word read.
        Features::from_bits_retain(unsafe {
            (&raw const (*(*self.napi()).dev.cast::<bindings::net_device>()).features)
                .read_volatile()
        })
    }
}

fn flow(kind: u32) -> Option<Flow> {
    Some(match kind {
        bindings::TCP_V4_FLOW => Flow::TcpV4,
        bindings::UDP_V4_FLOW => Flow::UdpV4,
        bindings::IPV4_FLOW => Flow::IpV4,
        bindings::TCP_V6_FLOW => Flow::TcpV6,
        bindings::UDP_V6_FLOW => Flow::UdpV6,
        bindings::IPV6_FLOW => Flow::IpV6,
        _ => return None,
    })
}

const ADDRESSES: u32 = bindings::RXH_IP_SRC | bindings::RXH_IP_DST;
const PORTS: u32 = bindings::RXH_L4_B_0_1 | bindings::RXH_L4_B_2_3;
/// The Toeplitz hash.
const TOP: u8 = 1 << bindings::ETH_RSS_HASH_TOP_BIT;

impl<D: Driver> Operations<D> {
    /// Adds the operations of this file.
    pub(super) const fn with_rss(mut ops: bindings::ethtool_ops) -> bindings::ethtool_ops {
        ops.get_rxfh_key_size = Some(Self::key_size);
        ops.get_rxfh_indir_size = Some(Self::table_size);
        ops.get_rxfh = Some(Self::rxfh);
        ops.set_rxfh = Some(Self::set_rxfh);
        ops.get_rxfh_fields = Some(Self::rxfh_fields);
        ops.set_rxfh_fields = Some(Self::set_rxfh_fields);
        ops.get_rx_ring_count = Some(Self::rx_ring_count);
        ops
    }

    /// Bytes of the key and entries of the table that there is room for.
    ///
    /// # Safety
    ///
    /// `dev` is registered for driver `D`, and its instance lock is held.
    unsafe fn room(dev: *mut NetDevice) -> (usize, usize) {
        // SAFETY: By the caller's promise.
        let (sizes, told) = unsafe {
            (
                Self::driver(dev).rss_sizes(),
                &(*Priv::<D>::of(dev.cast())).told,
            )
        };
        (sizes.0.min(told.key.get()), sizes.1.min(told.table.get()))
    }

    /// # Safety
    ///
    /// C calls this for a registered device of driver `D`.
    unsafe extern "C" fn key_size(dev: *mut NetDevice) -> u32 {
        // SAFETY: C calls this for a registered device, with its instance lock.
        unsafe {
            let (key, _) = Self::driver(dev).rss_sizes();
            (*Priv::<D>::of(dev.cast())).told.key.set(key);
            key as u32
        }
    }

    /// # Safety
    ///
    /// C calls this for a registered device of driver `D`.
    unsafe extern "C" fn table_size(dev: *mut NetDevice) -> u32 {
        // SAFETY: C calls this for a registered device, with its instance lock.
        unsafe {
            let (_, table) = Self::driver(dev).rss_sizes();
            (*Priv::<D>::of(dev.cast())).told.table.set(table);
            table as u32
        }
    }

    /// # Safety
    ///
    /// C calls this for a registered device of driver `D`.
    unsafe extern "C" fn rx_ring_count(dev: *mut NetDevice) -> u32 {
        // SAFETY: C calls this for a registered device.
        unsafe { Self::driver(dev) }.channels().used as u32
    }

    /// # Safety
    ///
    /// C calls this for a registered device of driver `D`, with room for what `key_size`
    /// and `table_size` said where a pointer is not null.
    unsafe extern "C" fn rxfh(dev: *mut NetDevice, to: *mut bindings::ethtool_rxfh_param) -> c_int {
        // SAFETY: C calls this for a registered device, with room for as much as it was
        // told under the same lock.
        unsafe {
            let (driver, to) = (Self::driver(dev), &mut *to);
            let (key, table) = Self::room(dev);
            to.hfunc = TOP;
            driver.rss(
                (!to.key.is_null()).then(|| core::slice::from_raw_parts_mut(to.key, key)),
                (!to.indir.is_null()).then(|| core::slice::from_raw_parts_mut(to.indir, table)),
            );
        }
        0
    }

    /// # Safety
    ///
    /// C calls this for a registered device of driver `D`, with as much as `key_size` and
    /// `table_size` said where a pointer is not null.
    unsafe extern "C" fn set_rxfh(
        dev: *mut NetDevice,
        from: *mut bindings::ethtool_rxfh_param,
        extack: *mut bindings::netlink_ext_ack,
    ) -> c_int {
        // SAFETY: As in `rxfh`; the message is for us to write.
        let (driver, key, table, mut extack) = unsafe {
            let (driver, from, mut extack) = (Self::driver(dev), &*from, Extack::new(extack));
            if from.hfunc != bindings::ETH_RSS_HASH_NO_CHANGE as u8 && from.hfunc != TOP {
                extack.set(c"the device has no other hash than Toeplitz");
                return EOPNOTSUPP.to_errno();
            }
            let (key, table) = Self::room(dev);
            (
                driver,
                (!from.key.is_null()).then(|| core::slice::from_raw_parts(from.key, key)),
                (!from.indir.is_null()).then(|| core::slice::from_raw_parts(from.indir, table)),
                extack,
            )
        };
        from_result(|| {
            if key.is_some() || table.is_some() {
                driver.set_rss(key, table, &mut extack)?;
            }
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// C calls this for a registered device of driver `D`, with a valid question.
    unsafe extern "C" fn rxfh_fields(
        dev: *mut NetDevice,
        info: *mut bindings::ethtool_rxfh_fields,
    ) -> c_int {
        // SAFETY: C calls this for a registered device, with a question to answer.
        let (driver, info) = unsafe { (Self::driver(dev), &mut *info) };
        info.data = match flow(info.flow_type).map(|flow| driver.hash_fields(flow)) {
            Some(HashFields::AddressesAndPorts) => ADDRESSES | PORTS,
            Some(HashFields::Addresses) => ADDRESSES,
            Some(HashFields::None) | None => 0,
        };
        0
    }

    /// # Safety
    ///
    /// C calls this for a registered device of driver `D`, with a valid wish.
    unsafe extern "C" fn set_rxfh_fields(
        dev: *mut NetDevice,
        info: *const bindings::ethtool_rxfh_fields,
        extack: *mut bindings::netlink_ext_ack,
    ) -> c_int {
        // SAFETY: C calls this for a registered device, with a wish to read and a message to write.
        let (driver, info, mut extack) =
            unsafe { (Self::driver(dev), &*info, Extack::new(extack)) };
        from_result(|| {
            let fields = if info.data & bindings::RXH_DISCARD != 0 {
                HashFields::None
            } else if info.data == ADDRESSES {
                HashFields::Addresses
            } else if info.data == ADDRESSES | PORTS {
                HashFields::AddressesAndPorts
            } else {
                let why = c"a hash is of both addresses, or of both ports too";
                return Err(extack.because(EINVAL, why));
            };
            let Some(flow) = flow(info.flow_type) else {
                let why = c"hashes are of TCP, UDP and other packets of IPv4 and IPv6";
                return Err(extack.because(EINVAL, why));
            };
            driver
                .set_hash_fields(flow, fields, &mut extack)
                .map(|()| 0)
        })
    }
}
