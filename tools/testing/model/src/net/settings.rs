// SPDX-License-Identifier: GPL-2.0

//! What a port is like: what the command line, or a script, says of it.

use serde::Serialize;
use virtio_net_wire::Features;

/// Entries of a queue, unless something else is asked for.
const QUEUE_SIZE: u16 = 256;
/// The longest RSS key, in bytes, and the longest indirection table.
pub const RSS_KEY_LEN: u8 = 40;
/// Entries of the longest indirection table.
pub const RSS_TABLE_LEN: u16 = 128;

/// What one device offers.
#[derive(Clone, Debug, Serialize)]
pub struct Settings {
    /// MAC address.
    pub mac: [u8; 6],
    /// Queue pairs.
    pub pairs: u16,
    /// Largest size of a receive queue.
    pub rx_queue_size: u16,
    /// Largest size of a transmit queue.
    pub tx_queue_size: u16,
    /// MTU, where the device tells one.
    pub mtu: Option<u16>,
    /// Link speed in Mbit/s, for `VIRTIO_NET_F_SPEED_DUPLEX`.
    pub speed: u32,
    /// 0 half, 1 full, 255 unknown.
    pub duplex: u8,
    /// Interrupt vectors; by default one for each queue and one more. With 0 there
    /// is no MSI-X, but one interrupt line.
    pub vectors: Option<u16>,
    /// Features switched on or off, over [`Settings::DEFAULT`].
    #[serde(skip)]
    pub changes: Vec<(Features, bool)>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            mac: [0x52, 0x54, 0x00, 0x76, 0x6e, 0x00],
            pairs: 1,
            rx_queue_size: QUEUE_SIZE,
            tx_queue_size: QUEUE_SIZE,
            mtu: None,
            speed: 10_000,
            duplex: 1,
            vectors: None,
            changes: Vec::new(),
        }
    }
}

impl Settings {
    /// What is offered by default: what QEMU's device does, and more that a driver
    /// has to ask for before it changes anything. Not `DEVICE_STATS`: the C driver of
    /// Linux 7.3 writes beyond an array of one (UBSAN) when it asks for them.
    pub const DEFAULT: Features = Features::CSUM
        .union(Features::GUEST_CSUM)
        .union(Features::CTRL_GUEST_OFFLOADS)
        .union(Features::MAC)
        .union(Features::GUEST_TSO4)
        .union(Features::GUEST_TSO6)
        .union(Features::GUEST_ECN)
        .union(Features::GUEST_UFO)
        .union(Features::GUEST_USO4)
        .union(Features::GUEST_USO6)
        .union(Features::HOST_TSO4)
        .union(Features::HOST_TSO6)
        .union(Features::HOST_ECN)
        .union(Features::HOST_UFO)
        .union(Features::HOST_USO)
        .union(Features::MRG_RXBUF)
        .union(Features::STATUS)
        .union(Features::CTRL_VQ)
        .union(Features::CTRL_RX)
        .union(Features::CTRL_VLAN)
        .union(Features::CTRL_RX_EXTRA)
        .union(Features::GUEST_ANNOUNCE)
        .union(Features::CTRL_MAC_ADDR)
        .union(Features::SPEED_DUPLEX)
        .union(Features::NOTF_COAL)
        .union(Features::VQ_NOTF_COAL)
        .union(Features::RING_INDIRECT_DESC)
        .union(Features::RING_EVENT_IDX)
        .union(Features::RING_RESET)
        .union(Features::VERSION_1);

    /// The features that the device offers. Those that lack what they require are
    /// left out, unless they were asked for by name.
    pub fn offered(&self) -> Features {
        let (mut offered, mut named) = (Self::DEFAULT, Features::empty());
        offered.set(Features::MQ, self.pairs > 1);
        offered.set(Features::MTU, self.mtu.is_some());
        for (features, on) in &self.changes {
            offered.set(*features, *on);
            named.set(*features, *on);
        }
        let (sound, _) = offered.without_unmet_dependencies();
        sound | (offered & named)
    }

    /// Queues: two for each pair, and the control queue.
    pub fn queues(&self) -> u16 {
        2 * self.pairs + u16::from(self.offered().contains(Features::CTRL_VQ))
    }

    /// Interrupt vectors.
    pub fn vectors(&self) -> u16 {
        self.vectors.unwrap_or(self.queues() + 1)
    }

    /// Sets one thing by name: a field of this type, or a feature, by its name in
    /// lower case or its bit's number, to `on` or `off`.
    ///
    /// # Errors
    ///
    /// A message about the name or the value.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        let bad = |what: &str| format!("{key}={value}: {what} is meant");
        fn number<T: std::str::FromStr>(value: &str) -> Option<T> {
            value.parse().ok()
        }
        match key {
            "mac" => self.mac = parse_mac(value).ok_or_else(|| bad("a MAC address"))?,
            "pairs" | "queues" => {
                let range = 1..=512;
                let pairs = number(value).filter(|pairs| range.contains(pairs));
                self.pairs = pairs.ok_or_else(|| bad("a number of queue pairs"))?;
            }
            "queue_size" | "rx_queue_size" | "tx_queue_size" => {
                let size: u16 = number(value)
                    .filter(|size| (1..=32768).contains(size))
                    .ok_or_else(|| bad("a size of a queue"))?;
                if !key.starts_with("tx") {
                    self.rx_queue_size = size;
                }
                if !key.starts_with("rx") {
                    self.tx_queue_size = size;
                }
            }
            "mtu" | "host_mtu" => {
                self.mtu = Some(number(value).ok_or_else(|| bad("an MTU"))?);
            }
            "speed" => self.speed = number(value).ok_or_else(|| bad("Mbit/s"))?,
            "duplex" => self.duplex = number(value).ok_or_else(|| bad("0, 1 or 255"))?,
            "vectors" => {
                let vectors = number(value).filter(|n| (0..=2048).contains(n));
                self.vectors = Some(vectors.ok_or_else(|| bad("a number of vectors"))?);
            }
            _ => {
                let features = parse_feature(key).ok_or_else(|| format!("{key}: not known"))?;
                let on = match value {
                    "on" => true,
                    "off" => false,
                    _ => return Err(bad("on or off")),
                };
                self.changes.push((features, on));
            }
        }
        Ok(())
    }
}

/// A feature by name, or by number.
fn parse_feature(name: &str) -> Option<Features> {
    // QEMU's names, where they differ.
    let name = match name {
        "packed" => "ring_packed",
        "queue_reset" => "ring_reset",
        "iommu_platform" => "access_platform",
        "indirect_desc" => "ring_indirect_desc",
        "event_idx" => "ring_event_idx",
        "hash" => "hash_report",
        "guest_rsc_ext" => "rsc_ext",
        name => name,
    };
    if let Ok(bit) = name.parse::<u32>() {
        return 1u128.checked_shl(bit).map(Features::from_bits_retain);
    }
    Features::from_name(&name.to_ascii_uppercase())
}

/// Six bytes in hexadecimal, with colons between.
fn parse_mac(text: &str) -> Option<[u8; 6]> {
    let mut mac = [0; 6];
    let mut parts = text.split(':');
    for byte in &mut mac {
        *byte = u8::from_str_radix(parts.next()?, 16).ok()?;
    }
    parts.next().is_none().then_some(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        let mut settings = Settings::default();
        for (key, value) in [
            ("mac", "52:54:00:00:00:09"),
            ("pairs", "4"),
            ("rx_queue_size", "1024"),
            ("packed", "on"),
            ("mrg_rxbuf", "off"),
            ("100", "on"),
        ] {
            settings.set(key, value).expect(key);
        }
        let offered = settings.offered();
        assert!(offered.contains(Features::RING_PACKED | Features::MQ));
        assert!(!offered.contains(Features::MRG_RXBUF));
        assert_eq!(offered.bits() >> 100, 1);
        assert_eq!(settings.mac[5], 9);
        assert_eq!(
            (settings.rx_queue_size, settings.tx_queue_size),
            (1024, 256)
        );
        assert_eq!(settings.queues(), 9);
        settings.set("ctrl_vq", "off").expect("known");
        assert_eq!(settings.queues(), 8);
        assert!(!settings
            .offered()
            .intersects(Features::CTRL_RX | Features::MQ));
        settings.set("ctrl_rx", "on").expect("known");
        assert!(
            settings.offered().contains(Features::CTRL_RX),
            "though it is wrong"
        );
        for (key, value) in [
            ("mac", "1:2"),
            ("packed", "yes"),
            ("nonsense", "on"),
            ("128", "on"),
        ] {
            assert!(settings.set(key, value).is_err(), "{key}={value}");
        }
    }
}
