// SPDX-License-Identifier: GPL-2.0

//! Sizes of receive buffers (section 5.1.6.3.1).
//!
//! All lengths are in bytes. Alignments are powers of two, and other numbers are
//! below `usize::MAX / 2`; beyond that results saturate.

use crate::features::Features;

/// Ethernet header.
pub const ETHERNET_LEN: usize = 14;
/// VLAN tag.
pub const VLAN_LEN: usize = 4;
/// Payload of an ordinary Ethernet frame.
pub const ETHERNET_DATA_LEN: usize = 1500;
/// An ordinary Ethernet frame with a VLAN tag.
pub const FRAME_LEN: usize = ETHERNET_LEN + VLAN_LEN + ETHERNET_DATA_LEN;
/// Longest IP packet, and so the longest payload of a GSO frame.
pub const IP_MAX_LEN: usize = 65535;

/// Header and frame of an IP packet of so many bytes, with a VLAN tag.
pub const fn packet_room(header_len: usize, packet_len: usize) -> usize {
    header_len
        .saturating_add(ETHERNET_LEN + VLAN_LEN)
        .saturating_add(packet_len)
}

/// How packets are laid out in receive buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RxBufferMode {
    /// A packet takes as many buffers as it needs: [`Mergeable`].
    Mergeable,
    /// A buffer is a chain of pages for the longest packet: [`Big`].
    Big,
    /// A buffer takes one ordinary frame: [`Small`].
    Small,
}

impl RxBufferMode {
    /// The mode for the negotiated features and the largest MTU.
    pub const fn new(negotiated: Features, max_mtu: usize) -> Self {
        if negotiated.contains(Features::MRG_RXBUF) {
            Self::Mergeable
        } else if Big::is_needed(negotiated, max_mtu) {
            Self::Big
        } else {
            Self::Small
        }
    }
}

/// A moving average of packet lengths, in which each packet weighs 1/64: slow
/// enough that a whole ring refilled at once does not follow a short burst.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AveragePacketLen(u32);

impl AveragePacketLen {
    const WEIGHT_SHIFT: u32 = 6;
    /// Keeps the sum within 32 bits; longer than any packet.
    const MAX: u32 = (1 << 24) - 1;

    /// Before the first packet.
    pub const fn new() -> Self {
        Self(0)
    }

    /// Adds the length of one packet. The first one is the average.
    #[inline]
    pub const fn add(&mut self, len: usize) {
        let len = if len < Self::MAX as usize {
            len as u32
        } else {
            Self::MAX
        };
        self.0 = if self.0 == 0 {
            len
        } else {
            // (63 * average + len) / 64, below 2^30 by MAX.
            (self.0 << Self::WEIGHT_SHIFT)
                .wrapping_sub(self.0)
                .wrapping_add(len)
                >> Self::WEIGHT_SHIFT
        };
    }

    /// The average; zero before the first packet.
    #[inline]
    pub const fn get(self) -> usize {
        self.0 as usize
    }
}

/// Sizes of mergeable buffers, each within one page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mergeable {
    /// The packet header.
    pub header_len: usize,
    /// Least room for packet data; see [`Mergeable::min_data_len`].
    pub min_data_len: usize,
    /// The page.
    pub page_size: usize,
    /// Bytes of the page that are not posted: headroom and tailroom.
    pub reserved: usize,
    /// The cache line.
    pub align: usize,
}

impl Mergeable {
    /// Least room for packet data such that a queue full of buffers takes the
    /// longest packet: [`IP_MAX_LEN`] where it can be GSO, the largest MTU
    /// otherwise. At least an ordinary frame. `queue_size` is in descriptors.
    pub const fn min_data_len(header_len: usize, packet_len: usize, queue_size: usize) -> usize {
        let whole = packet_room(header_len, packet_len);
        // A queue of none is as good as one of one.
        let share = match div_ceil(whole, queue_size) {
            Some(share) => share,
            None => whole,
        };
        let data = share.saturating_sub(header_len);
        if data > FRAME_LEN {
            data
        } else {
            FRAME_LEN
        }
    }

    /// Length of the next buffer to post, header included: room for an average
    /// packet, whole cache lines, and no more than the page has.
    #[inline]
    pub const fn buffer_len(&self, average: AveragePacketLen) -> usize {
        let average = average.get();
        let data = if average > self.min_data_len {
            average
        } else {
            self.min_data_len
        };
        let len = align_up(self.header_len.saturating_add(data), self.align);
        let max = self.max_buffer_len();
        if len < max {
            len
        } else {
            max
        }
    }

    /// How many buffers take the longest packet, `packet_len` bytes of IP, however short
    /// they are.
    #[inline]
    pub const fn most_buffers(&self, packet_len: usize) -> usize {
        let whole = packet_room(self.header_len, packet_len);
        match div_ceil(whole, self.buffer_len(AveragePacketLen::new())) {
            Some(buffers) => buffers,
            None => usize::MAX,
        }
    }

    /// Length of the longest buffer, header included. The page less what is
    /// reserved, in whole cache lines.
    #[inline]
    pub const fn max_buffer_len(&self) -> usize {
        align_down(self.page_size.saturating_sub(self.reserved), self.align)
    }
}

/// Sizes of a buffer for one ordinary frame, from which an skb is built in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Small {
    /// Bytes before the packet header.
    pub headroom: usize,
    /// The packet header.
    pub header_len: usize,
    /// Bytes after the packet data, such as `struct skb_shared_info`.
    pub tailroom: usize,
    /// The cache line.
    pub align: usize,
}

impl Small {
    /// What is posted: header and frame.
    pub const fn posted_len(&self) -> usize {
        self.header_len.saturating_add(FRAME_LEN)
    }

    /// What is allocated: that with headroom and tailroom, each aligned.
    pub const fn allocated_len(&self) -> usize {
        align_up(self.headroom.saturating_add(self.posted_len()), self.align)
            .saturating_add(align_up(self.tailroom, self.align))
    }
}

/// Sizes of a buffer for the longest packet, as a chain of whole pages of which
/// the first begins with the packet header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Big {
    /// Pages of the chain.
    pub pages: usize,
    /// Packet data that fits.
    pub data_len: usize,
}

impl Big {
    /// Whether the features or the MTU let packets be longer than [`FRAME_LEN`].
    pub const fn is_needed(negotiated: Features, max_mtu: usize) -> bool {
        max_mtu > ETHERNET_DATA_LEN || negotiated.intersects(Features::GUEST_GSO)
    }

    /// `header_len` is the room for the header in the first page, padding
    /// included; `None` if it fills the page.
    pub const fn new(
        negotiated: Features,
        max_mtu: usize,
        header_len: usize,
        page_size: usize,
    ) -> Option<Self> {
        if page_size <= header_len {
            return None;
        }
        let payload = if negotiated.intersects(Features::GUEST_GSO) {
            IP_MAX_LEN
        } else {
            max_mtu
        };
        let whole = packet_room(header_len, payload);
        let Some(pages) = div_ceil(whole, page_size) else {
            return None;
        };
        let data_len = pages.saturating_mul(page_size).saturating_sub(header_len);
        Some(Self { pages, data_len })
    }
}

/// Sizes of a buffer in which a program can work on a frame: a whole page, with headroom
/// for the program, and tailroom. The packet header is in the headroom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Xdp {
    /// The packet header.
    pub header_len: usize,
    /// Bytes before the frame.
    pub headroom: usize,
    /// Bytes after the frame, such as `struct skb_shared_info`; no fewer than the headroom.
    pub tailroom: usize,
    /// The page.
    pub page_size: usize,
}

impl Xdp {
    /// Where the posted bytes begin in the page.
    pub const fn offset(&self) -> usize {
        self.headroom.saturating_sub(self.header_len)
    }

    /// The longest frame in one buffer.
    pub const fn frame_len(&self) -> usize {
        self.page_size
            .saturating_sub(self.headroom)
            .saturating_sub(self.tailroom)
    }

    /// Bytes to post where a frame is in one buffer: header and frame.
    pub const fn posted_len(&self) -> usize {
        self.header_len.saturating_add(self.frame_len())
    }

    /// Bytes to post where a frame can be in several. What a first buffer has in its tailroom
    /// fits in front of what the next one has, whose headroom is unused.
    pub const fn posted_len_of_many(&self) -> usize {
        let end = self.page_size.saturating_sub(self.tailroom);
        let most = self.page_size.saturating_sub(self.offset());
        if end < most {
            end
        } else {
            most
        }
    }
}

/// How many times `by` goes into `len`, rounded up; `None` if `by` is zero.
const fn div_ceil(len: usize, by: usize) -> Option<usize> {
    match len.checked_div(by) {
        // With a remainder the quotient is not the largest number.
        Some(whole) if whole.wrapping_mul(by) < len => Some(whole.wrapping_add(1)),
        whole => whole,
    }
}

/// Rounds up to a multiple of `align`, a power of two.
#[inline]
pub const fn align_up(len: usize, align: usize) -> usize {
    align_down(len.saturating_add(align.saturating_sub(1)), align)
}

/// Rounds down to a multiple of `align`, a power of two.
#[inline]
pub const fn align_down(len: usize, align: usize) -> usize {
    len & !align.saturating_sub(1)
}

#[cfg(test)]
mod tests;
