// SPDX-License-Identifier: GPL-2.0

//! What a device claims, by the names of the kernel's "netdev" netlink family.

use serde::Serialize;

/// Names of the bits of `xdp-features`.
pub const XDP: [&str; 7] = [
    "basic",
    "redirect",
    "ndo-xmit",
    "xsk-zerocopy",
    "hw-offload",
    "rx-sg",
    "ndo-xmit-sg",
];
/// Of `xdp-rx-metadata-features`.
pub const RX_METADATA: [&str; 3] = ["timestamp", "hash", "vlan-tag"];
/// Of `xsk-features`.
pub const XSK: [&str; 3] = ["tx-timestamp", "tx-checksum", "tx-launch-time-fifo"];

/// The answer of `dev-get`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Claims {
    /// The device's number.
    pub ifindex: u32,
    /// `xdp-features`.
    pub xdp: u64,
    /// `xdp-zc-max-segs`.
    pub zc_max_segs: u32,
    /// `xdp-rx-metadata-features`.
    pub rx_metadata: u64,
    /// `xsk-features`.
    pub xsk: u64,
}

impl Claims {
    /// Whether a feature of any of the three is claimed.
    pub fn has(&self, name: &str) -> bool {
        [
            (&XDP[..], self.xdp),
            (&RX_METADATA, self.rx_metadata),
            (&XSK, self.xsk),
        ]
        .into_iter()
        .any(|(names, bits)| {
            names
                .iter()
                .position(|known| *known == name)
                .is_some_and(|bit| (bits >> bit) & 1 == 1)
        })
    }

    /// The names of all that is claimed; those of unknown bits are numbers.
    pub fn words(names: &[&str], bits: u64) -> Vec<String> {
        (0..64)
            .filter(|bit| (bits >> bit) & 1 == 1)
            .map(|bit| {
                names
                    .get(bit)
                    .map_or_else(|| format!("bit-{bit}"), ToString::to_string)
            })
            .collect()
    }

    /// All of XDP, in one line.
    pub fn describe_xdp(&self) -> String {
        match Self::words(&XDP, self.xdp) {
            words if words.is_empty() => "nothing".into(),
            words => words.join(" "),
        }
    }

    /// Lines for people.
    pub fn describe(&self) -> [String; 4] {
        let list = |names: &[&str], bits| match Self::words(names, bits) {
            words if words.is_empty() => "none".into(),
            words => words.join(" "),
        };
        [
            format!("xdp-features: {}", list(&XDP, self.xdp)),
            format!("xdp-zc-max-segs: {}", self.zc_max_segs),
            format!(
                "xdp-rx-metadata-features: {}",
                list(&RX_METADATA, self.rx_metadata)
            ),
            format!("xsk-features: {}", list(&XSK, self.xsk)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_have_the_names_of_the_kernel() {
        let claims = Claims {
            ifindex: 2,
            xdp: 1 | 4 | 64,
            zc_max_segs: 17,
            rx_metadata: 2,
            xsk: 2,
        };
        for (name, has) in [
            ("basic", true),
            ("redirect", false),
            ("ndo-xmit", true),
            ("xsk-zerocopy", false),
            ("ndo-xmit-sg", true),
            ("hash", true),
            ("timestamp", false),
            ("tx-checksum", true),
            ("tx-timestamp", false),
            ("nonsense", false),
        ] {
            assert_eq!(claims.has(name), has, "{name}");
        }
        assert_eq!(
            claims.describe(),
            [
                "xdp-features: basic ndo-xmit ndo-xmit-sg",
                "xdp-zc-max-segs: 17",
                "xdp-rx-metadata-features: hash",
                "xsk-features: tx-checksum"
            ]
        );
    }

    #[test]
    fn unknown_bits_are_not_hidden() {
        assert_eq!(Claims::words(&XDP, (1 << 9) | 1), ["basic", "bit-9"]);
        assert_eq!(Claims::default().describe()[0], "xdp-features: none");
    }
}
