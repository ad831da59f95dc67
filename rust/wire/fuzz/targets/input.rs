// SPDX-License-Identifier: GPL-2.0

//! Reading numbers off the front of an input. What is not there is zero, so that
//! every input means something.

use virtio_net_wire::{Features, HeaderLayout};

pub struct Input<'a>(&'a [u8]);

#[allow(dead_code)]
impl<'a> Input<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub fn bytes(&mut self, len: usize) -> &'a [u8] {
        let (head, tail) = self.0.split_at(len.min(self.0.len()));
        self.0 = tail;
        head
    }

    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        let bytes = self.bytes(N);
        array[..bytes.len()].copy_from_slice(bytes);
        array
    }

    pub fn u8(&mut self) -> u8 {
        u8::from_le_bytes(self.array())
    }

    pub fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.array())
    }

    pub fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.array())
    }

    pub fn features(&mut self) -> Features {
        Features::from_bits_retain(u128::from_le_bytes(self.array()))
    }

    pub fn layout(&mut self) -> HeaderLayout {
        match self.u8() % 4 {
            0 => HeaderLayout::Legacy10,
            1 => HeaderLayout::Mergeable12,
            2 => HeaderLayout::Hash20,
            _ => HeaderLayout::Tunnel24,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn rest(&mut self) -> &'a [u8] {
        self.bytes(usize::MAX)
    }
}
