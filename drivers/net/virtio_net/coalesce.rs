// SPDX-License-Identifier: GPL-2.0

//! Interrupt coalescing (section 5.1.6.5.9).
//!
//! Without the device's help, "0 frames" on transmit queues still has a meaning: their
//! packets are not reclaimed by NAPI (see [`crate::tx`]).

use crate::{control::Control, nic::Nic, tx};
use kernel::{new_mutex, prelude::*, sync::Mutex};
use knet::net::{Coalescing, Moderation, Moderations, OpsLocked, TxQueue};
use virtio_net_wire::{
    ctrl::{Coalesce, SetQueueCoalesce, SetRxCoalesce, SetTxCoalesce},
    Features,
};

/// What the device was told last.
struct Told {
    all: Moderations,
    /// By queue pair.
    each: KVec<Moderations>,
}

/// What a device that coalesces notifications was told.
pub(crate) struct Notifications(Pin<KBox<Mutex<Told>>>);

impl Notifications {
    pub(crate) fn new(pairs: usize) -> Result<Self> {
        // As the device begins.
        let mut all = Moderations::default();
        all.tx.frames = u32::from(knet::params::napi_tx());
        let each = KVec::from_elem(all, pairs, GFP_KERNEL)?;
        let told = new_mutex!(Told { all, each }, "coalescing");
        Ok(Self(KBox::pin_init(told, GFP_KERNEL)?))
    }
}

fn wire(moderation: Moderation) -> Coalesce {
    Coalesce {
        packets: moderation.frames,
        usecs: moderation.usecs,
    }
}

/// What can be had where the device does not coalesce.
fn check_without_device(wanted: &Moderations) -> Result {
    if wanted.rx.usecs != 0 || wanted.tx.usecs != 0 {
        Err(EOPNOTSUPP)
    } else if wanted.tx.frames > 1 || wanted.rx.frames != 1 {
        Err(EINVAL)
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

    fn tell_all(&self, control: &Control, wanted: &Moderations) -> Result {
        let mut told = self.notifications.0.lock();
        control.send(&self.device, &SetTxCoalesce(wire(wanted.tx)))?;
        told.all.tx = wanted.tx;
        for each in &mut told.each {
            each.tx = wanted.tx;
        }
        control.send(&self.device, &SetRxCoalesce(wire(wanted.rx)))?;
        told.all.rx = wanted.rx;
        for each in &mut told.each {
            each.rx = wanted.rx;
        }
        Ok(())
    }

    fn tell_pair(&self, control: &Control, pair: usize, wanted: &Moderations) -> Result {
        let mut told = self.notifications.0.lock();
        let told = told.each.get_mut(pair).ok_or(EINVAL)?;
        let command = |virtqueue: usize, moderation| -> Result<SetQueueCoalesce> {
            Ok(SetQueueCoalesce {
                virtqueue: virtqueue.try_into()?,
                coalesce: wire(moderation),
            })
        };
        let input = pair.wrapping_mul(2);
        control.send(&self.device, &command(input, wanted.rx)?)?;
        told.rx = wanted.rx;
        control.send(&self.device, &command(input.wrapping_add(1), wanted.tx)?)?;
        told.tx = wanted.tx;
        Ok(())
    }

    /// Tells the device once more of a queue pair of which a ring was reset, and what it
    /// was told with it.
    pub(crate) fn coalesce_again(&self, pair: usize) {
        let Some(control) = self.coalescing_by(Features::VQ_NOTF_COAL) else {
            return;
        };
        let told = self.notifications.0.lock().each.get(pair).copied();
        if told.is_some_and(|told| self.tell_pair(control, pair, &told).is_err()) {
            dev_warn!(
                self.device.as_ref(),
                "the device refuses to coalesce interrupts of queue pair {}\n",
                pair
            );
        }
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
            None if self.negotiated.contains(Features::NOTF_COAL) => return Ok(told.all),
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
        _lock: &mut OpsLocked<'_, Self>,
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
            return Err(EBUSY);
        }
        match queue {
            None => match self.coalescing_by(Features::NOTF_COAL) {
                Some(control) => self.tell_all(control, &wanted)?,
                None => check_without_device(&wanted)?,
            },
            Some(pair) => match self.coalescing_by(Features::VQ_NOTF_COAL) {
                Some(control) => self.tell_pair(control, pair, &wanted)?,
                None => check_without_device(&wanted)?,
            },
        }
        if changes {
            let set = |tx: &mut tx::Queue, queue: &TxQueue| tx.set_napi(napi, queue);
            for pair in pairs {
                self.netdev.queues().with_tx(pair, set)??;
            }
        }
        Ok(())
    }
}
