// SPDX-License-Identifier: GPL-2.0

//! Processors.

use crate::bindings;
use kernel::cpu::{nr_cpu_ids, CpuId};

/// How many are online now (`num_online_cpus`).
pub fn online() -> usize {
    // SAFETY: No preconditions.
    unsafe { bindings::num_online_cpus() as usize }
}

/// Those that are online, in ascending order. One that comes or goes meanwhile may be
/// in or not.
pub fn online_ids() -> impl Iterator<Item = CpuId> + Clone {
    (0..nr_cpu_ids()).filter_map(CpuId::from_u32).filter(|cpu| {
        // SAFETY: The mask lives for ever, and has a bit for each possible processor.
        unsafe {
            bindings::cpumask_test_cpu(
                cpu.as_u32() as i32,
                (&raw const bindings::__cpu_online_mask).cast_mut(),
            )
        }
    })
}
