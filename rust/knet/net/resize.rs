// SPDX-License-Identifier: GPL-2.0

//! What changes queues while the interface is up: ring sizes, their number, recovery.
//!
//! C header: [`include/linux/ethtool.h`](srctree/include/linux/ethtool.h)

use super::{
    ethtool::Operations,
    locks::{OpsLocked, Rtnl},
    ops::Driver,
    Extack,
};
use crate::bindings;
use ::kernel::bindings::net_device as NetDevice;
use kernel::{error::from_result, prelude::*};

/// A driver's part in it.
pub trait Resize: Sized {
    /// `ethtool -G`: rings of `rx` and `tx` descriptors, at most as many as
    /// [`super::RingSizes`] says. After an error all is as it was.
    fn set_ring_sizes(
        &self,
        rx: usize,
        tx: usize,
        lock: &mut OpsLocked<'_, Self>,
        extack: &mut Extack<'_>,
    ) -> Result;

    /// `ethtool -L`: uses `pairs` queue pairs, at least one and at most as many as
    /// [`super::Channels`] says. After an error all is as it was.
    fn set_channels(&self, pairs: usize, rtnl: &Rtnl<'_>, lock: &mut OpsLocked<'_, Self>)
        -> Result;

    /// Gets transmit queue `index` going, for which the stack has waited too long.
    fn recover_tx(&self, index: usize, lock: &mut OpsLocked<'_, Self>);
}

impl<D: Driver> Operations<D> {
    pub(super) const fn with_resize(mut ops: bindings::ethtool_ops) -> bindings::ethtool_ops {
        ops.set_ringparam = Some(Self::set_ringparam);
        ops.set_channels = Some(Self::set_channels);
        // The instance lock is held for all operations, this one only where asked for.
        ops.op_needs_rtnl |= bindings::ETHTOOL_OP_NEEDS_RTNL_SCHANNELS;
        ops
    }

    /// # Safety
    ///
    /// C calls this for a registered device of driver `D`, with its instance lock.
    unsafe extern "C" fn set_ringparam(
        dev: *mut NetDevice,
        from: *mut bindings::ethtool_ringparam,
        _kernel: *mut bindings::kernel_ethtool_ringparam,
        extack: *mut bindings::netlink_ext_ack,
    ) -> c_int {
        // SAFETY: C calls this for a registered device, locked, with valid sizes that do
        // not exceed what `ringparam` says.
        let (driver, from, mut lock, mut extack) = unsafe {
            (
                Self::driver(dev),
                &*from,
                OpsLocked::new(dev.cast()),
                Extack::new(extack),
            )
        };
        let (rx, tx) = (from.rx_pending as usize, from.tx_pending as usize);
        from_result(|| {
            driver
                .set_ring_sizes(rx, tx, &mut lock, &mut extack)
                .map(|()| 0)
        })
    }

    /// # Safety
    ///
    /// C calls this for a registered device of driver `D`, with RTNL and its instance lock.
    unsafe extern "C" fn set_channels(
        dev: *mut NetDevice,
        from: *mut bindings::ethtool_channels,
    ) -> c_int {
        // SAFETY: C calls this for a registered device, locked, with valid numbers that
        // do not exceed what `channels` says. RTNL is held, as `with_resize` asks for it.
        let (driver, from, rtnl, mut lock) = unsafe {
            (
                Self::driver(dev),
                &*from,
                Rtnl::new(),
                OpsLocked::new(dev.cast()),
            )
        };
        from_result(|| {
            if from.combined_count == 0 {
                return Err(EINVAL);
            }
            driver
                .set_channels(from.combined_count as usize, &rtnl, &mut lock)
                .map(|()| 0)
        })
    }
}
