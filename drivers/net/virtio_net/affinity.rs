// SPDX-License-Identifier: GPL-2.0

//! Which processors serve which queue pair.

use crate::nic::Nic;
use core::sync::atomic::Ordering;
use kernel::{cpumask::CpumaskVar, prelude::*};
use knet::cpu;

/// Deals the online processors out to the queue pairs in use, in runs as equal as can
/// be: interrupts go there, and packets from there go to the pair. With more pairs than
/// processors the processors are dealt out again.
///
/// # Errors
///
/// `ENOMEM`. Without affinity everything works, if slower.
pub(crate) fn spread(nic: &Nic) -> Result {
    let pairs = nic.pairs.load(Ordering::Relaxed);
    let online = cpu::online_ids().count();
    if pairs == 0 || online == 0 {
        return Ok(());
    }
    let (share, more) = if online >= pairs {
        (online / pairs, online % pairs)
    } else {
        (1, 0)
    };
    let mut processors = cpu::online_ids().cycle();
    for pair in 0..pairs {
        let mut set = CpumaskVar::new_zero(GFP_KERNEL)?;
        let run = share.wrapping_add(usize::from(pair < more));
        for processor in processors.by_ref().take(run) {
            set.set(processor);
        }
        let input = pair.wrapping_mul(2);
        nic.affinity.set(input, &set);
        nic.affinity.set(input.wrapping_add(1), &set);
        nic.netdev.prefer_tx_queue(pair, &set)?;
    }
    Ok(())
}
