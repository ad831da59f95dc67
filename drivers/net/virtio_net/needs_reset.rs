// SPDX-License-Identifier: GPL-2.0

//! A device that has met an error which it does not get out of without a reset (section 2.1.2).

use crate::{control::Control, nic::Nic};
use core::sync::atomic::{AtomicI64, Ordering};
use kernel::{
    prelude::*,
    time::{Instant, Monotonic},
};

/// A device that needs a reset so soon after another one is given up.
const QUIET_MS: i64 = 10_000;

/// When a device was reset as it needed that.
pub(crate) struct Resets {
    born: Instant<Monotonic>,
    /// In milliseconds; [`NEVER`], or [`GIVEN_UP`].
    last: AtomicI64,
}

const NEVER: i64 = i64::MIN;
const GIVEN_UP: i64 = i64::MAX;

impl Resets {
    pub(crate) fn new() -> Self {
        Self {
            born: Instant::now(),
            last: AtomicI64::new(NEVER),
        }
    }

    /// Somebody else has reset the device, also one that was given up.
    pub(crate) fn forget(&self) {
        self.last.store(NEVER, Ordering::Relaxed);
    }
}

/// Resets the device if it says that it needs that: all is as it was afterwards. Process context.
pub(crate) fn look(nic: &Nic) {
    let last = &nic.resets.last;
    let before = last.load(Ordering::Relaxed);
    if before == GIVEN_UP || !nic.device.needs_reset() {
        return;
    }
    let now = || nic.resets.born.elapsed().as_millis();
    if before != NEVER && now().saturating_sub(before) < QUIET_MS {
        last.store(GIVEN_UP, Ordering::Relaxed);
        nic.device.mark_broken();
        dev_err!(
            nic.device.as_ref(),
            "the device needs a reset again, and is given up\n"
        );
        return;
    }
    dev_warn!(nic.device.as_ref(), "the device needs a reset\n");
    // Without the locks that all network devices share, as it may never be done. Who waits for the
    // answer to a command, which does not come, has them.
    let wake = || nic.control.iter().for_each(Control::interrupt);
    if !nic.device.reset_if_needed(wake) {
        return;
    }
    nic.netdev.with_rtnl(|rtnl| {
        nic.netdev.locked(|lock| {
            // Somebody else may have had it reset meanwhile. One that is away is made live as it
            // comes back.
            if !nic.device.is_live() && nic.restart(None, rtnl, lock).is_ok() {
                last.store(now(), Ordering::Relaxed);
            }
        });
    });
}
