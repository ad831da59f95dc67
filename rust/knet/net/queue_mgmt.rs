// SPDX-License-Identifier: GPL-2.0

//! Receive queues that get other memory while the device runs, one at a time, such as the
//! core asks for by `netdev_rx_queue_restart`: see [`Driver::can_restart_rx`].
//!
//! C header: [`include/net/netdev_queues.h`](srctree/include/net/netdev_queues.h)

use super::{
    device::Priv,
    locks::OpsLocked,
    napi::{RxBody, Slot},
    ops::{Driver, Operations},
    page_pool::PagePool,
    queues::RX,
};
use crate::bindings;
use kernel::{error::from_result, ffi::c_void, prelude::*};

/// The memory of a queue, as the core keeps it: zeroes are no memory.
struct Memory {
    pool: Option<PagePool>,
}

impl<D: Driver> Operations<D> {
    const QUEUE_MGMT: bindings::netdev_queue_mgmt_ops = {
        // SAFETY: All operations are optional: null is a valid function pointer here.
        let mut ops: bindings::netdev_queue_mgmt_ops = unsafe { core::mem::zeroed() };
        ops.ndo_queue_mem_size = size_of::<Memory>();
        ops.ndo_queue_mem_alloc = Some(Self::queue_mem_alloc);
        ops.ndo_queue_mem_free = Some(Self::queue_mem_free);
        ops.ndo_queue_start = Some(Self::queue_start);
        ops.ndo_queue_stop = Some(Self::queue_stop);
        ops
    };

    pub(super) const fn queue_mgmt() -> &'static bindings::netdev_queue_mgmt_ops {
        &Self::QUEUE_MGMT
    }

    /// # Safety
    ///
    /// `dev` is registered for driver `D`.
    unsafe fn rx_slot<'a>(
        dev: *mut bindings::net_device,
        index: c_int,
    ) -> Result<&'a Slot<D, RxBody<D::Rx>>> {
        // SAFETY: By the caller's promise; the interface stays while it is registered.
        let queues = unsafe { &(*(*Priv::<D>::of(dev)).interface).queues };
        queues.rx().get(index as usize).ok_or(EINVAL)
    }

    /// # Safety
    ///
    /// C calls this for a registered device of driver `D` with its instance lock, and with
    /// zeroed memory of the size that it was told.
    unsafe extern "C" fn queue_mem_alloc(
        dev: *mut bindings::net_device,
        _config: *mut bindings::netdev_queue_config,
        memory: *mut c_void,
        index: c_int,
    ) -> c_int {
        // SAFETY: By the caller's promise.
        unsafe {
            from_result(|| {
                if !Self::driver(dev).can_restart_rx() {
                    return Err(EOPNOTSUPP);
                }
                let pool = Self::rx_slot(dev, index)?.pool().ok_or(ENODEV)?;
                (*memory.cast::<Memory>()).pool = Some(pool.another()?);
                Ok(0)
            })
        }
    }

    /// # Safety
    ///
    /// C calls this for a registered device of driver `D` with its instance lock, and with memory
    /// that `queue_mem_alloc` or `queue_stop` has filled.
    unsafe extern "C" fn queue_mem_free(dev: *mut bindings::net_device, memory: *mut c_void) {
        // SAFETY: By the caller's promise.
        let Some(pool) = (unsafe { (*memory.cast::<Memory>()).pool.take() }) else {
            return;
        };
        // Its pages lose their mappings. From here on none is sent by its own, as the pool has
        // no NAPI instance any more; those that are being sent are waited for.
        // SAFETY: The device is registered, and the core has its instance lock. Process context.
        unsafe {
            bindings::synchronize_net();
            Self::driver(dev).let_go_of_frames(&mut OpsLocked::<D>::new(dev));
        }
        drop(pool);
    }

    /// # Safety
    ///
    /// C calls this for a registered device of driver `D` that is up, with its instance
    /// lock, and with zeroed memory.
    unsafe extern "C" fn queue_stop(
        dev: *mut bindings::net_device,
        memory: *mut c_void,
        index: c_int,
    ) -> c_int {
        // SAFETY: By the caller's promise.
        let (slot, mut lock) = unsafe { (Self::rx_slot(dev, index), OpsLocked::<D>::new(dev)) };
        from_result(|| {
            let slot = slot?;
            slot.disable(lock.netdev(), RX);
            // SAFETY: A disabled NAPI does not poll, and the instance lock keeps it so.
            let body = unsafe { slot.body() }.ok_or(ENODEV)?;
            // SAFETY: The device is registered.
            let result = unsafe { Self::driver(dev) }.empty_rx(&mut body.rx);
            match result {
                Ok(()) => {
                    slot.recycle_no_more();
                    // SAFETY: The memory is the core's for us.
                    unsafe { (*memory.cast::<Memory>()).pool = Some(body.pool.share()) };
                    Ok(0)
                }
                Err(error) => {
                    Self::run(slot, dev, &mut lock);
                    Err(error)
                }
            }
        })
    }

    /// # Safety
    ///
    /// C calls this for a queue that was stopped, with its instance lock, and with memory
    /// that `queue_mem_alloc` or `queue_stop` has filled.
    unsafe extern "C" fn queue_start(
        dev: *mut bindings::net_device,
        _config: *mut bindings::netdev_queue_config,
        memory: *mut c_void,
        index: c_int,
    ) -> c_int {
        // SAFETY: By the caller's promise.
        let (slot, memory, mut lock) = unsafe {
            (
                Self::rx_slot(dev, index),
                &mut *memory.cast::<Memory>(),
                OpsLocked::<D>::new(dev),
            )
        };
        from_result(|| {
            let slot = slot?;
            // SAFETY: As in `queue_stop`, which has disabled the queue.
            let body = unsafe { slot.body() }.ok_or(ENODEV)?;
            let pool = memory.pool.as_ref().ok_or(EINVAL)?;
            // SAFETY: The device is registered.
            unsafe { Self::driver(dev) }.use_pool(&mut body.rx, pool.source())?;
            if let Some(pool) = memory.pool.take() {
                body.info.use_pool(&pool);
                slot.set_pool(Some(pool.share()));
                body.pool = pool;
            }
            slot.recycle_directly();
            Self::run(slot, dev, &mut lock);
            Ok(0)
        })
    }

    /// Fills a queue and lets it run.
    fn run(
        slot: &Slot<D, RxBody<D::Rx>>,
        dev: *mut bindings::net_device,
        lock: &mut OpsLocked<'_, D>,
    ) {
        // SAFETY: The queue is disabled, and the lock keeps it so; the device is registered,
        // as its operations are called.
        unsafe {
            if let Some(body) = slot.body() {
                Self::driver(dev).fill_rx(&mut body.rx, slot.index, body.pool.pages());
            }
        }
        slot.enable(lock.netdev(), RX);
    }
}
