// SPDX-License-Identifier: GPL-2.0

//! A queue of the device: a ring while the driver has it enabled, the lies that
//! are told about it, and when its interrupts are due.

use super::{open, Chain, Layout, Ring, RingError, Used};
use crate::hostile::{Hostile, Lie};
use crate::memory::Memory;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The longest that an interrupt is held back, whatever the driver asked for.
pub const MAX_DELAY: Duration = Duration::from_secs(1);

/// When interrupts are merged (`VIRTIO_NET_F_NOTF_COAL`). Zeros: never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coalescing {
    /// The longest delay, in microseconds.
    pub max_usecs: u32,
    /// The most packets that wait for one interrupt.
    pub max_packets: u32,
}

/// One virtqueue of a device.
#[derive(Default)]
pub struct Queue {
    ring: Option<Box<dyn Ring>>,
    layout: Layout,
    /// Popped from the ring, not enough for what they were wanted for.
    stash: VecDeque<Chain>,
    /// What is wrong with the ring: it is not touched again before its reset.
    error: Option<RingError>,
    /// [`Lie::RxStop`] or [`Lie::TxStop`] was told.
    pub stopped: bool,
    /// The driver rang, or there is more than one turn's work.
    pub kicked: bool,
    /// How interrupts are merged.
    pub coalescing: Coalescing,
    /// Chains used since the last interrupt was considered.
    waiting: u32,
    /// When an interrupt is due at the latest, if something waits for one.
    due: Option<Instant>,
    last: Option<Used>,
    /// Its number.
    index: u16,
    /// Interrupts that were asked for.
    pub interrupts: u64,
}

impl Queue {
    /// A queue that is not enabled.
    pub fn new(index: u16) -> Self {
        Self {
            index,
            ..Self::default()
        }
    }

    /// Starts with the ring that the driver has made.
    ///
    /// # Errors
    ///
    /// [`RingError`] if there can be no such ring; the queue is then broken.
    pub fn start(&mut self, memory: &Memory, layout: Layout) -> Result<(), RingError> {
        self.stop();
        self.layout = layout;
        match open(memory, layout) {
            Ok(ring) => {
                self.ring = Some(ring);
                // What was made available before the queue was enabled has no
                // notification of its own.
                self.kicked = true;
                Ok(())
            }
            Err(error) => {
                self.error = Some(error);
                Err(error)
            }
        }
    }

    /// Forgets the ring. Coalescing stays: its life is the device's.
    pub fn stop(&mut self) {
        *self = Self {
            index: self.index,
            coalescing: self.coalescing,
            interrupts: self.interrupts,
            ..Self::default()
        };
    }

    /// Whether there is a ring that makes sense.
    pub fn is_running(&self) -> bool {
        self.ring.is_some() && self.error.is_none()
    }

    /// What is wrong with it.
    pub fn error(&self) -> Option<RingError> {
        self.error
    }

    /// What the ring was started with.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Next available and used position ([`Ring::position`]).
    pub fn position(&self) -> Option<(u16, u16)> {
        self.ring.as_ref().map(|ring| ring.position())
    }

    /// Goes on elsewhere ([`Ring::set_position`]), right after [`Queue::start`].
    pub fn set_position(&mut self, available: u16, used: u16) {
        if let Some(ring) = &mut self.ring {
            ring.set_position(available, used);
        }
    }

    fn with<T: Default>(
        &mut self,
        action: impl FnOnce(&mut dyn Ring) -> Result<T, RingError>,
    ) -> T {
        let (Some(ring), None) = (&mut self.ring, self.error) else {
            return T::default();
        };
        action(ring.as_mut()).unwrap_or_else(|error| {
            self.error = Some(error);
            T::default()
        })
    }

    /// The next chain; `None` also if the ring broke ([`Queue::error`]).
    pub fn pop(&mut self, memory: &Memory) -> Option<Chain> {
        if let Some(chain) = self.stash.pop_front() {
            return Some(chain);
        }
        self.with(|ring| ring.pop_chain(memory))
    }

    /// Keeps a chain, to be the next one popped again.
    pub fn put_back(&mut self, chain: Chain) {
        self.stash.push_front(chain);
    }

    /// Notes what is wrong with a chain: the queue is broken.
    pub fn fail(&mut self, error: RingError) {
        self.error.get_or_insert(error);
    }

    /// Chains that are popped and not used yet, and kept here.
    pub fn stashed(&self) -> usize {
        self.stash.len()
    }

    /// Whether the driver may be expected to notify of what comes next: asks it
    /// to, and looks once more. `true` if there is something already.
    pub fn listen(&mut self, memory: &Memory) -> bool {
        self.with(|ring| ring.enable_notifications(memory))
    }

    /// Tells the driver not to notify.
    pub fn ignore(&mut self, memory: &Memory) {
        self.with(|ring| ring.disable_notifications(memory));
    }

    /// Hands chains back, all at once, honestly or not.
    pub fn push(&mut self, memory: &Memory, hostile: &mut Hostile, used: &[Used], now: Instant) {
        let Some(last) = used.last() else {
            return;
        };
        if hostile.is_honest() {
            self.with(|ring| ring.push_used(memory, used));
        } else {
            let (size, index) = (self.layout.size, self.index);
            let mut last = self.last;
            let told: Vec<_> = used
                .iter()
                .map(|used| {
                    let before = last.replace(*used);
                    lie_about(*used, size, before, index, hostile)
                })
                .collect();
            self.with(|ring| ring.push_used(memory, &told));
            if hostile.tells_about(index, Lie::UsedIndexJump) {
                let by = 1 + hostile.random().below(u64::from(size / 2)) as u16;
                self.with(|ring| ring.jump_used(memory, by));
            }
            if hostile.tells_about(index, Lie::UsedIndexJumpFar) {
                let by = size.saturating_add(1 + hostile.random().below(1000) as u16);
                self.with(|ring| ring.jump_used(memory, by));
            }
        }
        self.last = Some(*last);
        self.waiting = self.waiting.saturating_add(used.len() as u32);
        let delay = Duration::from_micros(self.coalescing.max_usecs.into()).min(MAX_DELAY);
        let due = now + delay;
        self.due = Some(self.due.map_or(due, |earlier| earlier.min(due)));
    }

    /// When [`Queue::take_interrupt`] should be asked next.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Whether to interrupt the driver now. Asked after each turn and when it is
    /// [`Queue::due`].
    pub fn take_interrupt(&mut self, memory: &Memory, hostile: &mut Hostile, now: Instant) -> bool {
        let Some(due) = self.due else {
            return false;
        };
        let full = self.coalescing.max_packets != 0 && self.waiting >= self.coalescing.max_packets;
        if now < due && !full {
            return false;
        }
        self.due = None;
        self.waiting = 0;
        let wanted = self.with(|ring| ring.needs_interrupt(memory));
        if wanted && hostile.tells(Lie::InterruptLost) {
            return false;
        }
        self.interrupts += u64::from(wanted);
        wanted
    }
}

fn lie_about(
    honest: Used,
    size: u16,
    last: Option<Used>,
    queue: u16,
    hostile: &mut Hostile,
) -> Used {
    let mut used = honest;
    if hostile.tells_about(queue, Lie::UsedIdBeyond) {
        used.id = size.saturating_add(hostile.random().below(1 << 15) as u16);
    }
    if hostile.tells_about(queue, Lie::UsedIdOther) {
        used.id = hostile.random().below(u64::from(size)) as u16;
    }
    // A queue that has one buffer at a time has the same again, rightly.
    if let Some(last) = last.filter(|last| last.id != used.id) {
        if hostile.tells_about(queue, Lie::UsedIdRepeat) {
            used.id = last.id;
        }
    }
    if hostile.tells_about(queue, Lie::UsedLenHuge) {
        // No buffer has so many bytes, not even one for the largest packet.
        used.len = used
            .len
            .saturating_add(1 << (17 + hostile.random().below(13)));
    }
    if hostile.tells_about(queue, Lie::UsedLenShort) {
        used.len = hostile.random().below(12) as u32;
    }
    if hostile.tells_about(queue, Lie::UsedLenZero) {
        used.len = 0;
    }
    used
}
