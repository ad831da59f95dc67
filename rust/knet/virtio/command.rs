// SPDX-License-Identifier: GPL-2.0

//! A queue on which a driver asks and the device answers, one command at a time.

use super::{Device, Virtqueue};
use crate::bindings;
use kernel::{prelude::*, sync::Mutex, types::Opaque};

/// Descriptors of a command that the device reads, at most.
const PARTS: usize = 3;

/// A command's memory. The queue owns it until the device has answered, however
/// late that is.
pub struct Command {
    parts: [KVec<u8>; PARTS],
    reply: KVec<u8>,
}

/// Which command an answer belongs to is known by order: there is one at a time.
struct State {
    /// None while the device is frozen.
    queue: Option<Virtqueue<KBox<Command>>>,
    /// Set when an answer did not come: the device is not asked again.
    dead: bool,
    /// How long answers may take altogether, in jiffies, if that is limited.
    left: Option<usize>,
}

/// A control queue.
///
/// Commands sleep until the device's interrupt, for a limited time.
#[pin_data]
pub struct CommandQueue {
    #[pin]
    state: Mutex<State>,
    #[pin]
    answered: Opaque<bindings::completion>,
}

// SAFETY: A completion is made to be shared.
unsafe impl Send for CommandQueue {}
// SAFETY: As above; the rest is behind a mutex.
unsafe impl Sync for CommandQueue {}

impl CommandQueue {
    /// A control queue on `queue`, whose interrupts must call [`Self::interrupt`].
    pub fn new(queue: Virtqueue<KBox<Command>>) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            state <- kernel::new_mutex!(
                State { queue: Some(queue), dead: false, left: None },
                "virtio command queue"
            ),
            answered <- Opaque::ffi_init(|slot| {
                // SAFETY: `slot` is valid for writes.
                unsafe { bindings::init_completion(slot) }
            }),
        })
    }

    /// Uses another queue from here on, or none. Waits for the command that is under way.
    pub fn replace(&self, queue: Option<Virtqueue<KBox<Command>>>) {
        let mut state = self.state.lock();
        state.queue = queue;
        state.dead = false;
    }

    /// All commands together may take no longer than this from here on, in milliseconds, or only
    /// each of them no longer than it says.
    pub fn limit(&self, ms: Option<u32>) {
        // SAFETY: No preconditions.
        self.state.lock().left = ms.map(|ms| unsafe { bindings::__msecs_to_jiffies(ms) });
    }

    /// The device has answered. Any context.
    pub fn interrupt(&self) {
        // SAFETY: The completion was initialised in `new`.
        unsafe { bindings::complete(self.answered.get()) };
    }

    /// Sends `parts`, each that is not empty in a descriptor of its own, and returns what the
    /// device answered, up to `reply_len` bytes; those that it did not write are 0xff. Waits up
    /// to `timeout_ms`; then `device` is marked broken, once, and this queue is dead.
    ///
    /// # Errors
    ///
    /// `EINVAL` without a first part or room for an answer; `ENOMEM`; `ENODEV` without a queue;
    /// `EIO` if the device is broken or the queue is dead; `ETIMEDOUT`.
    pub fn execute(
        &self,
        device: &Device,
        parts: [&[u8]; PARTS],
        reply_len: usize,
        timeout_ms: u32,
    ) -> Result<KVec<u8>> {
        if parts[0].is_empty() || reply_len == 0 {
            return Err(EINVAL);
        }
        let copy = |bytes: &[u8]| -> Result<KVec<u8>> {
            let mut copy = KVec::with_capacity(bytes.len(), GFP_KERNEL)?;
            copy.extend_from_slice(bytes, GFP_KERNEL)?;
            Ok(copy)
        };
        let [header, first, second] = parts;
        let parts = [copy(header)?, copy(first)?, copy(second)?];
        let command = KBox::new(
            Command {
                parts,
                reply: KVec::from_elem(0xff, reply_len, GFP_KERNEL)?,
            },
            GFP_KERNEL,
        )?;
        let (mut out, mut used) = ([(core::ptr::null(), 0); PARTS], 0);
        let filled = command.parts.iter().filter(|part| !part.is_empty());
        for (range, part) in out.iter_mut().zip(filled) {
            *range = (part.as_ptr(), part.len());
            used += 1;
        }
        let into = [(command.reply.as_ptr(), reply_len)];

        let mut state = self.state.lock();
        let state = &mut *state;
        if state.dead {
            return Err(EIO);
        }
        let queue = state.queue.as_mut().ok_or(ENODEV)?;
        // What came too late for the last command is not for this one.
        // SAFETY: The completion was initialised in `new`, and only one caller is here.
        unsafe { (&raw mut (*self.answered.get()).done).write_volatile(0) };
        // SAFETY: The ranges are in the box and in the vectors that it owns.
        unsafe { queue.push_ranges(&out[..used], &into, command) }
            .map_err(|refused| refused.error)?;
        queue.kick();
        // SAFETY: No preconditions.
        let most = unsafe { bindings::__msecs_to_jiffies(timeout_ms) };
        let most = most.min(state.left.unwrap_or(most));
        let mut left = most;
        loop {
            if let Some((mut command, len)) = queue.pop() {
                let mut reply = core::mem::take(&mut command.reply);
                // Old devices say nothing, or too much, of how long it is: what was not written
                // is seen.
                reply.truncate(len.checked(1, reply_len).unwrap_or(reply_len));
                let took = most.saturating_sub(left);
                state.left = state.left.map(|left| left.saturating_sub(took));
                return Ok(reply);
            }
            if queue.is_broken() {
                return Err(EIO);
            }
            if left == 0 {
                state.dead = true;
                device.mark_broken();
                return Err(ETIMEDOUT);
            }
            // SAFETY: The completion was initialised in `new`; process context.
            left = unsafe { bindings::wait_for_completion_timeout(self.answered.get(), left) };
        }
    }
}
