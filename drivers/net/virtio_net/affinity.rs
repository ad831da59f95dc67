// SPDX-License-Identifier: GPL-2.0

//! Which processors serve which queue pair.

use crate::nic::Nic;
use core::sync::atomic::Ordering;
use kernel::{cpumask::CpumaskVar, prelude::*};
use knet::cpu::{self, Online, Watcher};

/// Deals the online processors out to the queue pairs in use. Without, everything works, if
/// slower.
pub(crate) fn spread(nic: &Nic) {
    if cpu::with_online(|online| deal(nic, online)).is_err() {
        dev_warn!(
            nic.device.as_ref(),
            "no memory to spread the queues over processors\n"
        );
    }
}

impl Watcher for Nic {
    fn processors_changed(&self, online: &Online<'_>) {
        // Without memory it stays as it was: one that goes is replaced by the kernel.
        let _ = deal(self, online);
    }
}

/// Each pair gets a run of processors, as equal as can be: interrupts go there, and
/// packets from there go to the pair. With more pairs than processors the processors are
/// dealt out again.
fn deal(nic: &Nic, online: &Online<'_>) -> Result {
    let pairs = nic.pairs.load(Ordering::Relaxed);
    let count = online.ids().count();
    if pairs == 0 || count == 0 {
        return Ok(());
    }
    let (share, more) = if count >= pairs {
        (count / pairs, count % pairs)
    } else {
        (1, 0)
    };
    let mut processors = online.ids().cycle();
    for pair in 0..pairs {
        let mut set = CpumaskVar::new_zero(GFP_KERNEL)?;
        let run = share.wrapping_add(usize::from(pair < more));
        for processor in processors.by_ref().take(run) {
            set.set(processor);
        }
        let input = pair.wrapping_mul(2);
        nic.affinity.set(input, &set);
        nic.affinity.set(input.wrapping_add(1), &set);
        nic.netdev.prefer_tx_queue(pair, &set, online)?;
    }
    Ok(())
}
