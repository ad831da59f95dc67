// SPDX-License-Identifier: GPL-2.0

//! Interrupt coalescing (section 5.1.6.5.9).
//!
//! Without the device's help, "0 frames" on transmit queues still has a meaning: their
//! packets are not reclaimed by NAPI (see [`crate::tx`]).

use crate::{control::Control, nic::Nic, tx};
use kernel::{new_mutex, prelude::*, sync::Mutex};
use knet::net::{Coalescing, Direction, Extack, Moderation, Moderations, OpsLocked, TxQueue};
use virtio_net_wire::{
    ctrl::{Coalesce, SetQueueCoalesce, SetRxCoalesce, SetTxCoalesce},
    Features,
};

/// What the device was told last.
struct Told {
    all: Moderations,
    /// By queue pair.
    each: KVec<Moderations>,
    /// Whether transmit queues are reclaimed by NAPI; the device does not know.
    tx_napi: KVec<bool>,
}

/// What a device that coalesces notifications was told.
pub(crate) struct Notifications(Pin<KBox<Mutex<Told>>>);

impl Notifications {
    pub(crate) fn new(pairs: usize) -> Result<Self> {
        // As the device begins.
        let mut all = Moderations::default();
        all.tx.frames = u32::from(knet::params::napi_tx());
        let each = KVec::from_elem(all, pairs, GFP_KERNEL)?;
        let tx_napi = KVec::from_elem(knet::params::napi_tx(), pairs, GFP_KERNEL)?;
        let told = Told { all, each, tx_napi };
        Ok(Self(KBox::pin_init(
            new_mutex!(told, "coalescing"),
            GFP_KERNEL,
        )?))
    }

    /// Whether transmit queue `pair` is, or is to be, reclaimed by NAPI.
    pub(crate) fn tx_napi(&self, pair: usize) -> bool {
        self.0.lock().tx_napi.get(pair).copied().unwrap_or(true)
    }
}

/// What `one` queue has when that of all goes from `before` to `wanted`: it may be adaptive where
/// the others are not, until they all become so, or are no more.
fn follow(one: &mut Moderation, before: Moderation, wanted: Moderation) {
    let was_adaptive = one.adaptive;
    if !wanted.adaptive {
        *one = wanted;
    }
    one.adaptive = if wanted.adaptive == before.adaptive {
        was_adaptive
    } else {
        wanted.adaptive
    };
}

fn wire(moderation: Moderation) -> Coalesce {
    Coalesce {
        packets: moderation.frames,
        usecs: moderation.usecs,
    }
}

/// What can be had where the device does not coalesce.
fn check_without_device(wanted: &Moderations, extack: &mut Extack<'_>) -> Result {
    let adaptive = wanted.rx.adaptive || wanted.tx.adaptive;
    if adaptive || wanted.rx.usecs != 0 || wanted.tx.usecs != 0 {
        Err(extack.because(EOPNOTSUPP, c"the device does not coalesce interrupts"))
    } else if wanted.tx.frames > 1 || wanted.rx.frames != 1 {
        let why = c"without the device, rx-frames is 1, and tx-frames 1 with NAPI or 0 without";
        Err(extack.because(EINVAL, why))
    } else {
        Ok(())
    }
}

impl Nic {
    /// The control queue, if commands of `feature` can be sent.
    fn coalescing_by(&self, feature: Features) -> Option<&Control> {
        self.control
            .as_ref()
            .filter(|_| self.negotiated.contains(feature))
    }

    /// What is adaptive goes on from where it is, queue by queue.
    fn check_adaptive(
        &self,
        told: &Moderations,
        wanted: &Moderations,
        extack: &mut Extack<'_>,
    ) -> Result {
        for (told, wanted) in [(told.rx, wanted.rx), (told.tx, wanted.tx)] {
            if wanted.adaptive && !self.negotiated.contains(Features::VQ_NOTF_COAL) {
                let why = c"the device does not coalesce queue by queue";
                return Err(extack.because(EOPNOTSUPP, why));
            }
            if wanted.adaptive && wire(wanted) != wire(told) {
                let why = c"what is adaptive is the kernel's to choose";
                return Err(extack.because(EINVAL, why));
            }
        }
        Ok(())
    }

    fn tell_all(&self, control: &Control, wanted: &Moderations, extack: &mut Extack<'_>) -> Result {
        let mut told = self.notifications.0.lock();
        let Told { all, each, .. } = &mut *told;
        self.check_adaptive(all, wanted, extack)?;
        if !wanted.tx.adaptive {
            control.send(&self.device, &SetTxCoalesce(wire(wanted.tx)))?;
        }
        let before = core::mem::replace(&mut all.tx, wanted.tx);
        (each.iter_mut()).for_each(|each| follow(&mut each.tx, before, wanted.tx));
        if !wanted.rx.adaptive {
            control.send(&self.device, &SetRxCoalesce(wire(wanted.rx)))?;
        }
        let before = core::mem::replace(&mut all.rx, wanted.rx);
        (each.iter_mut()).for_each(|each| follow(&mut each.rx, before, wanted.rx));
        Ok(())
    }

    fn tell_pair(
        &self,
        control: &Control,
        pair: usize,
        wanted: &Moderations,
        extack: &mut Extack<'_>,
    ) -> Result {
        let mut told = self.notifications.0.lock();
        let told = told.each.get_mut(pair).ok_or(EINVAL)?;
        self.check_adaptive(told, wanted, extack)?;
        if !wanted.rx.adaptive {
            self.tell_queue(control, Direction::Rx, pair, wire(wanted.rx))?;
        }
        told.rx = wanted.rx;
        if !wanted.tx.adaptive {
            self.tell_queue(control, Direction::Tx, pair, wire(wanted.tx))?;
        }
        told.tx = wanted.tx;
        Ok(())
    }

    fn tell_queue(
        &self,
        control: &Control,
        direction: Direction,
        pair: usize,
        coalesce: Coalesce,
    ) -> Result {
        let input = pair.wrapping_mul(2);
        let virtqueue = match direction {
            Direction::Rx => input,
            Direction::Tx => input.wrapping_add(1),
        };
        let command = SetQueueCoalesce {
            virtqueue: virtqueue.try_into()?,
            coalesce,
        };
        control.send(&self.device, &command)
    }

    /// Tells the device once more of a queue pair of which a ring was reset, and what it
    /// was told with it.
    pub(crate) fn coalesce_again(&self, pair: usize) {
        let Some(control) = self.coalescing_by(Features::VQ_NOTF_COAL) else {
            return;
        };
        let Some(told) = self.notifications.0.lock().each.get(pair).copied() else {
            return;
        };
        let result = self
            .tell_queue(control, Direction::Rx, pair, wire(told.rx))
            .and_then(|()| self.tell_queue(control, Direction::Tx, pair, wire(told.tx)));
        if result.is_err() {
            dev_warn!(
                self.device.as_ref(),
                "the device refuses to coalesce interrupts of queue pair {}\n",
                pair
            );
        }
    }

    /// Tells a device that has forgotten it what it was told of all queues.
    pub(crate) fn coalesce_all_again(&self) -> Result {
        if let Some(control) = self.coalescing_by(Features::NOTF_COAL) {
            let told = self.notifications.0.lock();
            control.send(&self.device, &SetTxCoalesce(wire(told.all.tx)))?;
            control.send(&self.device, &SetRxCoalesce(wire(told.all.rx)))?;
        }
        Ok(())
    }

    /// Whether transmit queue `pair` is reclaimed by NAPI.
    fn has_tx_napi(&self, pair: usize) -> Result<bool> {
        self.netdev.queues().with_tx(pair, |tx, _| tx.has_napi())
    }
}

impl Coalescing for Nic {
    fn coalescing(&self, queue: Option<usize>) -> Result<Moderations> {
        let napi = self.has_tx_napi(queue.unwrap_or(0))?;
        let told = self.notifications.0.lock();
        match queue {
            None if self.negotiated.contains(Features::NOTF_COAL) => {
                return Ok(told.all);
            }
            Some(pair) if self.negotiated.contains(Features::VQ_NOTF_COAL) => {
                return told.each.get(pair).copied().ok_or(EINVAL);
            }
            _ => {}
        }
        let mut without = Moderations::default();
        without.rx.frames = 1;
        without.tx.frames = u32::from(napi);
        Ok(without)
    }

    fn set_coalescing(
        &self,
        queue: Option<usize>,
        wanted: Moderations,
        lock: &mut OpsLocked<'_, Self>,
        extack: &mut Extack<'_>,
    ) -> Result {
        let pairs = match queue {
            Some(pair) => pair..pair.saturating_add(1),
            None => 0..self.netdev.queues().tx_len(),
        };
        let napi = wanted.tx.frames != 0;
        let mut changes = false;
        for pair in pairs.clone() {
            changes |= self.has_tx_napi(pair)? != napi;
        }
        if changes && self.netdev.is_running() {
            let why = c"tx-frames can become 0, or not be 0 any more, while the interface is down";
            return Err(extack.because(EBUSY, why));
        }
        for pair in pairs.clone().filter(|_| changes) {
            let ready = |tx: &mut tx::Queue, queue: &TxQueue| tx.can_set_napi(queue);
            if !self.netdev.queues().with_tx(pair, ready)? {
                let why = c"tx-frames 0 is not for a queue that a process has, or that has packets";
                return Err(extack.because(EBUSY, why));
            }
        }
        let result = match queue {
            None => match self.coalescing_by(Features::NOTF_COAL) {
                Some(control) => self.tell_all(control, &wanted, extack),
                None => check_without_device(&wanted, extack),
            },
            Some(pair) => match self.coalescing_by(Features::VQ_NOTF_COAL) {
                Some(control) => self.tell_pair(control, pair, &wanted, extack),
                None => check_without_device(&wanted, extack),
            },
        };
        // Also what was taken before a refusal.
        for pair in pairs.clone() {
            let Some(now) = self.notifications.0.lock().each.get(pair).copied() else {
                continue;
            };
            let queues = self.netdev.queues();
            queues.set_adaptive(Direction::Rx, pair, now.rx.adaptive, lock);
            queues.set_adaptive(Direction::Tx, pair, now.tx.adaptive, lock);
        }
        result?;
        if changes {
            let set = |tx: &mut tx::Queue, queue: &TxQueue| tx.set_napi(napi, queue);
            for pair in pairs {
                self.netdev.queues().with_tx(pair, set)??;
                if let Some(kept) = self.notifications.0.lock().tx_napi.get_mut(pair) {
                    *kept = napi;
                }
            }
            let napi = self.notifications.0.lock().tx_napi.iter().all(|napi| *napi);
            let is_possible = napi && self.zero_copy;
            self.netdev.tell_zero_copy(is_possible, lock);
        }
        Ok(())
    }

    fn moderate(
        &self,
        direction: Direction,
        index: usize,
        proposed: Moderation,
        lock: &mut OpsLocked<'_, Self>,
    ) {
        let Some(control) = self.coalescing_by(Features::VQ_NOTF_COAL) else {
            return;
        };
        let mut told = self.notifications.0.lock();
        let Some(each) = told.each.get_mut(index) else {
            return;
        };
        let one = match direction {
            Direction::Rx => &mut each.rx,
            Direction::Tx => &mut each.tx,
        };
        if wire(proposed) == wire(*one) {
            return;
        }
        match self.tell_queue(control, direction, index, wire(proposed)) {
            Ok(()) => *one = proposed,
            Err(error) => {
                one.adaptive = false;
                let Told { all, each, .. } = &mut *told;
                all.rx.adaptive &= each.iter().any(|each| each.rx.adaptive);
                all.tx.adaptive &= each.iter().any(|each| each.tx.adaptive);
                self.netdev
                    .queues()
                    .set_adaptive(direction, index, false, lock);
                dev_warn!(
                    self.device.as_ref(),
                    "coalescing of queue pair {} is adaptive no more: {:?}\n",
                    index,
                    error
                );
            }
        }
    }
}
