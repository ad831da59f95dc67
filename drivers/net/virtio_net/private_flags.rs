// SPDX-License-Identifier: GPL-2.0

//! Switches that only this driver has.

use crate::{nic::Nic, xsk};
use core::sync::atomic::Ordering;
use kernel::prelude::*;
use knet::net::{OpsLocked, PrivateFlags, Rtnl};
use virtio_net_wire::Features;

/// Times of frames by software, as the device has none: netdev netlink has words for hardware
/// only, so users say first that they want them.
const SW_TIME: u32 = 1;

impl PrivateFlags for Nic {
    const NAMES: &'static [&'static str] = &["xdp-sw-time"];

    fn private_flags(&self) -> u32 {
        if self.sw_time.load(Ordering::Relaxed) {
            SW_TIME
        } else {
            0
        }
    }

    fn set_private_flags(
        &self,
        flags: u32,
        rtnl: &Rtnl<'_>,
        lock: &mut OpsLocked<'_, Self>,
    ) -> Result {
        let times = flags & SW_TIME != 0;
        self.sw_time.store(times, Ordering::Relaxed);
        let rx_hash = self.negotiated.contains(Features::HASH_REPORT);
        let offloads = xsk::offloads(self.negotiated, times);
        self.netdev.tell_offloads(rx_hash, offloads, rtnl, lock);
        Ok(())
    }
}
