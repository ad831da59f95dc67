// SPDX-License-Identifier: GPL-2.0

//! The PCI configuration space: header, power management, MSI-X, PCI Express with
//! function level reset, and the virtio capabilities (section 4.1.4).

use super::layout;

/// Bytes of the space, extended part included.
pub const LEN: u64 = 4096;

/// Offsets of the capabilities.
mod cap {
    pub(super) const POWER: usize = 0x40;
    pub(super) const MSIX: usize = 0x48;
    pub(super) const EXPRESS: usize = 0x54;
    pub(super) const COMMON: usize = 0x90;
    pub(super) const NOTIFY: usize = 0xa0;
    pub(super) const ISR: usize = 0xb4;
    pub(super) const DEVICE: usize = 0xc4;
    pub(super) const WINDOW: usize = 0xd4;
}

/// Where in [`cap::WINDOW`] the data is.
const WINDOW_DATA: usize = cap::WINDOW + 16;
/// Device control, and the bit in its upper byte that starts a function level reset.
const DEVICE_CONTROL: usize = cap::EXPRESS + 8;
const START_FLR: u8 = 0x80;

/// What a write to the space asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A function level reset.
    FunctionReset,
    /// An access through the window of `VIRTIO_PCI_CAP_PCI_CFG`.
    Window(Window),
}

/// An access to a BAR through the configuration space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Which BAR.
    pub bar: u8,
    /// Offset in it.
    pub offset: u32,
    /// 1, 2 or 4 bytes.
    pub len: u32,
}

/// The space: its bytes, and which of their bits can be written.
pub struct ConfigSpace {
    bytes: Vec<u8>,
    writable: Vec<u8>,
}

impl ConfigSpace {
    /// The space of a network device with so many queues and vectors.
    pub fn new(queues: u16, vectors: u16) -> Self {
        let mut space = Self {
            bytes: vec![0; LEN as usize],
            writable: vec![0; LEN as usize],
        };
        space.header(vectors);
        space.standard_capabilities(vectors);
        space.virtio_capabilities(queues);
        space
    }

    fn put(&mut self, offset: usize, bytes: &[u8]) {
        self.bytes[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    fn allow(&mut self, offset: usize, mask: &[u8]) {
        self.writable[offset..offset + mask.len()].copy_from_slice(mask);
    }

    fn header(&mut self, vectors: u16) {
        self.put(0x00, &0x1af4u16.to_le_bytes());
        self.put(0x02, &0x1041u16.to_le_bytes());
        // Memory space, bus master, no INTx.
        self.allow(0x04, &[0x06, 0x04]);
        // There is a list of capabilities.
        self.put(0x06, &[0x10]);
        // Revision 1, Ethernet controller.
        self.put(0x08, &[1, 0, 0, 2]);
        self.allow(0x0c, &[0xff]);
        for (bar, size) in [layout::BAR0_LEN, layout::BAR1_LEN].into_iter().enumerate() {
            self.allow(0x10 + 4 * bar, &(!(size as u32 - 1)).to_le_bytes());
        }
        self.put(0x2c, &0x1af4u16.to_le_bytes());
        self.put(0x2e, &0x1100u16.to_le_bytes());
        self.put(0x34, &[cap::POWER as u8]);
        self.allow(0x3c, &[0xff]);
        self.put(0x3d, &[u8::from(vectors == 0)]);
    }

    fn standard_capabilities(&mut self, vectors: u16) {
        // Power management, version 3; D0 and D3hot without a reset between.
        let next = if vectors == 0 {
            cap::EXPRESS
        } else {
            cap::MSIX
        };
        self.put(cap::POWER, &[0x01, next as u8, 0x03, 0x00, 0x08, 0x00]);
        self.allow(cap::POWER + 4, &[0x03]);

        if let Some(last) = vectors.checked_sub(1) {
            self.put(cap::MSIX, &[0x11, cap::EXPRESS as u8]);
            self.put(cap::MSIX + 2, &last.to_le_bytes());
            self.allow(cap::MSIX + 3, &[0xc0]);
            let bar = u32::from(layout::MSIX_BAR);
            self.put(cap::MSIX + 4, &bar.to_le_bytes());
            self.put(cap::MSIX + 8, &(layout::PBA as u32 | bar).to_le_bytes());
        }

        // An endpoint, version 2, with function level reset.
        self.put(cap::EXPRESS, &[0x10, cap::COMMON as u8, 0x02, 0x00]);
        self.put(cap::EXPRESS + 4, &((1u32 << 28) | (1 << 15)).to_le_bytes());
        self.allow(DEVICE_CONTROL, &[0xff, 0x7f]);
        // 2.5 GT/s, one lane.
        self.put(cap::EXPRESS + 12, &0x11u32.to_le_bytes());
        self.put(cap::EXPRESS + 18, &0x11u16.to_le_bytes());
    }

    fn virtio_capabilities(&mut self, queues: u16) {
        let regions = [
            (
                cap::COMMON,
                cap::NOTIFY,
                1,
                layout::COMMON,
                super::common::LEN,
            ),
            (
                cap::NOTIFY,
                cap::ISR,
                2,
                layout::NOTIFY,
                4 * u64::from(queues),
            ),
            (cap::ISR, cap::DEVICE, 3, layout::ISR, 4),
            (
                cap::DEVICE,
                cap::WINDOW,
                4,
                layout::DEVICE,
                layout::DEVICE_LEN,
            ),
            (cap::WINDOW, 0, 5, 0, 0),
        ];
        for (at, next, kind, offset, len) in regions {
            let extended = matches!(kind, 2 | 5);
            self.put(
                at,
                &[0x09, next as u8, if extended { 20 } else { 16 }, kind],
            );
            self.put(at + 8, &(offset as u32).to_le_bytes());
            self.put(at + 12, &(len as u32).to_le_bytes());
        }
        self.put(
            cap::NOTIFY + 16,
            &(layout::NOTIFY_MULTIPLIER as u32).to_le_bytes(),
        );
        self.allow(cap::WINDOW + 4, &[0xff]);
        self.allow(cap::WINDOW + 8, &[0xff; 8]);
        self.allow(WINDOW_DATA, &[0xff; 4]);
    }

    /// Whether MSI-X is enabled, in place of the interrupt line.
    pub fn msix_enabled(&self) -> bool {
        self.bytes[cap::MSIX + 3] & 0x80 != 0
    }

    /// Whether there is an interrupt line at all.
    pub fn has_line(&self) -> bool {
        self.bytes[0x3d] != 0
    }

    /// The access that a read or write at `offset` makes through the window.
    pub fn window(&self, offset: u64) -> Option<Window> {
        if !(WINDOW_DATA as u64..WINDOW_DATA as u64 + 4).contains(&offset) {
            return None;
        }
        let number = |at: usize| {
            let mut bytes = [0; 4];
            bytes.copy_from_slice(&self.bytes[at..at + 4]);
            u32::from_le_bytes(bytes)
        };
        let window = Window {
            bar: self.bytes[cap::WINDOW + 4],
            offset: number(cap::WINDOW + 8),
            len: number(cap::WINDOW + 12),
        };
        matches!(window.len, 1 | 2 | 4).then_some(window)
    }

    /// Reads bytes; beyond the space they are ones.
    pub fn read(&self, offset: u64, out: &mut [u8]) {
        out.fill(0xff);
        let bytes = usize::try_from(offset)
            .ok()
            .and_then(|offset| self.bytes.get(offset..));
        for (out, byte) in out.iter_mut().zip(bytes.unwrap_or(&[])) {
            *out = *byte;
        }
    }

    /// Writes what can be written.
    pub fn write(&mut self, offset: u64, data: &[u8]) -> Option<Event> {
        let mut event = self.window(offset).map(Event::Window);
        let offset = usize::try_from(offset).unwrap_or(self.bytes.len());
        for (at, value) in (offset..=self.bytes.len()).zip(data) {
            let (Some(byte), Some(mask)) = (self.bytes.get_mut(at), self.writable.get(at)) else {
                break;
            };
            *byte = (*byte & !mask) | (value & mask);
            if at == DEVICE_CONTROL + 1 && value & START_FLR != 0 {
                event = Some(Event::FunctionReset);
            }
        }
        event
    }

    /// What a reset of the function sets back: everything that can be written.
    pub fn reset(&mut self) {
        for (byte, mask) in self.bytes.iter_mut().zip(&self.writable) {
            *byte &= !mask;
        }
    }
}
