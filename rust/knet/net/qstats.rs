// SPDX-License-Identifier: GPL-2.0

//! Statistics of each queue, as the netdev netlink family shows them.
//!
//! C header: [`include/net/netdev_queues.h`](srctree/include/net/netdev_queues.h)

use super::ops::{self, Driver};
use crate::bindings;
use core::marker::PhantomData;
use kernel::prelude::*;

/// The counters of a queue since the device was probed.
pub trait QueueStatistics {
    /// Those of receive queue `index`. Process context.
    fn rx_queue_stats(&self, index: usize) -> RxQueueStats;
    /// Those of transmit queue `index`. Process context.
    fn tx_queue_stats(&self, index: usize) -> TxQueueStats;
}

/// A set of counters; those that are not kept are `None`.
macro_rules! queue_stats {
    ($(#[$doc:meta])* $name:ident as $c:ident { $($field:ident),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Default)]
        #[allow(missing_docs)]
        pub struct $name {
            $(pub $field: Option<u64>,)*
        }

        impl $name {
            /// Writes what is kept to where C wants it.
            fn store(&self, to: &mut bindings::$c) {
                $(if let Some(count) = self.$field {
                    to.$field = count;
                })*
            }

            /// Adds the counters of another queue.
            fn add(&mut self, other: &Self) {
                $(if let (Some(sum), Some(count)) = (&mut self.$field, other.$field) {
                    *sum = sum.wrapping_add(count);
                })*
            }

            /// Zeroes for what is kept.
            fn zeroed(&self) -> Self {
                Self { $($field: self.$field.map(|_| 0),)* }
            }
        }
    };
}

queue_stats! {
    /// Counters of a receive queue (`struct netdev_queue_stats_rx`).
    RxQueueStats as netdev_queue_stats_rx {
        packets, bytes, alloc_fail, hw_drops, hw_drop_overruns, csum_complete,
        csum_unnecessary, csum_none, csum_bad, hw_gro_packets, hw_gro_bytes,
        hw_gro_wire_packets, hw_gro_wire_bytes, hw_drop_ratelimits,
    }
}

queue_stats! {
    /// Counters of a transmit queue (`struct netdev_queue_stats_tx`).
    TxQueueStats as netdev_queue_stats_tx {
        packets, bytes, hw_drops, hw_drop_errors, csum_none, needs_csum, hw_gso_packets,
        hw_gso_bytes, hw_gso_wire_packets, hw_gso_wire_bytes, hw_drop_ratelimits, stop, wake,
    }
}

/// The C operations of driver `D`.
pub(super) struct Operations<D>(PhantomData<D>);

impl<D: Driver> Operations<D> {
    const VTABLE: bindings::netdev_stat_ops = bindings::netdev_stat_ops {
        get_queue_stats_rx: Some(Self::rx),
        get_queue_stats_tx: Some(Self::tx),
        get_base_stats: Some(Self::base),
    };

    pub(super) const fn vtable() -> &'static bindings::netdev_stat_ops {
        &Self::VTABLE
    }

    /// # Safety
    ///
    /// C calls this for a registered device of driver `D`, with a valid result.
    unsafe extern "C" fn rx(
        dev: *mut bindings::net_device,
        index: c_int,
        to: *mut bindings::netdev_queue_stats_rx,
    ) {
        // SAFETY: C calls this for a registered device, with a result to fill in.
        let (driver, to) = unsafe { (ops::Operations::<D>::driver(dev), &mut *to) };
        driver.rx_queue_stats(index as usize).store(to);
    }

    /// # Safety
    ///
    /// C calls this for a registered device of driver `D`, with a valid result.
    unsafe extern "C" fn tx(
        dev: *mut bindings::net_device,
        index: c_int,
        to: *mut bindings::netdev_queue_stats_tx,
    ) {
        // SAFETY: C calls this for a registered device, with a result to fill in.
        let (driver, to) = unsafe { (ops::Operations::<D>::driver(dev), &mut *to) };
        driver.tx_queue_stats(index as usize).store(to);
    }

    /// What queues that are not in use now have counted before.
    ///
    /// # Safety
    ///
    /// C calls this for a registered device of driver `D`, with valid results.
    unsafe extern "C" fn base(
        dev: *mut bindings::net_device,
        rx: *mut bindings::netdev_queue_stats_rx,
        tx: *mut bindings::netdev_queue_stats_tx,
    ) {
        // SAFETY: C calls this for a registered device, with results to fill in, and with
        // the lock that the number of queues in use changes under.
        let (driver, rx, tx, used_rx, used_tx, most_rx, most_tx) = unsafe {
            (
                ops::Operations::<D>::driver(dev),
                &mut *rx,
                &mut *tx,
                (*dev).real_num_rx_queues as usize,
                (*dev).real_num_tx_queues as usize,
                (*dev).num_rx_queues as usize,
                (*dev).num_tx_queues as usize,
            )
        };
        let mut sum = driver.rx_queue_stats(0).zeroed();
        for index in used_rx..most_rx {
            sum.add(&driver.rx_queue_stats(index));
        }
        sum.store(rx);
        let mut sum = driver.tx_queue_stats(0).zeroed();
        for index in used_tx..most_tx {
            sum.add(&driver.tx_queue_stats(index));
        }
        sum.store(tx);
    }
}
