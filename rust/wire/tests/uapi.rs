// SPDX-License-Identifier: GPL-2.0

//! Numbers, sizes and offsets against the kernel's user-space headers
//! (Debian: linux-libc-dev), as the C compiler sees them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command as Process;
use virtio_net_wire::config::{self, field, Config, Status};
use virtio_net_wire::ctrl::{self, Command};
use virtio_net_wire::header::{flag, gso, Base, V1Hash, V1HashTunnel, V1};
use virtio_net_wire::rss::{Hash, HashTypes};
use virtio_net_wire::Features;

const HEADERS: [&str; 3] = ["virtio_net.h", "virtio_config.h", "virtio_ring.h"];

/// Values of C expressions over these headers.
fn evaluate(test: &str, expressions: &[String]) -> Vec<u64> {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (source, program) = (dir.join(format!("{test}.c")), dir.join(test));
    let mut text =
        String::from("#include <stdio.h>\n#include <stddef.h>\n#include <linux/if_ether.h>\n");
    for header in HEADERS {
        text += &format!("#include <linux/{header}>\n");
    }
    text += "int main(void)\n{\n";
    for expression in expressions {
        text += &format!("\tprintf(\"%llu\\n\", (unsigned long long)({expression}));\n");
    }
    text += "\treturn 0;\n}\n";
    fs::write(&source, text).expect("write the C program");

    let mut compiler = Process::new("cc");
    let status = compiler.arg("-o").arg(&program).arg(&source).status();
    assert!(
        status.expect("run cc").success(),
        "cannot compile {}",
        source.display()
    );
    let output = Process::new(&program).output().expect("run the C program");
    assert!(output.status.success());
    let lines = String::from_utf8(output.stdout).expect("digits");
    let values: Vec<u64> = lines
        .lines()
        .map(|line| line.parse().expect("a number"))
        .collect();
    assert_eq!(values.len(), expressions.len());
    values
}

/// Names of the macros that begin with one of `prefixes`, without it.
fn macros(prefixes: &[&str]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for header in HEADERS {
        let path = Path::new("/usr/include/linux").join(header);
        let text = fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{}: {error}; install linux-libc-dev", path.display()));
        for line in text.lines() {
            let Some(definition) = line.trim_start().strip_prefix("#define") else {
                continue;
            };
            let name = definition.split_whitespace().next().unwrap_or_default();
            if let Some(short) = prefixes.iter().find_map(|prefix| name.strip_prefix(prefix)) {
                found.push((name.to_owned(), short.to_owned()));
            }
        }
    }
    found
}

fn assert_values(test: &str, expected: &[(&str, u64)]) {
    let expressions: Vec<String> = expected.iter().map(|(c, _)| (*c).to_owned()).collect();
    for ((c, ours), theirs) in expected.iter().zip(evaluate(test, &expressions)) {
        assert_eq!(*ours, theirs, "{c}");
    }
}

#[test]
fn feature_bits() {
    let names: Vec<_> = macros(&["VIRTIO_NET_F_", "VIRTIO_F_", "VIRTIO_RING_F_"])
        .into_iter()
        // Bits of the offload command, not of the features; an old name.
        .filter(|(_, short)| !short.ends_with("_MAPPED") && short != "IOMMU_PLATFORM")
        .collect();
    let expressions: Vec<String> = names.iter().map(|(name, _)| name.clone()).collect();
    let ours: BTreeMap<_, _> = Features::all().iter_names().collect();
    assert!(
        names.len() > 45,
        "only {} feature bits in the headers",
        names.len()
    );

    for ((name, short), bit) in names.iter().zip(evaluate("feature_bits", &expressions)) {
        // The ring's features are called so in the headers.
        let ring = format!("RING_{short}");
        let key = if name.starts_with("VIRTIO_RING_F_") {
            &ring
        } else {
            short
        };
        let feature = ours
            .get(key.as_str())
            .unwrap_or_else(|| panic!("{name} is not known"));
        assert_eq!(feature.bits(), 1 << bit, "{name}");
    }
}

#[test]
fn header_layouts() {
    use std::mem::offset_of;

    assert_values(
        "header_layouts",
        &[
            ("sizeof(struct virtio_net_hdr)", size_of::<Base>() as u64),
            (
                "sizeof(struct virtio_net_hdr_mrg_rxbuf)",
                size_of::<V1>() as u64,
            ),
            ("sizeof(struct virtio_net_hdr_v1)", size_of::<V1>() as u64),
            (
                "sizeof(struct virtio_net_hdr_v1_hash)",
                size_of::<V1Hash>() as u64,
            ),
            (
                "sizeof(struct virtio_net_hdr_v1_hash_tunnel)",
                size_of::<V1HashTunnel>() as u64,
            ),
            (
                "offsetof(struct virtio_net_hdr, flags)",
                offset_of!(Base, flags) as u64,
            ),
            (
                "offsetof(struct virtio_net_hdr, gso_type)",
                offset_of!(Base, gso_type) as u64,
            ),
            (
                "offsetof(struct virtio_net_hdr, hdr_len)",
                offset_of!(Base, hdr_len) as u64,
            ),
            (
                "offsetof(struct virtio_net_hdr, gso_size)",
                offset_of!(Base, gso_size) as u64,
            ),
            (
                "offsetof(struct virtio_net_hdr, csum_start)",
                offset_of!(Base, csum_start) as u64,
            ),
            (
                "offsetof(struct virtio_net_hdr, csum_offset)",
                offset_of!(Base, csum_offset) as u64,
            ),
            (
                "offsetof(struct virtio_net_hdr_v1, num_buffers)",
                offset_of!(V1, num_buffers) as u64,
            ),
            (
                "offsetof(struct virtio_net_hdr_v1_hash, hash_value_lo)",
                offset_of!(V1Hash, hash_value) as u64,
            ),
            (
                "offsetof(struct virtio_net_hdr_v1_hash, hash_report)",
                offset_of!(V1Hash, hash_report) as u64,
            ),
            (
                "offsetof(struct virtio_net_hdr_v1_hash_tunnel, outer_th_offset)",
                offset_of!(V1HashTunnel, outer_th_offset) as u64,
            ),
            (
                "offsetof(struct virtio_net_hdr_v1_hash_tunnel, inner_nh_offset)",
                offset_of!(V1HashTunnel, inner_nh_offset) as u64,
            ),
        ],
    );
}

#[test]
fn header_values() {
    let ours = [
        ("VIRTIO_NET_HDR_F_NEEDS_CSUM", flag::NEEDS_CSUM.into()),
        ("VIRTIO_NET_HDR_F_DATA_VALID", flag::DATA_VALID.into()),
        ("VIRTIO_NET_HDR_F_RSC_INFO", flag::RSC_INFO.into()),
        (
            "VIRTIO_NET_HDR_F_UDP_TUNNEL_CSUM",
            flag::UDP_TUNNEL_CSUM.into(),
        ),
        ("VIRTIO_NET_HDR_GSO_NONE", gso::NONE.into()),
        ("VIRTIO_NET_HDR_GSO_TCPV4", gso::TCPV4.into()),
        ("VIRTIO_NET_HDR_GSO_UDP", gso::UDP.into()),
        ("VIRTIO_NET_HDR_GSO_TCPV6", gso::TCPV6.into()),
        ("VIRTIO_NET_HDR_GSO_UDP_L4", gso::UDP_L4.into()),
        (
            "VIRTIO_NET_HDR_GSO_UDP_TUNNEL_IPV4",
            gso::UDP_TUNNEL_IPV4.into(),
        ),
        (
            "VIRTIO_NET_HDR_GSO_UDP_TUNNEL_IPV6",
            gso::UDP_TUNNEL_IPV6.into(),
        ),
        ("VIRTIO_NET_HDR_GSO_ECN", gso::ECN.into()),
    ];
    assert_values("header_values", &ours);
    // None is missing; what the tunnel flags are together is said twice there.
    for (name, _) in macros(&["VIRTIO_NET_HDR_F_", "VIRTIO_NET_HDR_GSO_"]) {
        let known = name == "VIRTIO_NET_HDR_GSO_UDP_TUNNEL";
        assert!(
            known || ours.iter().any(|(ours, _)| **ours == name),
            "{name} is not known"
        );
    }
}

#[test]
fn hash_types_and_reports() {
    let types: BTreeMap<_, _> = HashTypes::all()
        .iter_names()
        .map(|(name, types)| (name, types.bits()))
        .collect();
    let names = macros(&["VIRTIO_NET_RSS_HASH_TYPE_"]);
    assert_eq!(names.len(), types.len());
    let expressions: Vec<String> = names.iter().map(|(name, _)| name.clone()).collect();
    for ((name, short), bits) in names.iter().zip(evaluate("hash_types", &expressions)) {
        let ours = types.get(short.to_uppercase().as_str());
        assert_eq!(ours.map(|&bits| bits.into()), Some(bits), "{name}");
    }
    let names = macros(&["VIRTIO_NET_HASH_REPORT_"]);
    assert_eq!(names.len(), 10);
    let expressions: Vec<String> = names.iter().map(|(name, _)| name.clone()).collect();
    for ((name, short), report) in names.iter().zip(evaluate("hash_reports", &expressions)) {
        let mut header = [0; size_of::<V1Hash>()];
        header[16..18].copy_from_slice(&(report as u16).to_le_bytes());
        let expected = match short.as_str() {
            "NONE" => None,
            short => Some(short.starts_with("TCP") || short.starts_with("UDP")),
        };
        let ours = Hash::decode(&header).map(|hash| hash.transport.is_some());
        assert_eq!(ours, expected, "{name}");
    }
}

#[test]
fn config_space() {
    let at = |name: &str| format!("offsetof(struct virtio_net_config, {name})");
    let length = |name: &str| format!("sizeof(((struct virtio_net_config *)0)->{name})");
    macro_rules! fields {
        ($($name:literal: $field:ident),* $(,)?) => {
            [$(($name, field::$field.offset(), field::$field.len())),*]
        };
    }
    let fields = fields! {
        "mac": MAC,
        "status": STATUS,
        "max_virtqueue_pairs": MAX_VIRTQUEUE_PAIRS,
        "mtu": MTU,
        "speed": SPEED,
        "duplex": DUPLEX,
        "rss_max_key_size": RSS_MAX_KEY_SIZE,
        "rss_max_indirection_table_length": RSS_MAX_INDIRECTION_TABLE_LENGTH,
        "supported_hash_types": SUPPORTED_HASH_TYPES,
    };
    let expressions: Vec<String> = fields
        .iter()
        .flat_map(|(name, ..)| [at(name), length(name)])
        .collect();
    let values = evaluate("config_space", &expressions);
    for ((name, offset, len), theirs) in fields.iter().zip(values.chunks(2)) {
        assert_eq!([*offset as u64, *len as u64], theirs, "{name}");
    }
    assert_values(
        "config_values",
        &[
            // The headers do not have the specification's last field.
            (
                "sizeof(struct virtio_net_config)",
                std::mem::offset_of!(Config, supported_tunnel_types) as u64,
            ),
            ("VIRTIO_NET_S_LINK_UP", Status::LINK_UP.bits().into()),
            ("VIRTIO_NET_S_ANNOUNCE", Status::ANNOUNCE.bits().into()),
            (
                "VIRTIO_NET_CTRL_MQ_VQ_PAIRS_MIN",
                (*config::QUEUE_PAIRS.start()).into(),
            ),
            (
                "VIRTIO_NET_CTRL_MQ_VQ_PAIRS_MAX",
                (*config::QUEUE_PAIRS.end()).into(),
            ),
        ],
    );
}

#[test]
fn commands() {
    fn check<C: Command>(test: &str, command: C, class: &str, number: &str) {
        let header = command.header();
        let expected = [(class, header[0].into()), (number, header[1].into())];
        assert_values(test, &expected);
    }
    let vlan = ctrl::VlanId::new(1).expect("a VLAN");
    let mode = |mode| ctrl::SetRxMode { mode, on: true };
    let pairs = ctrl::SetQueuePairs::new(1).expect("a number of queue pairs");
    let table = ctrl::MacTable::new(&[], &[]).expect("short tables");
    let offloads = ctrl::SetGuestOffloads(ctrl::GuestOffloads::from_features(Features::empty()));

    let rx = "VIRTIO_NET_CTRL_RX";
    check(
        "promisc",
        mode(ctrl::RxMode::Promiscuous),
        rx,
        "VIRTIO_NET_CTRL_RX_PROMISC",
    );
    check(
        "allmulti",
        mode(ctrl::RxMode::AllMulticast),
        rx,
        "VIRTIO_NET_CTRL_RX_ALLMULTI",
    );
    let mac = "VIRTIO_NET_CTRL_MAC";
    check("mac_table", table, mac, "VIRTIO_NET_CTRL_MAC_TABLE_SET");
    check(
        "mac_addr",
        ctrl::SetMac([0; 6]),
        mac,
        "VIRTIO_NET_CTRL_MAC_ADDR_SET",
    );
    let vlan_class = "VIRTIO_NET_CTRL_VLAN";
    check(
        "vlan_add",
        ctrl::AddVlan(vlan),
        vlan_class,
        "VIRTIO_NET_CTRL_VLAN_ADD",
    );
    check(
        "vlan_del",
        ctrl::DelVlan(vlan),
        vlan_class,
        "VIRTIO_NET_CTRL_VLAN_DEL",
    );
    let announce = "VIRTIO_NET_CTRL_ANNOUNCE";
    check(
        "announce",
        ctrl::AckAnnounce,
        announce,
        "VIRTIO_NET_CTRL_ANNOUNCE_ACK",
    );
    check(
        "mq",
        pairs,
        "VIRTIO_NET_CTRL_MQ",
        "VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET",
    );
    let offload_class = "VIRTIO_NET_CTRL_GUEST_OFFLOADS";
    check(
        "offloads",
        offloads,
        offload_class,
        "VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET",
    );

    let class = "VIRTIO_NET_CTRL_NOTF_COAL";
    let when = ctrl::Coalesce::default();
    let tx = ctrl::SetTxCoalesce(when);
    check("coal_tx", tx, class, "VIRTIO_NET_CTRL_NOTF_COAL_TX_SET");
    let rx = ctrl::SetRxCoalesce(when);
    check("coal_rx", rx, class, "VIRTIO_NET_CTRL_NOTF_COAL_RX_SET");
    let queue = ctrl::SetQueueCoalesce {
        virtqueue: 0,
        coalesce: when,
    };
    let size = ("sizeof(struct virtio_net_ctrl_coal_vq)", 12);
    assert_eq!(queue.payload_len(), 12);
    assert_values("coal_vq_size", &[size]);
    check("coal_vq", queue, class, "VIRTIO_NET_CTRL_NOTF_COAL_VQ_SET");

    let types = HashTypes::all();
    let rss = ctrl::SetRss::new(types, &[[0; 2]], 1, &[0; 40]).expect("fits");
    check(
        "rss",
        rss,
        "VIRTIO_NET_CTRL_MQ",
        "VIRTIO_NET_CTRL_MQ_RSS_CONFIG",
    );
    let hash = ctrl::SetHash::new(types, &[0; 40]).expect("fits");
    check(
        "hash",
        hash,
        "VIRTIO_NET_CTRL_MQ",
        "VIRTIO_NET_CTRL_MQ_HASH_CONFIG",
    );
    assert_values(
        "payloads",
        &[
            (
                "sizeof(struct virtio_net_ctrl_hdr)",
                table.header().len() as u64,
            ),
            (
                "sizeof(struct virtio_net_ctrl_mq)",
                pairs.payload_len() as u64,
            ),
            (
                "2 * sizeof(struct virtio_net_ctrl_mac)",
                table.payload_len() as u64,
            ),
            (
                "offsetof(struct virtio_net_ctrl_mac, macs) + ETH_ALEN",
                ctrl::MacTable::new(&[[0; 6]], &[])
                    .expect("a short table")
                    .first_len() as u64,
            ),
        ],
    );

    let bits = |feature| ctrl::GuestOffloads::from_features(feature).bits();
    let tunnel = bits(Features::GUEST_UDP_TUNNEL_GSO);
    let tunnel_csum = bits(Features::GUEST_UDP_TUNNEL_GSO_CSUM);
    assert_values(
        "ctrl_values",
        &[
            ("1ULL << VIRTIO_NET_F_GUEST_UDP_TUNNEL_GSO_MAPPED", tunnel),
            (
                "1ULL << VIRTIO_NET_F_GUEST_UDP_TUNNEL_GSO_CSUM_MAPPED",
                tunnel_csum,
            ),
            (
                "1ULL << VIRTIO_NET_F_GUEST_TSO4",
                bits(Features::GUEST_TSO4),
            ),
        ],
    );
    assert_eq!(ctrl::Ack::from(0), ctrl::Ack::Ok);
    assert_values("ack", &[("VIRTIO_NET_OK", 0), ("VIRTIO_NET_ERR", 1)]);
}
