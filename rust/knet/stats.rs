// SPDX-License-Identifier: GPL-2.0

//! Counters with one writer at a time and any number of readers.

use core::cell::UnsafeCell;

/// A 64-bit event counter.
///
/// Its writers must be serialised by what serialises the queue that it counts for
/// (NAPI or the transmit lock): two that race lose counts, and nothing else.
/// Readers see whole values.
#[derive(Default)]
#[repr(transparent)]
pub struct Counter(UnsafeCell<u64>);

// SAFETY: All accesses are volatile and of machine-word size, as the kernel's
// memory model asks of concurrent plain counters (`READ_ONCE`, `WRITE_ONCE`).
unsafe impl Sync for Counter {}

impl Counter {
    /// A counter at zero.
    pub const fn new() -> Self {
        Self(UnsafeCell::new(0))
    }

    /// Adds `n`; wraps after 2^64.
    #[inline]
    pub fn add(&self, n: u64) {
        let p = self.0.get();
        // SAFETY: `p` is valid and aligned; see `Sync` for races.
        unsafe { p.write_volatile(p.read_volatile().wrapping_add(n)) }
    }

    /// Makes it `n`. Only its one writer may.
    #[inline]
    pub fn set(&self, n: u64) {
        // SAFETY: As in `add`.
        unsafe { self.0.get().write_volatile(n) };
    }

    /// The count so far.
    #[inline]
    pub fn get(&self) -> u64 {
        // SAFETY: As in `add`.
        unsafe { self.0.get().read_volatile() }
    }
}
