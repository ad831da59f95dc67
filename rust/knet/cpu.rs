// SPDX-License-Identifier: GPL-2.0

//! Processors.

use crate::bindings;

/// How many are online now (`num_online_cpus`).
pub fn online() -> usize {
    // SAFETY: No preconditions.
    unsafe { bindings::num_online_cpus() as usize }
}
