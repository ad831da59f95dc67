// SPDX-License-Identifier: GPL-2.0

//! The common configuration registers (section 4.1.4.3), as a state machine that
//! does nothing by itself: a write returns an [`Event`] for what is to happen.

use virtio_net_wire::Features;

/// Bytes of the registers, up to `queue_reset` and the (empty) admin queue.
pub const LEN: u64 = 64;
/// A vector that is none.
pub const NO_VECTOR: u16 = 0xffff;

/// Bits of the device status (section 2.1).
pub mod status {
    /// The driver has noticed the device.
    pub const ACKNOWLEDGE: u8 = 1;
    /// The driver knows how to drive it.
    pub const DRIVER: u8 = 2;
    /// The driver is set up.
    pub const DRIVER_OK: u8 = 4;
    /// The features are agreed upon.
    pub const FEATURES_OK: u8 = 8;
    /// The device wants to be reset.
    pub const NEEDS_RESET: u8 = 64;
    /// The driver has given up.
    pub const FAILED: u8 = 128;
}

/// Offsets of the registers.
pub mod reg {
    #![allow(missing_docs)]
    pub const DEVICE_FEATURE_SELECT: u64 = 0;
    pub const DEVICE_FEATURE: u64 = 4;
    pub const DRIVER_FEATURE_SELECT: u64 = 8;
    pub const DRIVER_FEATURE: u64 = 12;
    pub const CONFIG_MSIX_VECTOR: u64 = 16;
    pub const NUM_QUEUES: u64 = 18;
    pub const DEVICE_STATUS: u64 = 20;
    pub const CONFIG_GENERATION: u64 = 21;
    pub const QUEUE_SELECT: u64 = 22;
    pub const QUEUE_SIZE: u64 = 24;
    pub const QUEUE_MSIX_VECTOR: u64 = 26;
    pub const QUEUE_ENABLE: u64 = 28;
    pub const QUEUE_NOTIFY_OFF: u64 = 30;
    pub const QUEUE_DESC: u64 = 32;
    pub const QUEUE_DRIVER: u64 = 40;
    pub const QUEUE_DEVICE: u64 = 48;
    pub const QUEUE_NOTIFY_DATA: u64 = 56;
    pub const QUEUE_RESET: u64 = 58;
}

/// What a write asks for. The registers change only where the answer is certain;
/// status and queue state are set by who handles the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The status register is to have this value, which is not 0.
    Status(u8),
    /// The device is to be reset (0 was written to the status).
    Reset,
    /// The queue is to be enabled.
    EnableQueue(u16),
    /// The queue is to be reset.
    ResetQueue(u16),
}

/// Registers of one queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueRegs {
    /// The largest size.
    pub max_size: u16,
    /// The size that the driver chose.
    pub size: u16,
    /// Its interrupt vector.
    pub vector: u16,
    /// Whether it is enabled.
    pub enabled: bool,
    /// Whether a reset is under way.
    pub resetting: bool,
    /// Descriptor area.
    pub desc: u64,
    /// Driver area.
    pub driver: u64,
    /// Device area.
    pub device: u64,
}

impl QueueRegs {
    fn new(max_size: u16) -> Self {
        Self {
            max_size,
            size: max_size,
            vector: NO_VECTOR,
            enabled: false,
            resetting: false,
            desc: 0,
            driver: 0,
            device: 0,
        }
    }

    /// Back to what it was before the driver set it up.
    pub fn reset(&mut self) {
        *self = Self::new(self.max_size);
    }
}

/// The registers.
#[derive(Clone, Debug)]
pub struct Common {
    offered: u128,
    vectors: u16,
    device_feature_select: u32,
    driver_feature_select: u32,
    driver_features: u128,
    config_vector: u16,
    status: u8,
    generation: u8,
    queue_select: u16,
    queues: Vec<QueueRegs>,
}

impl Common {
    /// Registers of a device with these features, so many vectors, and queues of
    /// these largest sizes.
    pub fn new(offered: Features, vectors: u16, max_sizes: impl IntoIterator<Item = u16>) -> Self {
        Self {
            offered: offered.bits(),
            vectors,
            device_feature_select: 0,
            driver_feature_select: 0,
            driver_features: 0,
            config_vector: NO_VECTOR,
            status: 0,
            generation: 0,
            queue_select: 0,
            queues: max_sizes.into_iter().map(QueueRegs::new).collect(),
        }
    }

    /// Back to the beginning.
    pub fn reset(&mut self) {
        let sizes: Vec<_> = self.queues.iter().map(|queue| queue.max_size).collect();
        let offered = Features::from_bits_retain(self.offered);
        *self = Self {
            generation: self.generation,
            ..Self::new(offered, self.vectors, sizes)
        };
    }

    /// What the driver has accepted so far.
    pub fn driver_features(&self) -> Features {
        Features::from_bits_retain(self.driver_features)
    }

    /// The status register.
    pub fn status(&self) -> u8 {
        self.status
    }

    /// Sets the status register.
    pub fn set_status(&mut self, status: u8) {
        self.status = status;
    }

    /// Sets what the driver finds in `config_generation`.
    pub fn set_generation(&mut self, generation: u8) {
        self.generation = generation;
    }

    /// The vector for changes of the configuration.
    pub fn config_vector(&self) -> u16 {
        self.config_vector
    }

    /// The registers of a queue.
    pub fn queue(&self, index: u16) -> Option<&QueueRegs> {
        self.queues.get(usize::from(index))
    }

    /// The registers of a queue, to change them.
    pub fn queue_mut(&mut self, index: u16) -> Option<&mut QueueRegs> {
        self.queues.get_mut(usize::from(index))
    }

    /// Reads bytes of the registers; those that do not exist are zero.
    pub fn read(&self, offset: u64, out: &mut [u8]) {
        out.fill(0);
        let image = self.image();
        let bytes = usize::try_from(offset)
            .ok()
            .and_then(|offset| image.get(offset..));
        for (out, byte) in out.iter_mut().zip(bytes.unwrap_or(&[])) {
            *out = *byte;
        }
    }

    fn image(&self) -> [u8; LEN as usize] {
        let mut image = [0; LEN as usize];
        let mut put = |offset: u64, bytes: &[u8]| {
            image[offset as usize..][..bytes.len()].copy_from_slice(bytes);
        };
        let word = |bits: u128, select: u32| match select {
            0..=3 => (bits >> (32 * select)) as u32,
            _ => 0,
        };
        let device = word(self.offered, self.device_feature_select);
        let driver = word(self.driver_features, self.driver_feature_select);
        put(
            reg::DEVICE_FEATURE_SELECT,
            &self.device_feature_select.to_le_bytes(),
        );
        put(reg::DEVICE_FEATURE, &device.to_le_bytes());
        put(
            reg::DRIVER_FEATURE_SELECT,
            &self.driver_feature_select.to_le_bytes(),
        );
        put(reg::DRIVER_FEATURE, &driver.to_le_bytes());
        put(reg::CONFIG_MSIX_VECTOR, &self.config_vector.to_le_bytes());
        put(reg::NUM_QUEUES, &(self.queues.len() as u16).to_le_bytes());
        put(reg::DEVICE_STATUS, &[self.status, self.generation]);
        put(reg::QUEUE_SELECT, &self.queue_select.to_le_bytes());
        if let Some(queue) = self.queue(self.queue_select) {
            put(reg::QUEUE_SIZE, &queue.size.to_le_bytes());
            put(reg::QUEUE_MSIX_VECTOR, &queue.vector.to_le_bytes());
            put(reg::QUEUE_ENABLE, &u16::from(queue.enabled).to_le_bytes());
            put(reg::QUEUE_NOTIFY_OFF, &self.queue_select.to_le_bytes());
            put(reg::QUEUE_DESC, &queue.desc.to_le_bytes());
            put(reg::QUEUE_DRIVER, &queue.driver.to_le_bytes());
            put(reg::QUEUE_DEVICE, &queue.device.to_le_bytes());
            put(reg::QUEUE_NOTIFY_DATA, &self.queue_select.to_le_bytes());
            put(reg::QUEUE_RESET, &u16::from(queue.resetting).to_le_bytes());
        }
        image
    }

    /// Writes to the registers. A write that is not of a register's own width is
    /// ignored, but for the halves of 64-bit ones.
    pub fn write(&mut self, offset: u64, data: &[u8]) -> Option<Event> {
        let (vectors, select) = (self.vectors, self.queue_select);
        let vector = |value: u16| if value < vectors { value } else { NO_VECTOR };
        match (offset, data) {
            (reg::DEVICE_FEATURE_SELECT, &[a, b, c, d]) => {
                self.device_feature_select = u32::from_le_bytes([a, b, c, d]);
            }
            (reg::DRIVER_FEATURE_SELECT, &[a, b, c, d]) => {
                self.driver_feature_select = u32::from_le_bytes([a, b, c, d]);
            }
            (reg::DRIVER_FEATURE, &[a, b, c, d]) if self.driver_feature_select < 4 => {
                let shift = 32 * self.driver_feature_select;
                let word = u128::from(u32::from_le_bytes([a, b, c, d]));
                // After the agreement nothing changes any more.
                if self.status & status::FEATURES_OK == 0 {
                    self.driver_features &= !(u128::from(u32::MAX) << shift);
                    self.driver_features |= word << shift;
                }
            }
            (reg::CONFIG_MSIX_VECTOR, &[a, b]) => {
                self.config_vector = vector(u16::from_le_bytes([a, b]));
            }
            (reg::DEVICE_STATUS, &[0]) => return Some(Event::Reset),
            (reg::DEVICE_STATUS, &[status]) => return Some(Event::Status(status)),
            (reg::QUEUE_SELECT, &[a, b]) => self.queue_select = u16::from_le_bytes([a, b]),
            (reg::QUEUE_ENABLE, &[1, 0]) => {
                let queue = self.queue(select)?;
                return (!queue.enabled).then_some(Event::EnableQueue(select));
            }
            (reg::QUEUE_RESET, &[1, 0]) => {
                let allowed = self.driver_features().contains(Features::RING_RESET);
                let enabled = self.queue(select)?.enabled;
                return (allowed && enabled).then_some(Event::ResetQueue(select));
            }
            _ => self.write_queue(offset, data, vector),
        }
        None
    }

    fn write_queue(&mut self, offset: u64, data: &[u8], vector: impl Fn(u16) -> u16) {
        let select = self.queue_select;
        let Some(queue) = self.queue_mut(select) else {
            return;
        };
        match (offset, data) {
            (reg::QUEUE_MSIX_VECTOR, &[a, b]) => queue.vector = vector(u16::from_le_bytes([a, b])),
            // The rest is fixed while the queue is enabled.
            _ if queue.enabled => {}
            (reg::QUEUE_SIZE, &[a, b]) => {
                let size = u16::from_le_bytes([a, b]);
                if size != 0 && size <= queue.max_size {
                    queue.size = size;
                }
            }
            (reg::QUEUE_DESC..reg::QUEUE_NOTIFY_DATA, _) => {
                let address = match offset & !7 {
                    reg::QUEUE_DESC => &mut queue.desc,
                    reg::QUEUE_DRIVER => &mut queue.driver,
                    _ => &mut queue.device,
                };
                let mut bytes = address.to_le_bytes();
                let at = (offset & 7) as usize;
                if let (0 | 4, Some(part)) = (at, bytes.get_mut(at..at + data.len())) {
                    part.copy_from_slice(data);
                    *address = u64::from_le_bytes(bytes);
                }
            }
            _ => {}
        }
    }
}
