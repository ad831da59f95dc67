// SPDX-License-Identifier: GPL-2.0

//! Network devices: interfaces, queues, packet buffers.

/// Bytes of a cache line.
pub const CACHE_LINE: usize = crate::bindings::SMP_CACHE_BYTES;
/// Bytes to leave free in front of received packets, for headers that the stack adds.
pub const RX_HEADROOM: usize = crate::bindings::NET_SKB_PAD + crate::bindings::NET_IP_ALIGN;

mod address;
mod buffer_chain;
mod builder;
mod coalesce;
mod detached;
mod device;
mod dim;
mod ethtool;
mod extack;
mod failover;
mod features;
mod locks;
mod napi;
mod ops;
mod page_pool;
mod paused;
mod private_flags;
mod qstats;
mod queue_mgmt;
mod queues;
mod resize;
mod restart;
mod rss;
mod rx_buffer;
mod skb;
mod skb_copy;
mod skb_rx;
mod skb_tx;
mod sysfs;
mod txq;
mod xdp;
mod xsk;

pub use address::{MacAddress, RxMode};
pub use buffer_chain::{BufferChain, ReceivedChain};
pub use builder::{Builder, NetDevice};
pub use coalesce::{Coalescing, Moderation, Moderations};
pub use device::Device;
pub use dim::Direction;
pub use ethtool::{Channels, DriverInfo, LinkSettings, RingSizes, Statistics};
pub use extack::Extack;
pub use failover::can_fail_over;
pub use features::Features;
pub use locks::{OpsLocked, Rtnl};
pub use napi::{Poll, Polled, RxPoll};
pub use ops::{Driver, LinkStats};
pub use page_pool::{Memory, PagePool, Pages, PoolRef};
pub use paused::PausedPair;
pub use private_flags::PrivateFlags;
pub use qstats::{QueueStatistics, RxQueueStats, TxQueueStats};
pub use queues::Queues;
pub use resize::Resize;
pub use rss::{Flow, Hash, HashFields, Rss, RSS_KEY_LEN};
pub use rx_buffer::{Received, RxBuffer};
pub use skb::SkBuff;
pub use skb_copy::SkbCopy;
pub use skb_rx::{Assembly, RxSkb};
pub use skb_tx::{TxHeader, TxOffload, TxSkb, MAX_SEGMENTS};
pub use sysfs::RxQueueAttribute;
pub use txq::{TxGuard, TxQueue};
pub use xdp::{
    Frame, Program, ProgramInfo, TxPacket, Verdict, Xdp, XdpAssembly, XdpBuff, XdpFeatures,
    XdpFrame, XdpFrames, XdpRoom, XDP_HEADROOM,
};
pub use xsk::{
    Arrived, ArrivedChain, ArrivedFrame, Filled, RxFrame, RxNext, Xsk, XskFrags, XskFrame,
    XskOffer, XskOffloads, XskPool, XskQueued, XskSent, XskTarget, XskTx,
};
