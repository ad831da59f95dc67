// SPDX-License-Identifier: GPL-2.0

//! Feature bits: which we take, and what they mean to the stack.

use crate::rss;
use kernel::prelude::*;
use knet::{net, params, virtio};
use virtio_net_wire::{config, Features};

/// What we understand of any device.
const COMMON: Features = Features::CSUM
    .union(Features::GUEST_CSUM)
    .union(Features::CTRL_GUEST_OFFLOADS)
    .union(Features::MTU)
    .union(Features::MAC)
    .union(Features::GUEST_TSO4)
    .union(Features::GUEST_TSO6)
    .union(Features::GUEST_ECN)
    .union(Features::GUEST_UFO)
    .union(Features::HOST_TSO4)
    .union(Features::HOST_TSO6)
    .union(Features::HOST_ECN)
    .union(Features::HOST_UFO)
    .union(Features::MRG_RXBUF)
    .union(Features::STATUS)
    .union(Features::CTRL_VQ)
    .union(Features::CTRL_RX)
    .union(Features::CTRL_VLAN)
    .union(Features::GUEST_ANNOUNCE)
    .union(Features::MQ)
    .union(Features::CTRL_MAC_ADDR)
    .union(Features::HOST_USO)
    .union(Features::GUEST_USO4)
    .union(Features::GUEST_USO6)
    .union(Features::GUEST_HDRLEN)
    .union(Features::DEVICE_STATS)
    .union(Features::NOTF_COAL)
    .union(Features::VQ_NOTF_COAL)
    .union(Features::RSS)
    .union(Features::HASH_REPORT)
    .union(Features::STANDBY)
    .union(Features::SPEED_DUPLEX);

/// What we understand of a device that is not legacy.
const OF_MODERN: Features = COMMON
    .union(Features::GUEST_UDP_TUNNEL_GSO)
    .union(Features::GUEST_UDP_TUNNEL_GSO_CSUM)
    .union(Features::HOST_UDP_TUNNEL_GSO)
    .union(Features::HOST_UDP_TUNNEL_GSO_CSUM);

/// What we understand of a legacy device.
const OF_LEGACY: Features = COMMON.union(Features::GSO).union(Features::ANY_LAYOUT);

const fn table<const N: usize>(features: Features) -> [u32; N] {
    match features.bit_table() {
        Some(table) => table,
        None => panic!("the table has another length"),
    }
}

/// [`OF_MODERN`] as the numbers of its bits.
pub(crate) const TABLE: &[u32] = &table::<{ OF_MODERN.count() }>(OF_MODERN);
/// [`OF_LEGACY`] as the numbers of its bits.
pub(crate) const TABLE_LEGACY: &[u32] = &table::<{ OF_LEGACY.count() }>(OF_LEGACY);

/// More queue pairs than a device can have interrupts for; each takes memory.
const MOST_PAIRS: u16 = 1024;

/// The features that are to be taken back: those that require what the device does
/// not offer (section 5.1.3.1), an MTU, limits of hashing, or a number of queue pairs that
/// are none, and use of rings in order beside resets of queues.
pub(crate) fn to_be_cleared(device: &virtio::Device) -> Features {
    let offered = Features::from_words(device.features());
    let mut mtu = Features::empty();
    if offered.contains(Features::MTU) {
        let field = config::field::MTU;
        if !config::MTU.contains(&field.decode(device.read_config(field.offset() as u32))) {
            mtu = Features::MTU;
        }
    }
    let mut useless = mtu;
    // The kernel's reset of a queue (virtqueue_reset, 7.3) leaves the place in an in-order ring as it
    // was, where both sides must begin anew: of the two features, queue reset is worth more.
    if offered.contains(Features::RING_RESET) {
        useless |= Features::IN_ORDER;
    }
    if offered.intersects(rss::FEATURES) && rss::limits(device, offered).is_none() {
        useless |= rss::FEATURES;
    }
    let pairs = config::field::MAX_VIRTQUEUE_PAIRS;
    if pairs.exists(offered) {
        let pairs = pairs.decode(device.read_config(pairs.offset() as u32));
        if !(1..=MOST_PAIRS).contains(&pairs) {
            useless |= Features::MQ | Features::RSS;
        }
    }
    let (met, unmet) = offered.difference(useless).without_unmet_dependencies();
    if !unmet.is_empty() {
        dev_warn!(
            device.as_ref(),
            "features without what they require are not used: {:?}\n",
            unmet
        );
    }
    // A standby that nothing stands by for would be a second interface with the primary's
    // address; without the feature there is no primary.
    if met.contains(Features::STANDBY) && !net::can_fail_over() {
        dev_warn!(
            device.as_ref(),
            "no standby, as the module net_failover cannot be loaded\n"
        );
        useless |= Features::STANDBY;
    }
    unmet | useless
}

/// Checksums and segmentation of sent packets.
fn offloads(negotiated: Features) -> net::Features {
    use net::Features as Net;

    let with = |feature: Features, net: Net| net.only_if(negotiated.intersects(feature));
    if !negotiated.contains(Features::CSUM) {
        return Net::empty();
    }
    Net::HW_CSUM
        | Net::SG
        | with(Features::HOST_TSO4.union(Features::GSO), Net::TSO)
        | with(Features::HOST_TSO6.union(Features::GSO), Net::TSO6)
        | with(Features::HOST_ECN.union(Features::GSO), Net::TSO_ECN)
        | with(Features::HOST_USO, Net::GSO_UDP_L4)
        | with(Features::HOST_UDP_TUNNEL_GSO, Net::GSO_UDP_TUNNEL)
        | with(Features::HOST_UDP_TUNNEL_GSO_CSUM, Net::GSO_UDP_TUNNEL_CSUM)
}

/// What the stack can leave to the device inside a UDP tunnel.
pub(crate) fn in_tunnel(negotiated: Features) -> net::Features {
    if negotiated.contains(Features::CSUM.union(Features::HOST_UDP_TUNNEL_GSO)) {
        offloads(negotiated)
    } else {
        net::Features::empty()
    }
}

/// What the stack can leave to the device: on at first, and changeable by users.
pub(crate) fn of_stack(negotiated: Features) -> (net::Features, net::Features) {
    use net::Features as Net;

    let with = |feature: Features, net: Net| net.only_if(negotiated.intersects(feature));
    let mut changeable = offloads(negotiated);
    let large_receive = with(Features::GUEST_GSO, Net::GRO_HW);
    let on = Net::HIGHDMA
        | Net::RXCSUM
        | Net::GSO_ROBUST.only_if(negotiated.contains(Features::CSUM))
        | if params::gso() {
            changeable
        } else {
            changeable & (Net::HW_CSUM | Net::SG).only_if(params::csum())
        }
        | large_receive
        | with(Features::CTRL_VLAN, Net::HW_VLAN_CTAG_FILTER);
    // Off at first, as every packet costs more with it.
    changeable |= with(Features::HASH_REPORT, Net::RXHASH);
    if negotiated.contains(Features::CTRL_GUEST_OFFLOADS) {
        changeable |= large_receive;
    }
    (on, changeable)
}
