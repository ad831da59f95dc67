// SPDX-License-Identifier: GPL-2.0

//! What no module's file tells: whether drivers claim frames over several buffers. Read in the source
//! of the kernel that is named here, for those of its drivers that set any XDP feature.

/// The kernel.
pub const KERNEL: &str = "Linux 7.3";

/// Module, whether it ever claims `rx-sg`, and `ndo-xmit-sg`.
const DRIVERS: &[(&str, bool, bool)] = &[
    ("atlantic", true, true),
    ("bnxt_en", true, true),
    ("bonding", true, true),
    ("ena", false, false),
    ("gve", false, false),
    ("hv_netvsc", false, false),
    ("i40e", true, true),
    ("ice", true, true),
    ("idpf", true, true),
    ("igb", false, true),
    ("igc", false, true),
    ("ionic", true, true),
    ("ixgbe", false, true),
    ("ixgbevf", false, false),
    ("mana", false, false),
    ("mlx4_en", false, false),
    ("mlx5_core", true, true),
    ("nfp", false, false),
    ("qede", false, false),
    ("sfc", false, false),
    ("sfc-siena", false, false),
    ("stmmac", false, false),
    ("tun", false, false),
    ("veth", true, true),
    ("virtio_net", true, true),
    ("vmxnet3", false, false),
    ("xen-netfront", false, false),
];

/// What is known of a driver.
pub fn multi_buffer(driver: &str) -> Option<(bool, bool)> {
    // Module files may have either of the two characters.
    let plain = driver.replace('-', "_");
    DRIVERS
        .iter()
        .find(|(name, ..)| name.replace('-', "_") == plain)
        .map(|(_, rx, tx)| (*rx, *tx))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_are_known() {
        assert_eq!(multi_buffer("xen_netfront"), Some((false, false)));
        assert_eq!(multi_buffer("sfc-siena"), Some((false, false)));
        assert_eq!(multi_buffer("nobody"), None);
    }

    #[test]
    fn no_driver_is_there_twice() {
        let names: std::collections::BTreeSet<_> = DRIVERS.iter().map(|row| row.0).collect();
        assert_eq!(names.len(), DRIVERS.len());
    }
}
