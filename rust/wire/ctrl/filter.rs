// SPDX-License-Identifier: GPL-2.0

//! Which packets the device passes on (sections 5.1.6.5.1 to 5.1.6.5.3).

use super::{write_parts, Command};
use crate::features::Features;

/// One of the receive modes that can be on or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum RxMode {
    /// All packets.
    Promiscuous = 0,
    /// All multicast packets.
    AllMulticast = 1,
}

/// `VIRTIO_NET_CTRL_RX`: switch a receive mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetRxMode {
    /// Which.
    pub mode: RxMode,
    /// Whether it is to be on.
    pub on: bool,
}

impl Command for SetRxMode {
    const CLASS: u8 = 0;
    const REQUIRES: Features = Features::CTRL_VQ.union(Features::CTRL_RX);

    fn command(&self) -> u8 {
        self.mode as u8
    }

    fn payload_len(&self) -> usize {
        1
    }

    fn write(&self, out: &mut [u8]) -> Option<usize> {
        write_parts(out, &[&[u8::from(self.on)]])
    }
}

/// `VIRTIO_NET_CTRL_MAC_TABLE_SET`: the addresses whose packets are wanted,
/// besides the device's own and broadcast.
///
/// The payload is two tables, each a 32-bit number of entries and the entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MacTable<'a> {
    unicast: &'a [[u8; 6]],
    multicast: &'a [[u8; 6]],
    /// The numbers of entries, which fit.
    entries: [u32; 2],
}

impl<'a> MacTable<'a> {
    /// Takes both tables; `None` if one has more than `u32::MAX` entries.
    pub fn new(unicast: &'a [[u8; 6]], multicast: &'a [[u8; 6]]) -> Option<Self> {
        Some(Self {
            unicast,
            multicast,
            entries: [
                u32::try_from(unicast.len()).ok()?,
                u32::try_from(multicast.len()).ok()?,
            ],
        })
    }

    fn table_len(table: &[[u8; 6]]) -> usize {
        size_of::<u32>().saturating_add(table.as_flattened().len())
    }
}

impl Command for MacTable<'_> {
    const CLASS: u8 = 1;
    const REQUIRES: Features = Features::CTRL_VQ.union(Features::CTRL_RX);

    fn command(&self) -> u8 {
        0
    }

    fn payload_len(&self) -> usize {
        self.first_len()
            .saturating_add(Self::table_len(self.multicast))
    }

    fn first_len(&self) -> usize {
        Self::table_len(self.unicast)
    }

    fn write(&self, out: &mut [u8]) -> Option<usize> {
        let [unicast, multicast] = self.entries.map(u32::to_le_bytes);
        write_parts(
            out,
            &[
                &unicast,
                self.unicast.as_flattened(),
                &multicast,
                self.multicast.as_flattened(),
            ],
        )
    }
}

/// `VIRTIO_NET_CTRL_MAC_ADDR_SET`: change the device's MAC address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetMac(
    /// The new address.
    pub [u8; 6],
);

impl Command for SetMac {
    const CLASS: u8 = 1;
    const REQUIRES: Features = Features::CTRL_VQ.union(Features::CTRL_MAC_ADDR);

    fn command(&self) -> u8 {
        1
    }

    fn payload_len(&self) -> usize {
        self.0.len()
    }

    fn write(&self, out: &mut [u8]) -> Option<usize> {
        write_parts(out, &[&self.0])
    }
}

/// The number of a VLAN, 0 to 4095.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VlanId(u16);

impl VlanId {
    /// `None` above 4095.
    pub const fn new(id: u16) -> Option<Self> {
        if id <= 0xfff {
            Some(Self(id))
        } else {
            None
        }
    }
}

/// `VIRTIO_NET_CTRL_VLAN_ADD`: pass on packets of this VLAN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddVlan(
    /// Which.
    pub VlanId,
);

/// `VIRTIO_NET_CTRL_VLAN_DEL`: no longer pass on packets of this VLAN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DelVlan(
    /// Which.
    pub VlanId,
);

const VLAN_CLASS: u8 = 2;
const VLAN_REQUIRES: Features = Features::CTRL_VQ.union(Features::CTRL_VLAN);

impl Command for AddVlan {
    const CLASS: u8 = VLAN_CLASS;
    const REQUIRES: Features = VLAN_REQUIRES;

    fn command(&self) -> u8 {
        0
    }

    fn payload_len(&self) -> usize {
        2
    }

    fn write(&self, out: &mut [u8]) -> Option<usize> {
        write_parts(out, &[&self.0 .0.to_le_bytes()])
    }
}

impl Command for DelVlan {
    const CLASS: u8 = VLAN_CLASS;
    const REQUIRES: Features = VLAN_REQUIRES;

    fn command(&self) -> u8 {
        1
    }

    fn payload_len(&self) -> usize {
        2
    }

    fn write(&self, out: &mut [u8]) -> Option<usize> {
        write_parts(out, &[&self.0 .0.to_le_bytes()])
    }
}
