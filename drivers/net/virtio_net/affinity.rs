// SPDX-License-Identifier: GPL-2.0

//! Which processors serve which queue pair.

use crate::nic::Nic;
use core::sync::atomic::Ordering;
use kernel::{
    cpumask::{Cpumask, CpumaskVar},
    prelude::*,
};
use knet::cpu::{self, Online, Watcher};

/// Deals the online processors out to the queue pairs in use.
pub(crate) fn spread(nic: &Nic) {
    warn(nic, cpu::with_online(|online| deal(nic, online)));
}

/// The same with interrupts, which a device that was away has anew. Whom the stack sends by is as
/// it was, or as users have it.
pub(crate) fn interrupts_again(nic: &Nic) {
    let result = cpu::with_online(|online| {
        for_each_pair(nic, online, |pair, set| {
            set_interrupts(nic, pair, set);
            Ok(())
        })
    });
    warn(nic, result);
}

/// Without, everything works, if slower.
fn warn(nic: &Nic, result: Result) {
    if result.is_err() {
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

/// Interrupts of a pair go to its processors, and packets from there go to the pair.
fn deal(nic: &Nic, online: &Online<'_>) -> Result {
    for_each_pair(nic, online, |pair, set| {
        set_interrupts(nic, pair, set);
        nic.netdev.prefer_tx_queue(pair, set, online)
    })
}

fn set_interrupts(nic: &Nic, pair: usize, set: &Cpumask) {
    let input = pair.wrapping_mul(2);
    nic.affinity.set(input, set);
    nic.affinity.set(input.wrapping_add(1), set);
}

/// Each pair gets a run of processors, as equal as can be. With more pairs than processors the
/// processors are dealt out again.
fn for_each_pair(
    nic: &Nic,
    online: &Online<'_>,
    mut use_set: impl FnMut(usize, &Cpumask) -> Result,
) -> Result {
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
        use_set(pair, &set)?;
    }
    Ok(())
}
