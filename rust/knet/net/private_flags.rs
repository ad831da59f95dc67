// SPDX-License-Identifier: GPL-2.0

//! Switches that only this driver has (`ethtool --set-priv-flags`).
//!
//! C header: [`include/linux/ethtool.h`](srctree/include/linux/ethtool.h)

use super::{
    ethtool::{copy_name, Operations, NAME_LEN},
    locks::{OpsLocked, Rtnl},
    ops::Driver,
};
use crate::bindings;
use ::kernel::bindings::net_device as NetDevice;
use kernel::{error::from_result, prelude::*};

/// A driver's part in it.
pub trait PrivateFlags: Sized {
    /// Their names, the lowest bit first; at most 31 bytes each.
    const NAMES: &'static [&'static str];

    /// Which are on, by bits.
    fn private_flags(&self) -> u32;

    /// Which shall be; of [`Self::NAMES`].
    ///
    /// # Errors
    ///
    /// Any; then they are as they were.
    fn set_private_flags(
        &self,
        flags: u32,
        rtnl: &Rtnl<'_>,
        lock: &mut OpsLocked<'_, Self>,
    ) -> Result;
}

impl<D: Driver> Operations<D> {
    pub(super) const fn with_private_flags(
        mut ops: bindings::ethtool_ops,
    ) -> bindings::ethtool_ops {
        ops.get_priv_flags = Some(Self::priv_flags);
        ops.set_priv_flags = Some(Self::set_priv_flags);
        ops.op_needs_rtnl |= bindings::ETHTOOL_OP_NEEDS_RTNL_SPFLAGS;
        ops
    }

    /// Writes their names.
    pub(super) fn private_flag_names(names: &mut [u8]) {
        for (entry, name) in names.chunks_exact_mut(NAME_LEN).zip(D::NAMES) {
            copy_name(entry, format_args!("{name}"));
        }
    }

    /// # Safety
    ///
    /// C calls this for a registered device of driver `D`.
    unsafe extern "C" fn priv_flags(dev: *mut NetDevice) -> u32 {
        // SAFETY: By the caller's promise.
        unsafe { Self::driver(dev) }.private_flags()
    }

    /// # Safety
    ///
    /// C calls this for a registered device of driver `D`, with RTNL and its instance lock.
    unsafe extern "C" fn set_priv_flags(dev: *mut NetDevice, flags: u32) -> c_int {
        // SAFETY: By the caller's promise. RTNL is held, as `with_private_flags` asks for it.
        let (driver, rtnl, mut lock) =
            unsafe { (Self::driver(dev), Rtnl::new(), OpsLocked::new(dev.cast())) };
        from_result(|| {
            // Only those that have a name.
            let known = 1u32
                .checked_shl(D::NAMES.len() as u32)
                .map_or(u32::MAX, |bit| bit.wrapping_sub(1));
            driver.set_private_flags(flags & known, &rtnl, &mut lock)?;
            Ok(0)
        })
    }
}
