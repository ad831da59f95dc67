// SPDX-License-Identifier: GPL-2.0

//! How pools come to queues, and who wants to be served.
//!
//! C header: [`include/linux/netdevice.h`](srctree/include/linux/netdevice.h)

use super::{
    super::{
        device::Priv,
        locks::{OpsLocked, Rtnl},
        ops::{Driver, Operations},
    },
    pool::Release,
    XskOffer, XskPool,
};
use crate::bindings;
use core::{cell::Cell, marker::PhantomData, ptr::NonNull};
use kernel::{
    error::from_result,
    prelude::*,
    sync::{Arc, Completion},
};

/// A driver's part in it.
pub trait Xsk: Sized {
    /// Has queue pair `index` use a pool, and gives it back as it is mapped. After an error
    /// the queues are as they were.
    ///
    /// # Errors
    ///
    /// Those of [`XskOffer::map`], and any other.
    fn bind_pool(
        &self,
        index: usize,
        offer: XskOffer<'_>,
        rtnl: &Rtnl<'_>,
        lock: &mut OpsLocked<'_, Self>,
    ) -> Result<XskPool>;

    /// Has the queue pair do without. The core waits until its pool is dropped everywhere.
    fn unbind_pool(&self, index: usize, rtnl: &Rtnl<'_>, lock: &mut OpsLocked<'_, Self>);
}

/// A pool that a queue pair has, and who tells that it has gone.
struct Bound {
    pool: XskPool,
    released: Arc<Completion>,
}

/// The pools of a device's queue pairs. They stay while the device is detached.
pub(in super::super) struct Pools(KVec<Cell<Option<Bound>>>);

impl Pools {
    /// Room for those of `n` queue pairs.
    pub(in super::super) fn new(n: usize) -> Result<Self> {
        let mut pools = KVec::with_capacity(n, GFP_KERNEL)?;
        for _ in 0..n {
            pools.push(Cell::new(None), GFP_KERNEL)?;
        }
        Ok(Self(pools))
    }

    /// The pool of queue pair `index`, under the instance lock.
    pub(in super::super) fn get(&self, index: usize) -> Option<XskPool> {
        let cell = self.0.get(index)?;
        let bound = cell.take();
        let pool = bound.as_ref().map(|bound| bound.pool.clone());
        cell.set(bound);
        pool
    }
}

impl<D: Driver> Operations<D> {
    pub(in super::super) const fn with_xsk(
        mut ops: bindings::net_device_ops,
    ) -> bindings::net_device_ops {
        ops.ndo_xsk_wakeup = Some(Self::xsk_wakeup);
        ops
    }

    /// # Safety
    ///
    /// `dev` is registered for driver `D`, the caller holds RTNL and the instance lock. `pool`
    /// is null, or live and stays so until it is taken away by a call with null.
    pub(in super::super) unsafe fn set_xsk_pool(
        dev: *mut bindings::net_device,
        pool: *mut bindings::xsk_buff_pool,
        index: usize,
    ) -> Result {
        // SAFETY: By the caller's promise; the interface stays while it is registered.
        let (driver, queues, rtnl, mut lock) = unsafe {
            (
                Self::driver(dev),
                &(*(*Priv::<D>::of(dev)).interface).queues,
                Rtnl::new(),
                OpsLocked::new(dev),
            )
        };
        let place = queues.pools().0.get(index).ok_or(EINVAL)?;
        let Some(raw) = NonNull::new(pool) else {
            let Some(Bound { pool, released }) = place.take() else {
                return Ok(());
            };
            driver.unbind_pool(index, &rtnl, &mut lock);
            drop(pool);
            // A driver that keeps it for ever waits here for ever, as nothing else is safe.
            released.wait_for_completion();
            return Ok(());
        };
        let released = Arc::pin_init(Completion::new(), GFP_KERNEL)?;
        let offer = XskOffer {
            raw,
            netdev: dev,
            index,
            release: Release(released.clone()),
            _core: PhantomData,
        };
        match driver.bind_pool(index, offer, &rtnl, &mut lock) {
            Ok(pool) => {
                place.set(Some(Bound { pool, released }));
                Ok(())
            }
            Err(error) => {
                released.wait_for_completion();
                Err(error)
            }
        }
    }

    /// # Safety
    ///
    /// C calls this for a registered device of driver `D`.
    unsafe extern "C" fn xsk_wakeup(
        dev: *mut bindings::net_device,
        index: u32,
        flags: u32,
    ) -> c_int {
        // SAFETY: By the caller's promise; the interface stays while it is registered.
        let queues = unsafe {
            let state = (&raw const (*dev).state).read_volatile();
            if state & 1 << bindings::netdev_state_t___LINK_STATE_START == 0 {
                return ENETDOWN.to_errno();
            }
            &(*(*Priv::<D>::of(dev)).interface).queues
        };
        let index = index as usize;
        from_result(|| {
            let (rx, tx) = (
                queues.rx().get(index).ok_or(EINVAL)?,
                queues.tx().get(index).ok_or(EINVAL)?,
            );
            // A poll under way is repeated.
            // SAFETY: The softirq runs when bottom halves are enabled again.
            unsafe {
                bindings::local_bh_disable();
                if flags & bindings::XDP_WAKEUP_TX != 0 {
                    tx.schedule();
                }
                if flags & bindings::XDP_WAKEUP_RX != 0 {
                    rx.schedule();
                }
                bindings::local_bh_enable();
            }
            Ok(0)
        })
    }
}
