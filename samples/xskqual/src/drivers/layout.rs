// SPDX-License-Identifier: GPL-2.0

//! Where the kernel's structures have what is looked for: from its own type information (BTF).

use libbpf_rs::btf::types::{MemberAttr, Struct};
use libbpf_rs::btf::{Btf, HasSize};
use std::path::Path;

/// Bytes of the two tables of a driver's functions, and where members are in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Of `struct net_device_ops`.
    pub ops_size: u64,
    /// Its `ndo_start_xmit`, which every driver has.
    pub start_xmit: u64,
    /// Its `ndo_bpf`.
    pub bpf: u64,
    /// Its `ndo_xdp_xmit`.
    pub xdp_xmit: u64,
    /// Its `ndo_xsk_wakeup`.
    pub xsk_wakeup: u64,
    /// Of `struct xdp_metadata_ops`.
    pub hints_size: u64,
    /// Its three members.
    pub hints: [u64; 3],
}

impl Layout {
    /// That of the running kernel, or of one whose BTF is in a file.
    pub fn read(path: Option<&Path>) -> Result<Self, String> {
        let btf = match path {
            Some(path) => Btf::from_path(path),
            None => Btf::from_vmlinux(),
        };
        let btf = btf.map_err(|error| format!("the kernel's BTF cannot be read: {error}"))?;
        let find = |name: &str| {
            btf.type_by_name::<Struct<'_>>(name)
                .ok_or_else(|| format!("the kernel's BTF has no struct {name}"))
        };
        let ops = find("net_device_ops")?;
        let hints = find("xdp_metadata_ops")?;
        Ok(Self {
            ops_size: ops.size() as u64,
            start_xmit: offset(&ops, "ndo_start_xmit")?,
            bpf: offset(&ops, "ndo_bpf")?,
            xdp_xmit: offset(&ops, "ndo_xdp_xmit")?,
            xsk_wakeup: offset(&ops, "ndo_xsk_wakeup")?,
            hints_size: hints.size() as u64,
            hints: [
                offset(&hints, "xmo_rx_timestamp")?,
                offset(&hints, "xmo_rx_hash")?,
                offset(&hints, "xmo_rx_vlan_tag")?,
            ],
        })
    }
}

fn offset(of: &Struct<'_>, name: &str) -> Result<u64, String> {
    of.iter()
        .find(|member| member.name.is_some_and(|known| known == name))
        .and_then(|member| match member.attr {
            MemberAttr::Normal { offset } => Some(u64::from(offset) / 8),
            MemberAttr::BitField { .. } => None,
        })
        .ok_or_else(|| format!("the kernel's BTF has no member {name}"))
}
