// SPDX-License-Identifier: GPL-2.0

//! Interrupt coalescing: `ethtool -c`, `-C` and `--per-queue`.
//!
//! C header: [`include/linux/ethtool.h`](srctree/include/linux/ethtool.h)

use super::{dim::Direction, ethtool::Operations, extack::Extack, locks::OpsLocked, ops::Driver};
use crate::bindings;
use ::kernel::bindings::net_device as NetDevice;
use kernel::{error::from_result, prelude::*};

/// When a queue interrupts.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Moderation {
    /// Microseconds after the first packet.
    pub usecs: u32,
    /// After so many packets.
    pub frames: u32,
    /// Whether the kernel changes these by what it sees of the queue
    /// ([`super::Queues::set_adaptive`]).
    pub adaptive: bool,
}

/// When receive and transmit queues interrupt.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs)]
pub struct Moderations {
    pub rx: Moderation,
    pub tx: Moderation,
}

/// Interrupt coalescing of all queues, or of one queue pair.
pub trait Coalescing: Sized {
    /// What there is now, of queue pair `queue` or of all.
    ///
    /// # Errors
    ///
    /// `EINVAL` if there is no such queue pair.
    fn coalescing(&self, queue: Option<usize>) -> Result<Moderations>;
    /// Takes others.
    fn set_coalescing(
        &self,
        queue: Option<usize>,
        wanted: Moderations,
        lock: &mut OpsLocked<'_, Self>,
        extack: &mut Extack<'_>,
    ) -> Result;
    /// The kernel proposes others for a queue whose moderation is adaptive.
    fn moderate(
        &self,
        direction: Direction,
        index: usize,
        proposed: Moderation,
        lock: &mut OpsLocked<'_, Self>,
    );
}

fn store(from: Moderations, to: &mut bindings::ethtool_coalesce) {
    to.rx_coalesce_usecs = from.rx.usecs;
    to.rx_max_coalesced_frames = from.rx.frames;
    to.tx_coalesce_usecs = from.tx.usecs;
    to.tx_max_coalesced_frames = from.tx.frames;
    to.use_adaptive_rx_coalesce = from.rx.adaptive.into();
    to.use_adaptive_tx_coalesce = from.tx.adaptive.into();
}

fn load(from: &bindings::ethtool_coalesce) -> Moderations {
    Moderations {
        rx: Moderation {
            usecs: from.rx_coalesce_usecs,
            frames: from.rx_max_coalesced_frames,
            adaptive: from.use_adaptive_rx_coalesce != 0,
        },
        tx: Moderation {
            usecs: from.tx_coalesce_usecs,
            frames: from.tx_max_coalesced_frames,
            adaptive: from.use_adaptive_tx_coalesce != 0,
        },
    }
}

impl<D: Driver> Operations<D> {
    /// Adds the operations of this file.
    pub(super) const fn with_coalescing(mut ops: bindings::ethtool_ops) -> bindings::ethtool_ops {
        ops.supported_coalesce_params = bindings::ETHTOOL_COALESCE_USECS
            | bindings::ETHTOOL_COALESCE_MAX_FRAMES
            | bindings::ETHTOOL_COALESCE_USE_ADAPTIVE;
        ops.get_coalesce = Some(Self::coalesce);
        ops.set_coalesce = Some(Self::set_coalesce);
        ops.get_per_queue_coalesce = Some(Self::queue_coalesce);
        ops.set_per_queue_coalesce = Some(Self::set_queue_coalesce);
        ops
    }

    /// # Safety
    ///
    /// `dev` is registered for driver `D`; `to` is valid.
    unsafe fn get_moderation(
        dev: *mut NetDevice,
        queue: Option<usize>,
        to: *mut bindings::ethtool_coalesce,
    ) -> c_int {
        // SAFETY: By the caller's promise.
        let (driver, to) = unsafe { (Self::driver(dev), &mut *to) };
        from_result(|| {
            store(driver.coalescing(queue)?, to);
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// `dev` is registered for driver `D`, and its instance lock is held; `from` is valid, and
    /// so is `extack` or null.
    unsafe fn set_moderation(
        dev: *mut NetDevice,
        queue: Option<usize>,
        from: *const bindings::ethtool_coalesce,
        extack: *mut bindings::netlink_ext_ack,
    ) -> c_int {
        // SAFETY: By the caller's promise.
        let (driver, mut lock, from, mut extack) = unsafe {
            let lock = OpsLocked::new(dev.cast());
            (Self::driver(dev), lock, &*from, Extack::new(extack))
        };
        from_result(|| {
            driver
                .set_coalescing(queue, load(from), &mut lock, &mut extack)
                .map(|()| 0)
        })
    }

    /// # Safety
    ///
    /// C calls this for a registered device of driver `D`, with a valid result.
    unsafe extern "C" fn coalesce(
        dev: *mut NetDevice,
        to: *mut bindings::ethtool_coalesce,
        _kernel: *mut bindings::kernel_ethtool_coalesce,
        _extack: *mut bindings::netlink_ext_ack,
    ) -> c_int {
        // SAFETY: C calls this for a registered device, with a result to fill in.
        unsafe { Self::get_moderation(dev, None, to) }
    }

    /// # Safety
    ///
    /// C calls this for a registered device of driver `D`, with its instance lock and a
    /// valid wish.
    unsafe extern "C" fn set_coalesce(
        dev: *mut NetDevice,
        from: *mut bindings::ethtool_coalesce,
        _kernel: *mut bindings::kernel_ethtool_coalesce,
        extack: *mut bindings::netlink_ext_ack,
    ) -> c_int {
        // SAFETY: C calls this for a registered device with its instance lock.
        unsafe { Self::set_moderation(dev, None, from, extack) }
    }

    /// # Safety
    ///
    /// C calls this for a registered device of driver `D`, with a valid result.
    unsafe extern "C" fn queue_coalesce(
        dev: *mut NetDevice,
        queue: u32,
        to: *mut bindings::ethtool_coalesce,
    ) -> c_int {
        // SAFETY: C calls this for a registered device, with a result to fill in.
        unsafe { Self::get_moderation(dev, Some(queue as usize), to) }
    }

    /// # Safety
    ///
    /// C calls this for a registered device of driver `D`, with its instance lock and a
    /// valid wish.
    unsafe extern "C" fn set_queue_coalesce(
        dev: *mut NetDevice,
        queue: u32,
        from: *mut bindings::ethtool_coalesce,
    ) -> c_int {
        // SAFETY: C calls this for a registered device with its instance lock.
        unsafe { Self::set_moderation(dev, Some(queue as usize), from, core::ptr::null_mut()) }
    }
}
