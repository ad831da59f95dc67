// SPDX-License-Identifier: GPL-2.0

//! Commands to the device (section 5.1.6.5).

use kernel::prelude::*;
use knet::virtio::{self, CommandQueue};
use virtio_net_wire::{
    ctrl::{Ack, Command, Permitted},
    Features,
};

/// How long a device may take to answer, in ms. Long, as the device may be a process
/// on a busy host; short, as others wait for the locks that we hold.
const TIMEOUT_MS: u32 = 5000;
/// How long it may take for all commands that tell a device what it has forgotten, in ms.
const ALL_MS: u32 = 10_000;

/// The control queue of a device that has one.
pub(crate) struct Control {
    queue: Pin<KBox<CommandQueue>>,
    negotiated: Features,
}

impl Control {
    pub(crate) fn new(queue: virtio::FoundQueue, negotiated: Features) -> Result<Self> {
        Ok(Self {
            queue: KBox::try_pin_init(CommandQueue::new(queue.typed()?), GFP_KERNEL)?,
            negotiated,
        })
    }

    /// All commands together may take no longer than [`ALL_MS`] from here on, or only each of
    /// them no longer than [`TIMEOUT_MS`].
    pub(crate) fn hurry(&self, on: bool) {
        self.queue.limit(on.then_some(ALL_MS));
    }

    /// Commands go by another queue from here on, or by none.
    pub(crate) fn use_queue(&self, queue: Option<virtio::FoundQueue>) -> Result {
        let queue = queue.map(virtio::FoundQueue::typed).transpose()?;
        self.queue.replace(queue);
        Ok(())
    }

    /// The device has answered.
    pub(crate) fn interrupt(&self) {
        self.queue.interrupt();
    }

    /// Asks the device to do something, and waits until it has.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` if the features for it were not negotiated; `EINVAL` if the device
    /// refuses; `ENOMEM`; `EIO` and `ETIMEDOUT` if the device does not answer, which
    /// marks it broken.
    pub(crate) fn send<C: Command>(&self, device: &virtio::Device, command: &C) -> Result {
        self.ask(device, command, 0).map(|_| ())
    }

    /// The same, and returns what follows the acknowledgement, up to `len` bytes.
    ///
    /// # Errors
    ///
    /// As [`Self::send`].
    pub(crate) fn ask<C: Command>(
        &self,
        device: &virtio::Device,
        command: &C,
        len: usize,
    ) -> Result<KVec<u8>> {
        let command = Permitted::new(command, self.negotiated).ok_or(EOPNOTSUPP)?;
        self.ask_permitted(device, command, len)
    }

    fn ask_permitted<C: Command>(
        &self,
        device: &virtio::Device,
        command: Permitted<'_, C>,
        len: usize,
    ) -> Result<KVec<u8>> {
        let command = command.command();
        let mut payload = KVec::from_elem(0u8, command.payload_len(), GFP_KERNEL)?;
        command.write(&mut payload).ok_or(EINVAL)?;
        let len = len.checked_add(1).ok_or(EINVAL)?;
        let (first, second) = payload
            .split_at_checked(command.first_len())
            .ok_or(EINVAL)?;
        let parts = [&command.header()[..], first, second];
        let answer = self.queue.execute(device, parts, len, TIMEOUT_MS);
        if answer.as_ref().is_err_and(|&error| error == ETIMEDOUT) {
            dev_err!(
                device.as_ref(),
                "no answer to command {}/{}: {:?}; the device is given up\n",
                C::CLASS,
                command.command(),
                ETIMEDOUT
            );
        }
        let mut answer = answer?;
        // The acknowledgement is first.
        match answer.first().copied().map(Ack::from) {
            Some(Ack::Ok) => {
                answer.remove(0).map_err(|_| EINVAL)?;
                Ok(answer)
            }
            _ => Err(EINVAL),
        }
    }
}
