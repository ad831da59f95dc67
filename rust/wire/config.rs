// SPDX-License-Identifier: GPL-2.0

//! The device configuration space (section 5.1.4).
//!
//! A field exists only where a feature says so; [`Field`] knows which.

use crate::features::Features;
use core::marker::PhantomData;
use core::mem::offset_of;
use core::ops::RangeInclusive;
use static_assertions::const_assert_eq;
use zerocopy::little_endian::{U16, U32};
use zerocopy_derive::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// `struct virtio_net_config`: all fields, whether they exist or not.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    FromBytes,
    IntoBytes,
    Immutable,
    KnownLayout,
    Unaligned,
)]
#[repr(C)]
pub struct Config {
    /// MAC address.
    pub mac: [u8; 6],
    /// Bits of [`Status`].
    pub status: U16,
    /// Queue pairs that there can be; see [`QUEUE_PAIRS`].
    pub max_virtqueue_pairs: U16,
    /// Largest MTU, in bytes; see [`MTU`].
    pub mtu: U16,
    /// Link speed in Mbit/s; see [`Speed`].
    pub speed: U32,
    /// See [`Duplex`].
    pub duplex: u8,
    /// Longest RSS key, in bytes.
    pub rss_max_key_size: u8,
    /// Most entries of an RSS indirection table.
    pub rss_max_indirection_table_length: U16,
    /// Bits of the hash types that the device can compute.
    pub supported_hash_types: U32,
    /// Bits of the tunnel types whose inner header the device can hash.
    pub supported_tunnel_types: U32,
}

const_assert_eq!(size_of::<Config>(), 28);

/// MTUs that a device may give, in bytes; the least is IPv4's. A driver ignores a
/// smaller one as if [`Features::MTU`] had not been offered.
pub const MTU: RangeInclusive<u16> = 68..=65535;

/// Numbers of queue pairs that a device may give and a driver may ask for.
pub const QUEUE_PAIRS: RangeInclusive<u16> = 1..=0x8000;

/// One field: where it is, how wide, and with which features it exists.
///
/// ```
/// use virtio_net_wire::{config::field, Features};
///
/// assert_eq!(field::MTU.offset(), 10);
/// assert!(!field::MTU.exists(Features::MAC));
/// assert_eq!(field::MTU.decode([0xdc, 0x05]), 1500);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Field<T> {
    offset: usize,
    with_any: Features,
    value: PhantomData<T>,
}

impl<T> Field<T> {
    const fn new(offset: usize, with_any: Features) -> Self {
        Self {
            offset,
            with_any,
            value: PhantomData,
        }
    }

    /// Offset in the configuration space, in bytes.
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// Length, in bytes.
    pub const fn len(&self) -> usize {
        size_of::<T>()
    }

    /// Whether the field is empty: none is.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a device with these features has the field.
    pub const fn exists(&self, negotiated: Features) -> bool {
        negotiated.intersects(self.with_any)
    }
}

impl Field<u8> {
    /// The value of the field's bytes.
    pub const fn decode(&self, bytes: [u8; 1]) -> u8 {
        u8::from_le_bytes(bytes)
    }
}

impl Field<u16> {
    /// The value of the field's bytes.
    pub const fn decode(&self, bytes: [u8; 2]) -> u16 {
        u16::from_le_bytes(bytes)
    }
}

impl Field<u32> {
    /// The value of the field's bytes.
    pub const fn decode(&self, bytes: [u8; 4]) -> u32 {
        u32::from_le_bytes(bytes)
    }
}

/// The fields.
pub mod field {
    use super::{offset_of, Config, Features, Field};

    const RSS_OR_HASH: Features = Features::RSS.union(Features::HASH_REPORT);

    /// See [`Config::mac`].
    pub const MAC: Field<[u8; 6]> = Field::new(offset_of!(Config, mac), Features::MAC);
    /// See [`Config::status`].
    pub const STATUS: Field<u16> = Field::new(offset_of!(Config, status), Features::STATUS);
    /// See [`Config::max_virtqueue_pairs`].
    pub const MAX_VIRTQUEUE_PAIRS: Field<u16> = Field::new(
        offset_of!(Config, max_virtqueue_pairs),
        Features::MQ.union(Features::RSS),
    );
    /// See [`Config::mtu`].
    pub const MTU: Field<u16> = Field::new(offset_of!(Config, mtu), Features::MTU);
    /// See [`Config::speed`].
    pub const SPEED: Field<u32> = Field::new(offset_of!(Config, speed), Features::SPEED_DUPLEX);
    /// See [`Config::duplex`].
    pub const DUPLEX: Field<u8> = Field::new(offset_of!(Config, duplex), Features::SPEED_DUPLEX);
    /// See [`Config::rss_max_key_size`].
    pub const RSS_MAX_KEY_SIZE: Field<u8> =
        Field::new(offset_of!(Config, rss_max_key_size), RSS_OR_HASH);
    /// See [`Config::rss_max_indirection_table_length`].
    pub const RSS_MAX_INDIRECTION_TABLE_LENGTH: Field<u16> = Field::new(
        offset_of!(Config, rss_max_indirection_table_length),
        Features::RSS,
    );
    /// See [`Config::supported_hash_types`].
    pub const SUPPORTED_HASH_TYPES: Field<u32> =
        Field::new(offset_of!(Config, supported_hash_types), RSS_OR_HASH);
    /// See [`Config::supported_tunnel_types`].
    pub const SUPPORTED_TUNNEL_TYPES: Field<u32> = Field::new(
        offset_of!(Config, supported_tunnel_types),
        Features::HASH_TUNNEL,
    );
}

/// The link status and requests of the device: bits of [`Config::status`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status(u16);

bitflags::bitflags! {
    impl Status: u16 {
        /// The link is up.
        const LINK_UP = 1;
        /// The device asks to be announced, and to be told when that is done.
        const ANNOUNCE = 2;
    }
}

/// Link speed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speed {
    /// In Mbit/s, at most `0x7fff_ffff`.
    Mbps(u32),
    /// Not known.
    Unknown,
}

impl From<u32> for Speed {
    fn from(speed: u32) -> Self {
        match speed {
            0..=0x7fff_ffff => Self::Mbps(speed),
            _ => Self::Unknown,
        }
    }
}

/// Link duplex.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duplex {
    /// One end at a time.
    Half,
    /// Both ends at once.
    Full,
    /// Not known.
    Unknown,
}

impl From<u8> for Duplex {
    fn from(duplex: u8) -> Self {
        match duplex {
            0 => Self::Half,
            1 => Self::Full,
            _ => Self::Unknown,
        }
    }
}

/// How many queue pairs there can be, by [`Config::max_virtqueue_pairs`].
///
/// One, where the device's number is not allowed or there is no control queue to
/// ask for more by.
pub fn max_queue_pairs(max_virtqueue_pairs: u16, negotiated: Features) -> u16 {
    let can_ask =
        negotiated.contains(Features::CTRL_VQ) && field::MAX_VIRTQUEUE_PAIRS.exists(negotiated);
    if can_ask && QUEUE_PAIRS.contains(&max_virtqueue_pairs) {
        max_virtqueue_pairs
    } else {
        1
    }
}

#[cfg(test)]
mod tests;
