// SPDX-License-Identifier: GPL-2.0

//! The configuration space (section 5.1.4), as the device keeps it.

use super::settings::{Settings, RSS_KEY_LEN, RSS_TABLE_LEN};
use std::mem::offset_of;
use virtio_net_wire::config::{Config, Status};
use zerocopy::IntoBytes;

/// Hash types that the device computes: IPv4 and IPv6, alone and with TCP or UDP.
pub const HASH_TYPES: u32 = 0x3f;

/// The space at the beginning.
pub fn initial(settings: &Settings) -> Config {
    Config {
        mac: settings.mac,
        status: Status::LINK_UP.bits().into(),
        max_virtqueue_pairs: settings.pairs.into(),
        mtu: settings.mtu.unwrap_or(0).into(),
        speed: settings.speed.into(),
        duplex: settings.duplex,
        rss_max_key_size: RSS_KEY_LEN,
        rss_max_indirection_table_length: RSS_TABLE_LEN.into(),
        supported_hash_types: HASH_TYPES.into(),
        supported_tunnel_types: 0.into(),
    }
}

/// A field that there are lies about.
pub enum Field {
    /// The MTU.
    Mtu,
    /// The length of the longest hash key.
    HashKey,
}

/// The field that begins there.
pub fn field_at(offset: u64) -> Option<Field> {
    match usize::try_from(offset).ok()? {
        offset if offset == offset_of!(Config, mtu) => Some(Field::Mtu),
        offset if offset == offset_of!(Config, rss_max_key_size) => Some(Field::HashKey),
        _ => None,
    }
}

/// Reads from the space; what is beyond it is zero.
pub fn read(config: &Config, offset: u64, out: &mut [u8]) {
    out.fill(0);
    let bytes = usize::try_from(offset)
        .ok()
        .and_then(|offset| config.as_bytes().get(offset..));
    for (out, byte) in out.iter_mut().zip(bytes.unwrap_or(&[])) {
        *out = *byte;
    }
}
