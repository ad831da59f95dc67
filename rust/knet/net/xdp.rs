// SPDX-License-Identifier: GPL-2.0

//! XDP: programs that see received frames before the stack does.
//!
//! C header: [`include/net/xdp.h`](srctree/include/net/xdp.h)

mod any;
mod assembly;
mod buff;
mod frame;
mod metadata;
mod ops;
mod program;
mod queue_info;
mod skb;

pub use any::Frame;
pub use assembly::XdpAssembly;
pub(super) use buff::{refuse, trace, Record};
pub use buff::{Verdict, XdpBuff, XdpRoom};
pub use frame::{TxPacket, XdpFrame, XdpFrames};
pub use ops::{Xdp, XdpFeatures};
pub(super) use program::Attached;
pub use program::{Program, ProgramInfo};
pub(super) use queue_info::QueueInfo;

/// Bytes in front of a frame that programs can have (`XDP_PACKET_HEADROOM`).
pub const XDP_HEADROOM: usize = crate::bindings::XDP_PACKET_HEADROOM;
