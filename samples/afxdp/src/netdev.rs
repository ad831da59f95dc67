// SPDX-License-Identifier: GPL-2.0

//! What the "netdev" netlink family says of devices.

use crate::claims::Claims;
use neli::consts::nl::NlmF;
use neli::consts::socket::NlFamily;
use neli::err::RouterError;
use neli::genl::{AttrTypeBuilder, Genlmsghdr, GenlmsghdrBuilder, NlattrBuilder};
use neli::neli_enum;
use neli::nl::NlPayload;
use neli::router::synchronous::{NlRouter, NlRouterReceiverHandle};
use neli::types::GenlBuffer;
use neli::utils::Groups;

#[neli_enum(serialized_type = "u8")]
enum Command {
    DevGet = 1,
}
impl neli::consts::genl::Cmd for Command {}

#[neli_enum(serialized_type = "u16")]
enum Attribute {
    Ifindex = 1,
    XdpFeatures = 3,
    XdpZcMaxSegs = 4,
    XdpRxMetadataFeatures = 5,
    XskFeatures = 6,
}
impl neli::consts::genl::NlAttrType for Attribute {}

fn said<E: std::fmt::Display>(error: E) -> String {
    format!("netdev netlink: {error}")
}

/// What one device claims, or all devices of the namespace.
///
/// # Errors
///
/// Words for people, where the kernel does not answer.
pub fn claims(ifindex: Option<u32>) -> Result<Vec<Claims>, String> {
    let (router, _) = NlRouter::connect(NlFamily::Generic, None, Groups::empty()).map_err(said)?;
    let family = router
        .resolve_genl_family("netdev")
        .map_err(|error| format!("{} (the kernel has it since 6.3)", said(error)))?;
    let mut attributes = GenlBuffer::new();
    if let Some(ifindex) = ifindex {
        let kind = AttrTypeBuilder::default()
            .nla_type(Attribute::Ifindex)
            .build()
            .map_err(said)?;
        attributes.push(
            NlattrBuilder::default()
                .nla_type(kind)
                .nla_payload(ifindex)
                .build()
                .map_err(said)?,
        );
    }
    let message = GenlmsghdrBuilder::default()
        .cmd(Command::DevGet)
        .version(1)
        .attrs(attributes)
        .build()
        .map_err(said)?;
    let flags = if ifindex.is_some() {
        NlmF::ACK
    } else {
        NlmF::DUMP | NlmF::ACK
    };
    let answers: NlRouterReceiverHandle<u16, Genlmsghdr<Command, Attribute>> = router
        .send(family, flags, NlPayload::Payload(message))
        .map_err(said)?;
    let mut found = Vec::new();
    for answer in answers {
        let answer = answer.map_err(|error: RouterError<u16, _>| said(error))?;
        let Some(payload) = answer.get_payload() else {
            continue;
        };
        let attributes = payload.attrs().get_attr_handle();
        let long = |which| attributes.get_attr_payload_as::<u64>(which).unwrap_or(0);
        let word = |which| attributes.get_attr_payload_as::<u32>(which).unwrap_or(0);
        found.push(Claims {
            ifindex: word(Attribute::Ifindex),
            xdp: long(Attribute::XdpFeatures),
            zc_max_segs: word(Attribute::XdpZcMaxSegs),
            rx_metadata: long(Attribute::XdpRxMetadataFeatures),
            xsk: long(Attribute::XskFeatures),
        });
    }
    Ok(found)
}

/// What one device claims.
///
/// # Errors
///
/// As above.
pub fn claims_of(ifindex: u32) -> Result<Claims, String> {
    claims(Some(ifindex))?
        .into_iter()
        .find(|claims| claims.ifindex == ifindex)
        .ok_or_else(|| "netdev netlink: no answer for the interface".into())
}
