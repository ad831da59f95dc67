// SPDX-License-Identifier: GPL-2.0

//! Other ring sizes, another number of queue pairs, and queues that are stuck, while
//! traffic goes on (sections 2.6.1 and 5.1.6.5.5).

use crate::{affinity, nic::Nic};
use core::{
    ops::Range,
    sync::atomic::{AtomicUsize, Ordering},
};
use kernel::{
    prelude::*,
    time::{delay::fsleep, Delta},
};
use knet::net::{Extack, OpsLocked, PausedPair, Resize, RingSizes, Rtnl};
use virtio_net_wire::Features;

/// The smallest ring that users can ask for: the longest packet fits, in fragments to be
/// sent, and in buffers of a page that it is received in.
const LEAST: usize = 32;
/// How often the device is asked, once a millisecond, whether it has sent all, before
/// the rest is dropped.
pub(crate) const PATIENCE: usize = 100;

/// Descriptors of the rings: all of a kind have the same.
pub(crate) struct Rings {
    rx: AtomicUsize,
    tx: AtomicUsize,
    rx_max: usize,
    tx_max: usize,
}

impl Rings {
    /// Sizes now, and the most that the device allows.
    pub(crate) fn new((rx, rx_max): (usize, usize), (tx, tx_max): (usize, usize)) -> Self {
        Self {
            rx: AtomicUsize::new(rx),
            tx: AtomicUsize::new(tx),
            rx_max,
            tx_max,
        }
    }

    pub(crate) fn get(&self) -> RingSizes {
        RingSizes {
            rx: self.rx.load(Ordering::Relaxed),
            tx: self.tx.load(Ordering::Relaxed),
            rx_max: self.rx_max,
            tx_max: self.tx_max,
        }
    }
}

/// What a queue pair is to have.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Sizes {
    rx: usize,
    tx: usize,
}

impl Resize for Nic {
    fn set_ring_sizes(
        &self,
        rx: usize,
        tx: usize,
        lock: &mut OpsLocked<'_, Self>,
        extack: &mut Extack<'_>,
    ) -> Result {
        let now = self.rings.get();
        let (old, new) = (
            Sizes {
                rx: now.rx,
                tx: now.tx,
            },
            Sizes { rx, tx },
        );
        self.check(old, new, extack)?;
        for pair in 0..self.netdev.queues().rx_len() {
            let Err(error) = self.resize_pair(pair, new, lock) else {
                continue;
            };
            // A queue that cannot go back is broken, or has its new size: it works.
            for pair in 0..=pair {
                let _ = self.resize_pair(pair, old, lock);
            }
            extack.set(c"a ring could not be made; see the kernel's log");
            dev_err!(
                self.device.as_ref(),
                "rings of queue pair {} cannot have {} and {} descriptors: {:?}\n",
                pair,
                rx,
                tx,
                error
            );
            return Err(error);
        }
        self.rings.rx.store(rx, Ordering::Relaxed);
        self.rings.tx.store(tx, Ordering::Relaxed);
        Ok(())
    }

    fn set_channels(
        &self,
        pairs: usize,
        rtnl: &Rtnl<'_>,
        lock: &mut OpsLocked<'_, Self>,
    ) -> Result {
        let now = self.pairs();
        let result = match pairs {
            _ if pairs > now => self.add_pairs(now, pairs, rtnl, lock),
            _ if pairs < now => self.remove_pairs(now, pairs, rtnl, lock),
            _ => return Ok(()),
        };
        // After an error too: the stack has forgotten whom queues were for that it was to lose.
        affinity::spread(self);
        result
    }

    fn recover_tx(&self, index: usize, lock: &mut OpsLocked<'_, Self>) {
        let Ok(mut paused) = self.netdev.queues().pause_pair(index, lock) else {
            return;
        };
        reclaim(&mut paused);
        let tx = paused.tx();
        if tx.is_empty() {
            // Nothing was lost but an interrupt.
            return;
        }
        if !self.negotiated.contains(Features::RING_RESET) {
            // All that is left: the device may have missed it.
            tx.notify_again();
            return;
        }
        if self.reset_tx(&mut paused, index) {
            dev_info!(self.device.as_ref(), "transmit queue {} was reset\n", index);
        }
    }
}

/// Frees what the device has sent.
fn reclaim(paused: &mut PausedPair<'_, '_, Nic>) {
    let (packets, bytes) = paused.tx().take_sent();
    if packets != 0 {
        paused.completed(packets, bytes);
    }
}

/// Waits until the device has sent what is in the ring of a pair, or does not move; at most
/// `patience` milliseconds, which are taken off.
pub(crate) fn wait_until_sent(paused: &mut PausedPair<'_, '_, Nic>, patience: &mut usize) {
    paused.tx().kick();
    loop {
        reclaim(paused);
        if paused.tx().is_empty() || *patience == 0 {
            return;
        }
        *patience = patience.wrapping_sub(1);
        fsleep(Delta::from_millis(1));
    }
}

impl Nic {
    /// Waits until the device has sent the frames of programs that it was given, and takes those
    /// back that it does not send.
    pub(crate) fn wait_for_frames(&self, lock: &mut OpsLocked<'_, Self>) {
        let queues = self.netdev.queues();
        for pair in 0..queues.tx_len() {
            // Most queues have none.
            if queues.with_tx(pair, |tx, queue| tx.has_frames(queue)) != Ok(true) {
                continue;
            }
            let Ok(mut paused) = queues.pause_pair(pair, lock) else {
                continue;
            };
            wait_until_sent(&mut paused, &mut { PATIENCE });
            if paused.tx().is_empty() {
                continue;
            }
            self.reset_tx(&mut paused, pair);
        }
    }

    /// Whether rings can have other sizes, before anything is touched.
    fn check(&self, old: Sizes, new: Sizes, extack: &mut Extack<'_>) -> Result {
        if old == new {
            return Ok(());
        }
        if !self.negotiated.contains(Features::RING_RESET) {
            extack.set(c"the device cannot reset single queues");
            return Err(EOPNOTSUPP);
        }
        for (old, new) in [(old.rx, new.rx), (old.tx, new.tx)] {
            if old == new {
                continue;
            }
            if new < LEAST {
                extack.set(c"a ring has 32 descriptors at least");
                return Err(EINVAL);
            }
            if !self.negotiated.contains(Features::RING_PACKED) && !new.is_power_of_two() {
                extack.set(c"the size of a split ring is a power of two");
                return Err(EINVAL);
            }
        }
        Ok(())
    }

    /// Gives the rings of a pair their sizes; those that have them are not touched. What
    /// is to be sent is, if the device moves.
    fn resize_pair(&self, pair: usize, sizes: Sizes, lock: &mut OpsLocked<'_, Self>) -> Result {
        let mut paused = self.netdev.queues().pause_pair(pair, lock)?;
        let was_running = paused.was_running();
        let result = if paused.tx().sizes().0 != sizes.tx {
            wait_until_sent(&mut paused, &mut { PATIENCE });
            let result = paused.tx().resize(sizes.tx);
            if paused.tx().is_empty() {
                paused.emptied();
            }
            result
        } else {
            Ok(())
        };
        let (rx, pages) = paused.rx();
        let result = result.and_then(|()| rx.resize(sizes.rx));
        if was_running {
            rx.fill(pages, self.receiver.get());
        }
        self.coalesce_again(pair);
        result
    }

    /// Gives the rings of a device that was away the sizes that they had, and each queue its
    /// coalescing.
    pub(crate) fn resize_again(&self, lock: &mut OpsLocked<'_, Self>) {
        let RingSizes { rx, tx, .. } = self.rings.get();
        for pair in 0..self.netdev.queues().rx_len() {
            if let Err(error) = self.resize_pair(pair, Sizes { rx, tx }, lock) {
                dev_warn!(
                    self.device.as_ref(),
                    "rings of queue pair {} have another size now: {:?}\n",
                    pair,
                    error
                );
            }
        }
    }

    /// Uses more queue pairs.
    fn add_pairs(
        &self,
        now: usize,
        pairs: usize,
        rtnl: &Rtnl<'_>,
        lock: &mut OpsLocked<'_, Self>,
    ) -> Result {
        // They are ready before the device or the stack hears of them, and the stack knows of
        // those that receive before the device.
        if self.netdev.is_running() {
            self.run(now..pairs, lock)?;
        }
        let result = self
            .netdev
            .use_rx_queues(pairs, rtnl, lock)
            .and_then(|()| self.use_queue_pairs(pairs))
            .and_then(|()| self.netdev.use_tx_queues(pairs, rtnl, lock));
        match result {
            Ok(()) => self.pairs.store(pairs, Ordering::Relaxed),
            Err(_) => {
                // The device may have taken a part of it.
                let _ = self.use_queue_pairs(now);
                self.pause(now..pairs, lock);
                let _ = self.netdev.use_rx_queues(now, rtnl, lock);
            }
        }
        result
    }

    /// Uses fewer queue pairs. What those that are left had to send or to give to the
    /// stack gets there first.
    fn remove_pairs(
        &self,
        now: usize,
        pairs: usize,
        rtnl: &Rtnl<'_>,
        lock: &mut OpsLocked<'_, Self>,
    ) -> Result {
        self.netdev.use_tx_queues(pairs, rtnl, lock)?;
        for pair in pairs..now {
            if let Ok(mut paused) = self.netdev.queues().pause_pair(pair, lock) {
                wait_until_sent(&mut paused, &mut { PATIENCE });
            }
        }
        if let Err(error) = self.use_queue_pairs(pairs) {
            // The device may have taken a part of it.
            let _ = self.use_queue_pairs(now);
            let _ = self.netdev.use_tx_queues(now, rtnl, lock);
            return Err(error);
        }
        self.pairs.store(pairs, Ordering::Relaxed);
        if self.netdev.is_running() {
            self.drain(pairs..now, lock);
        }
        // Nothing comes from them any more. Fewer cannot fail.
        let _ = self.netdev.use_rx_queues(pairs, rtnl, lock);
        if self.netdev.is_running() {
            self.take_back(pairs..now, rtnl, lock);
        }
        Ok(())
    }

    /// Pauses queue pairs that the device uses no more; what they have received gets to the stack.
    fn drain(&self, pairs: Range<usize>, lock: &mut OpsLocked<'_, Self>) {
        for pair in pairs {
            for _ in 0..PATIENCE {
                self.pause(pair..pair.wrapping_add(1), lock);
                let rest = self
                    .netdev
                    .queues()
                    .with_paused_rx(pair, lock, |rx, _| rx.has_used());
                if rest != Ok(true) {
                    break;
                }
                self.netdev.queues().resume(pair, lock);
                fsleep(Delta::from_millis(1));
            }
            self.pause(pair..pair.wrapping_add(1), lock);
        }
    }

    /// Takes back what the device has not sent of queues that are not used any more. It may never
    /// do that now, and nobody would hear of it.
    fn take_back(&self, pairs: Range<usize>, rtnl: &Rtnl<'_>, lock: &mut OpsLocked<'_, Self>) {
        let queues = self.netdev.queues();
        for pair in pairs {
            let Ok(mut paused) = queues.pause_pair(pair, lock) else {
                continue;
            };
            reclaim(&mut paused);
            if !paused.tx().is_empty() {
                if !self.negotiated.contains(Features::RING_RESET) {
                    drop(paused);
                    // An error was told, and leaves nothing in the rings either.
                    let _ = self.restart(None, rtnl, lock);
                    return;
                }
                self.reset_tx(&mut paused, pair);
            }
            drop(paused);
            let _ = queues.with_tx(pair, |tx, queue| {
                if queue.is_stopped() && tx.is_empty() {
                    queue.wake();
                }
            });
        }
    }

    /// Takes back what is in a transmit ring.
    fn reset_tx(&self, paused: &mut PausedPair<'_, '_, Self>, index: usize) -> bool {
        let result = paused.tx().reset();
        match result {
            Ok(()) => {
                paused.emptied();
                self.coalesce_again(index);
            }
            Err(error) => dev_err!(
                self.device.as_ref(),
                "transmit queue {} cannot be reset: {:?}\n",
                index,
                error
            ),
        }
        result.is_ok()
    }
}
