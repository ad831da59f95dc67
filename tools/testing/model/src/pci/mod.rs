// SPDX-License-Identifier: GPL-2.0

//! A virtio PCI function: configuration space, registers, interrupts.

pub mod common;
pub mod config;

use crate::model::Port;
use crate::net::Device;
use crate::ring::Layout;
use common::{status, Common, NO_VECTOR};
use config::ConfigSpace;
use std::fs::File;
use std::io::Write;
use std::time::{Duration, Instant};

/// Where things are in the BARs.
pub mod layout {
    /// Bytes of BAR 0: registers.
    pub const BAR0_LEN: u64 = 0x8000;
    /// Bytes of BAR 1: MSI-X.
    pub const BAR1_LEN: u64 = 0x10000;
    /// Common configuration.
    pub const COMMON: u64 = 0;
    /// Interrupt status.
    pub const ISR: u64 = 0x1000;
    /// Device configuration.
    pub const DEVICE: u64 = 0x2000;
    /// Its length.
    pub const DEVICE_LEN: u64 = 0x100;
    /// Notifications.
    pub const NOTIFY: u64 = 0x3000;
    /// Bytes between those of two queues.
    pub const NOTIFY_MULTIPLIER: u64 = 4;
    /// The BAR of the MSI-X table, which begins at 0.
    pub const MSIX_BAR: u8 = 1;
    /// The pending bits in that BAR.
    pub const PBA: u64 = 0x8000;
}

/// Bits of the interrupt status register.
mod isr {
    pub(super) const QUEUE: u8 = 1;
    pub(super) const CONFIG: u8 = 2;
}

/// How long a reset is refused ([`Lie::ResetRefused`] and
/// [`Lie::QueueResetRefused`]): the bus's code waits for it, without an end.
///
/// [`Lie::ResetRefused`]: crate::hostile::Lie::ResetRefused
/// [`Lie::QueueResetRefused`]: crate::hostile::Lie::QueueResetRefused
const REFUSED: Duration = Duration::from_secs(4);

/// A reset that was refused.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Resets {
    Device,
    Queue(u16),
}

/// The function, with its device.
pub struct Function {
    config: ConfigSpace,
    common: Common,
    device: Device,
    isr: u8,
    /// The MSI-X table and pending bits, which the machine keeps itself.
    msix: Vec<u8>,
    vectors: Vec<Option<File>>,
    line: Option<File>,
    request: Option<File>,
    /// Interrupts sent, for scripts: by vector.
    pub sent: Vec<u64>,
    /// Resets that are done in the end, and when.
    refused: Vec<(Instant, Resets)>,
}

impl Function {
    /// A function around a device.
    pub fn new(device: Device) -> Self {
        let (queues, vectors) = (device.queue_count(), device.settings.vectors());
        let sizes: Vec<_> = (0..queues)
            .map(|index| device.max_queue_size(index))
            .collect();
        Self {
            config: ConfigSpace::new(queues, vectors),
            common: Common::new(device.offered(), vectors, sizes),
            device,
            isr: 0,
            msix: vec![0; layout::BAR1_LEN as usize],
            vectors: (0..vectors).map(|_| None).collect(),
            line: None,
            request: None,
            sent: vec![0; vectors.into()],
            refused: Vec::new(),
        }
    }

    /// The registers, to look at.
    pub fn common(&self) -> &Common {
        &self.common
    }

    /// Reads the PCI configuration space.
    pub fn config_read(&mut self, offset: u64, out: &mut [u8]) {
        match self.config.window(offset) {
            Some(window) if out.len() as u64 == u64::from(window.len) => {
                self.bar_read(window.bar, window.offset.into(), out);
            }
            _ => self.config.read(offset, out),
        }
    }

    /// Writes the PCI configuration space; `true` if the driver notified a queue.
    pub fn config_write(&mut self, offset: u64, data: &[u8]) -> bool {
        match self.config.write(offset, data) {
            Some(config::Event::FunctionReset) => {
                self.reset();
                false
            }
            Some(config::Event::Window(window)) if data.len() as u64 == u64::from(window.len) => {
                self.bar_write(window.bar, window.offset.into(), data)
            }
            _ => false,
        }
    }

    /// Reads a BAR; where there is nothing, zeros.
    pub fn bar_read(&mut self, bar: u8, offset: u64, out: &mut [u8]) {
        out.fill(0);
        if bar == layout::MSIX_BAR {
            let from = usize::try_from(offset)
                .ok()
                .and_then(|offset| self.msix.get(offset..));
            for (out, byte) in out.iter_mut().zip(from.unwrap_or(&[])) {
                *out = *byte;
            }
            return;
        }
        match offset {
            _ if bar != 0 => {}
            layout::COMMON..layout::ISR => {
                self.update_registers();
                self.common.read(offset, out);
            }
            layout::ISR => {
                // Reading clears.
                if let Some(first) = out.first_mut() {
                    *first = std::mem::take(&mut self.isr);
                }
            }
            layout::DEVICE..layout::NOTIFY => {
                self.device.config_read(offset - layout::DEVICE, out);
            }
            _ => {}
        }
    }

    /// Writes a BAR; `true` if the driver notified a queue.
    pub fn bar_write(&mut self, bar: u8, offset: u64, data: &[u8]) -> bool {
        if bar == layout::MSIX_BAR {
            let to = usize::try_from(offset)
                .ok()
                .and_then(|offset| self.msix.get_mut(offset..));
            for (to, byte) in to.unwrap_or(&mut []).iter_mut().zip(data) {
                *to = *byte;
            }
            return false;
        }
        match offset {
            _ if bar != 0 => false,
            layout::COMMON..layout::ISR => {
                self.update_registers();
                match self.common.write(offset, data) {
                    Some(event) => self.handle(event),
                    None => false,
                }
            }
            layout::NOTIFY..layout::BAR0_LEN => {
                let queue = (offset - layout::NOTIFY) / layout::NOTIFY_MULTIPLIER;
                self.device.kick(queue as u16);
                true
            }
            _ => false,
        }
    }

    /// What the device changes in the registers by itself.
    fn update_registers(&mut self) {
        self.common.set_generation(self.device.config_generation());
        if self.device.needs_reset() {
            let status = self.common.status();
            self.common.set_status(status | status::NEEDS_RESET);
        }
    }

    fn handle(&mut self, event: common::Event) -> bool {
        match event {
            common::Event::Reset => {
                if self.device.refuses_reset() {
                    self.refused
                        .push((Instant::now() + REFUSED, Resets::Device));
                } else {
                    self.reset_device();
                }
            }
            common::Event::Status(new) => return self.set_status(new),
            common::Event::EnableQueue(index) => {
                if let Some(queue) = self.common.queue_mut(index) {
                    queue.enabled = true;
                    let layout = Layout {
                        size: queue.size,
                        desc: queue.desc,
                        driver: queue.driver,
                        device: queue.device,
                        ..Layout::default()
                    };
                    self.device.start_queue(index, layout);
                }
                return true;
            }
            common::Event::ResetQueue(index) => {
                let done = self.device.reset_queue(index);
                if let Some(queue) = self.common.queue_mut(index) {
                    match done {
                        true => queue.reset(),
                        false => queue.resetting = true,
                    }
                }
                if !done {
                    self.refused
                        .push((Instant::now() + REFUSED, Resets::Queue(index)));
                }
            }
        }
        false
    }

    fn reset_device(&mut self) {
        self.refused.clear();
        self.device.reset();
        self.common.reset();
        self.isr = 0;
    }

    /// Does the resets that were refused long enough.
    fn give_in(&mut self) {
        let now = Instant::now();
        let due = self.refused.iter().filter(|(when, _)| *when <= now);
        let due: Vec<_> = due.map(|(_, what)| *what).collect();
        self.refused.retain(|(when, _)| *when > now);
        for what in due {
            match what {
                Resets::Device => self.reset_device(),
                Resets::Queue(index) => {
                    self.device.stop_queue(index);
                    if let Some(queue) = self.common.queue_mut(index) {
                        queue.reset();
                    }
                }
            }
        }
    }

    fn set_status(&mut self, new: u8) -> bool {
        let old = self.common.status();
        // Bits are only ever added, but by a reset.
        let mut status = old | new;
        let added = status & !old;
        if added & status::FEATURES_OK != 0 && !self.device.negotiate(self.common.driver_features())
        {
            status &= !status::FEATURES_OK;
        }
        self.common.set_status(status);
        if added & status::DRIVER_OK != 0 {
            self.device.start();
            return true;
        }
        false
    }

    /// A reset from the PCI side, which nothing refuses.
    pub fn reset(&mut self) {
        self.reset_device();
        self.config.reset();
        self.msix.fill(0);
    }

    /// The driver's machine is gone, or new: no memory, no interrupts.
    pub fn disconnect(&mut self) {
        self.reset();
        self.device.memory.clear();
        self.vectors.iter_mut().for_each(|vector| *vector = None);
        self.line = None;
        self.request = None;
    }

    /// Has vector `index` signal this event descriptor.
    pub fn set_vector(&mut self, index: usize, event: Option<File>) {
        if let Some(vector) = self.vectors.get_mut(index) {
            *vector = event;
        }
    }

    /// Has the interrupt line signal this event descriptor.
    pub fn set_line(&mut self, event: Option<File>) {
        self.line = event;
    }

    /// Whether there is an interrupt line instead of vectors.
    pub fn has_line(&self) -> bool {
        self.config.has_line()
    }

    /// Asserts the interrupt line, if there is a reason: as one arises, and when
    /// the machine has unmasked it.
    pub fn assert_line(&mut self) {
        if let (Some(line), true) = (&self.line, self.isr != 0 && !self.config.msix_enabled()) {
            notify(line);
        }
    }

    /// How many vectors there are.
    pub fn vector_count(&self) -> usize {
        self.vectors.len()
    }

    /// What asks the machine for the removal of the device.
    pub fn set_request(&mut self, event: Option<File>) {
        self.request = event;
    }

    fn signal(&mut self, vector: u16) {
        if vector == NO_VECTOR {
            return;
        }
        let index = usize::from(vector);
        if let Some(Some(event)) = self.vectors.get(index) {
            notify(event);
            if let Some(sent) = self.sent.get_mut(index) {
                *sent += 1;
            }
        }
    }
}

/// Adds one to an event descriptor. It cannot block for long: its counter is not
/// going to be full.
fn notify(mut event: &File) {
    if let Err(error) = event.write_all(&1u64.to_ne_bytes()) {
        log::warn!("interrupt not sent: {error}");
    }
}

impl Port for Function {
    fn device(&self) -> &Device {
        &self.device
    }

    fn device_mut(&mut self) -> &mut Device {
        &mut self.device
    }

    fn raise(&mut self) {
        self.give_in();
        let pending = self.device.take_interrupts();
        if pending.config {
            self.isr |= isr::CONFIG;
            self.signal(self.common.config_vector());
        }
        let mut vectors: Vec<_> = pending
            .queues
            .iter()
            .filter_map(|queue| Some(self.common.queue(*queue)?.vector))
            .collect();
        if !vectors.is_empty() {
            self.isr |= isr::QUEUE;
        }
        if pending.config || !vectors.is_empty() {
            self.assert_line();
        }
        // Queues that share a vector have one interrupt.
        vectors.sort_unstable();
        vectors.dedup();
        for vector in vectors {
            self.signal(vector);
        }
    }

    fn request_removal(&mut self) -> bool {
        self.request.as_ref().map(notify).is_some()
    }
}

#[cfg(test)]
mod tests;
