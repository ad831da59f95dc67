// SPDX-License-Identifier: GPL-2.0

//! XDP: which programs can be attached, and what that changes.
//!
//! Attaching pauses nothing: buffers that were posted without headroom are copied as they
//! come back, and those that follow have it.

use crate::{nic::Nic, rx};
use core::sync::atomic::{AtomicU8, Ordering};
use kernel::prelude::*;
use knet::net::{Extack, Features as NetFeatures, OpsLocked, ProgramInfo, Xdp};
use virtio_net_wire::Features;

/// Whom received frames are for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Receiver {
    /// The stack.
    Stack,
    /// A program that works on frames in one buffer.
    SingleBuffer,
    /// A program that works on frames over several buffers too.
    MultiBuffer,
}

impl Receiver {
    #[inline]
    pub(crate) fn of(program: Option<ProgramInfo>) -> Self {
        match program {
            None => Self::Stack,
            Some(program) if program.has_frags => Self::MultiBuffer,
            Some(_) => Self::SingleBuffer,
        }
    }
}

/// The [`Receiver`] of a device, as it was told last.
pub(crate) struct Current(AtomicU8);

impl Current {
    pub(crate) const fn stack() -> Self {
        Self(AtomicU8::new(Receiver::Stack as u8))
    }

    pub(crate) fn get(&self) -> Receiver {
        match self.0.load(Ordering::Relaxed) {
            1 => Receiver::SingleBuffer,
            2 => Receiver::MultiBuffer,
            _ => Receiver::Stack,
        }
    }

    fn set(&self, receiver: Receiver) {
        self.0.store(receiver as u8, Ordering::Relaxed);
    }
}

impl Xdp for Nic {
    fn check_program(&self, program: ProgramInfo, extack: &mut Extack<'_>) -> Result {
        if !program.has_frags && self.netdev.mtu() > rx::Queue::SINGLE_BUFFER_MTU {
            extack.set(c"the MTU is too large for a program without multi-buffer support");
            return Err(EINVAL);
        }
        Ok(())
    }

    fn program_changes(&self, program: Option<ProgramInfo>, _lock: &mut OpsLocked<'_, Self>) {
        self.receiver.set(Receiver::of(program));
    }
}

impl Nic {
    /// Features that go with the program that is attached: large frames are in several
    /// buffers.
    pub(crate) fn features_with_program(&self, wanted: NetFeatures) -> NetFeatures {
        let can_refuse_large = self.negotiated.contains(Features::CTRL_GUEST_OFFLOADS);
        if self.receiver.get() == Receiver::SingleBuffer && can_refuse_large {
            wanted.without(NetFeatures::GRO_HW)
        } else {
            wanted
        }
    }

    /// Whether the program that is attached can have frames of this MTU.
    ///
    /// # Errors
    ///
    /// `EINVAL` if not.
    pub(crate) fn check_mtu_with_program(&self, mtu: usize) -> Result {
        if self.receiver.get() == Receiver::SingleBuffer && mtu > rx::Queue::SINGLE_BUFFER_MTU {
            return Err(EINVAL);
        }
        Ok(())
    }
}
