// SPDX-License-Identifier: GPL-2.0

//! Processors.

use crate::bindings;
use core::marker::PhantomData;
use kernel::cpu::{nr_cpu_ids, CpuId};

mod hotplug;

pub use hotplug::Watcher;
pub(crate) use hotplug::{State, Watch};

/// How many are online now (`num_online_cpus`).
pub fn online() -> usize {
    // SAFETY: No preconditions.
    unsafe { bindings::num_online_cpus() as usize }
}

fn is_online(cpu: CpuId) -> bool {
    // SAFETY: The mask lives for ever, and has a bit for each possible processor.
    unsafe {
        bindings::cpumask_test_cpu(
            cpu.as_u32() as i32,
            (&raw const bindings::__cpu_online_mask).cast_mut(),
        )
    }
}

/// Evidence that no processor comes or goes.
pub struct Online<'a> {
    /// One that is still online, and about to go.
    leaving: Option<u32>,
    _lock: PhantomData<(&'a (), *mut ())>,
}

impl Online<'_> {
    /// # Safety
    ///
    /// The hotplug lock is held while the value lives.
    unsafe fn new(leaving: Option<u32>) -> Self {
        Self {
            leaving,
            _lock: PhantomData,
        }
    }

    /// Those that are online and stay, in ascending order.
    pub fn ids(&self) -> impl Iterator<Item = CpuId> + Clone {
        let leaving = self.leaving;
        (0..nr_cpu_ids())
            .filter_map(CpuId::from_u32)
            .filter(move |cpu| leaving != Some(cpu.as_u32()) && is_online(*cpu))
    }
}

/// Calls `f` while no processor comes or goes (`cpus_read_lock`). Process context, and
/// not from a [`Watcher`].
pub fn with_online<R>(f: impl FnOnce(&Online<'_>) -> R) -> R {
    // SAFETY: No preconditions; process context.
    unsafe { bindings::cpus_read_lock() };
    // SAFETY: The lock is held until `f` has returned.
    let result = f(unsafe { &Online::new(None) });
    // SAFETY: The lock is held.
    unsafe { bindings::cpus_read_unlock() };
    result
}
