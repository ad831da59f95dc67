// SPDX-License-Identifier: GPL-2.0

//! The library's transport over the function's registers, as they are in its BAR.
//! After each notification the model takes its turn at once.

use std::sync::{Arc, Mutex};
use virtio_drivers::transport::{DeviceStatus, DeviceType, InterruptStatus, Transport};
use virtio_drivers::{Error, PhysAddr, Result};
use virtio_net_model::model::{lock, Model};
use virtio_net_model::pci::common::reg;
use virtio_net_model::pci::{layout, Function};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// The registers of one function.
pub struct Registers {
    function: Arc<Mutex<Function>>,
    model: Arc<Mutex<Model>>,
}

impl Registers {
    pub fn new(function: Arc<Mutex<Function>>, model: Arc<Mutex<Model>>) -> Self {
        Self { function, model }
    }

    fn read<const N: usize>(&self, offset: u64) -> [u8; N] {
        let mut bytes = [0; N];
        lock(&self.function).bar_read(0, offset, &mut bytes);
        bytes
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> bool {
        lock(&self.function).bar_write(0, offset, bytes)
    }

    fn common<const N: usize>(&self, register: u64) -> [u8; N] {
        self.read(layout::COMMON + register)
    }

    fn set_common(&self, register: u64, bytes: &[u8]) {
        self.write(layout::COMMON + register, bytes);
    }

    fn select(&self, queue: u16) {
        self.set_common(reg::QUEUE_SELECT, &queue.to_le_bytes());
    }
}

impl Transport for Registers {
    fn device_type(&self) -> DeviceType {
        DeviceType::Network
    }

    fn read_device_features(&mut self) -> u64 {
        let word = |select: u32| {
            self.set_common(reg::DEVICE_FEATURE_SELECT, &select.to_le_bytes());
            u64::from(u32::from_le_bytes(self.common(reg::DEVICE_FEATURE)))
        };
        word(0) | (word(1) << 32)
    }

    fn write_driver_features(&mut self, features: u64) {
        for select in 0..2u32 {
            let word = (features >> (32 * select)) as u32;
            self.set_common(reg::DRIVER_FEATURE_SELECT, &select.to_le_bytes());
            self.set_common(reg::DRIVER_FEATURE, &word.to_le_bytes());
        }
    }

    fn max_queue_size(&mut self, queue: u16) -> u32 {
        self.select(queue);
        u16::from_le_bytes(self.common(reg::QUEUE_SIZE)).into()
    }

    fn notify(&mut self, queue: u16) {
        let offset = layout::NOTIFY + u64::from(queue) * layout::NOTIFY_MULTIPLIER;
        assert!(self.write(offset, &queue.to_le_bytes()), "a notification");
        lock(&self.model).turn();
    }

    fn get_status(&self) -> DeviceStatus {
        let [status] = self.common(reg::DEVICE_STATUS);
        DeviceStatus::from_bits_retain(status.into())
    }

    fn set_status(&mut self, status: DeviceStatus) {
        self.set_common(reg::DEVICE_STATUS, &[status.bits() as u8]);
    }

    fn set_guest_page_size(&mut self, _size: u32) {
        // Of legacy devices only.
    }

    fn requires_legacy_layout(&self) -> bool {
        false
    }

    fn queue_set(
        &mut self,
        queue: u16,
        size: u32,
        descriptors: PhysAddr,
        driver_area: PhysAddr,
        device_area: PhysAddr,
    ) {
        self.select(queue);
        self.set_common(reg::QUEUE_SIZE, &(size as u16).to_le_bytes());
        for (register, address) in [
            (reg::QUEUE_DESC, descriptors),
            (reg::QUEUE_DRIVER, driver_area),
            (reg::QUEUE_DEVICE, device_area),
        ] {
            self.set_common(register, &address.to_le_bytes());
        }
        self.set_common(reg::QUEUE_ENABLE, &1u16.to_le_bytes());
    }

    fn queue_unset(&mut self, _queue: u16) {
        // The library does not negotiate queue reset; the device's reset does it.
        self.set_status(DeviceStatus::empty());
    }

    fn queue_used(&mut self, queue: u16) -> bool {
        self.select(queue);
        u16::from_le_bytes(self.common(reg::QUEUE_ENABLE)) == 1
    }

    fn ack_interrupt(&mut self) -> InterruptStatus {
        let [isr] = self.read(layout::ISR);
        InterruptStatus::from_bits_retain(isr.into())
    }

    fn read_config_generation(&self) -> u32 {
        let [generation] = self.common(reg::CONFIG_GENERATION);
        generation.into()
    }

    fn read_config_space<T: FromBytes + IntoBytes>(&self, offset: usize) -> Result<T> {
        let mut value = T::new_zeroed();
        let offset = layout::DEVICE + offset as u64;
        lock(&self.function).bar_read(0, offset, value.as_mut_bytes());
        Ok(value)
    }

    fn write_config_space<T: IntoBytes + Immutable>(&mut self, _: usize, _: T) -> Result<()> {
        Err(Error::Unsupported)
    }
}
