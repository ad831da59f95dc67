// SPDX-License-Identifier: GPL-2.0

//! Queue pairs that are paused: the states between running and running again.
//!
//! While a pair is paused, its queues can be reset, resized and filled. Nothing is lost
//! by the pause itself: the stack keeps its packets, and the device goes on.

use super::{
    locks::OpsLocked,
    napi::{RxBody, Slot},
    ops::Driver,
    page_pool::Pages,
    queues::{Queues, RX, TX},
    txq::TxQueue,
};
use kernel::prelude::*;

/// A queue pair that is paused until this is dropped; then it runs, if it did before.
///
/// # Invariants
///
/// The pair's polls do not run, the stack does not send on it, and nobody else can
/// reach its bodies, which are there.
pub struct PausedPair<'a, 'l, D: Driver> {
    rx: &'a Slot<D, RxBody<D::Rx>>,
    tx: &'a Slot<D, D::Tx>,
    rx_body: &'a mut RxBody<D::Rx>,
    tx_body: &'a mut D::Tx,
    lock: &'a mut OpsLocked<'l, D>,
    /// Whether polls of the receive queue, and of the transmit queue, ran.
    was_running: (bool, bool),
    was_stopped: bool,
}

impl<D: Driver> Queues<D> {
    /// Pauses the queue pair `index`, running or not. Waits for its users. May sleep.
    ///
    /// # Errors
    ///
    /// `EINVAL` if there is no such pair, or the lock is another device's; `ENODEV` while
    /// the device is detached.
    pub fn pause_pair<'a, 'l>(
        &'a self,
        index: usize,
        lock: &'a mut OpsLocked<'l, D>,
    ) -> Result<PausedPair<'a, 'l, D>> {
        let (Some(rx), Some(tx)) = (self.rx().get(index), self.tx().get(index)) else {
            return Err(EINVAL);
        };
        if !self.are_of(lock) {
            return Err(EINVAL);
        }
        if tx.locked(|| tx.held.get()) {
            return Err(ENODEV);
        }
        let was_running = (rx.enabled.get(), tx.enabled.get());
        self.disable(index, lock);
        // Who is in the queue has the lock; who comes later finds it stopped or held.
        let was_stopped = tx.locked(|| {
            let queue = TxQueue::of(tx);
            let was_stopped = queue.is_stopped();
            queue.stop();
            tx.held.set(true);
            was_stopped
        });
        // SAFETY: As above. The lock keeps others from resuming the pair.
        let (rx_body, tx_body) = unsafe { (rx.body(), tx.body()) };
        let (Some(rx_body), Some(tx_body)) = (rx_body, tx_body) else {
            return Err(ENODEV);
        };
        // INVARIANT: As above.
        Ok(PausedPair {
            rx,
            tx,
            rx_body,
            tx_body,
            lock,
            was_running,
            was_stopped,
        })
    }
}

impl<D: Driver> PausedPair<'_, '_, D> {
    /// Whether the receive queue will run again.
    pub fn was_running(&self) -> bool {
        self.was_running.0
    }

    /// The receive queue, and the pages of its pool.
    pub fn rx(&mut self) -> (&mut D::Rx, Pages<'_>) {
        // SAFETY: By the type invariant.
        (&mut self.rx_body.rx, unsafe { self.rx_body.pool.pages() })
    }

    /// The transmit queue.
    pub fn tx(&mut self) -> &mut D::Tx {
        self.tx_body
    }

    /// Accounts for the byte limits what the device has sent
    /// (`netdev_tx_completed_queue`).
    pub fn completed(&mut self, packets: usize, bytes: usize) {
        TxQueue::of(self.tx).completed(packets, bytes);
    }

    /// The transmit queue was emptied: nothing is under way for the byte limits
    /// (`netdev_tx_reset_queue`).
    pub fn emptied(&mut self) {
        TxQueue::of(self.tx).reset();
    }
}

impl<D: Driver> Drop for PausedPair<'_, '_, D> {
    fn drop(&mut self) {
        self.tx.locked(|| {
            self.tx.held.set(false);
            // Where the ring was full, the poll that comes first wakes the queue.
            if !self.was_stopped {
                TxQueue::of(self.tx).wake();
            }
        });
        let (rx, tx) = self.was_running;
        if rx {
            self.rx.enable(self.lock.netdev(), RX);
        }
        if tx {
            self.tx.enable(self.lock.netdev(), TX);
        }
    }
}
