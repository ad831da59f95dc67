// SPDX-License-Identifier: GPL-2.0

//! Internet checksums (RFC 1071) and the completion of partial ones
//! (sections 5.1.6.2 and 5.1.6.4).

use crate::rx::PartialChecksum;

/// The one's complement sum of bytes that come in pieces of any length.
///
/// ```
/// use virtio_net_wire::checksum::Sum;
///
/// let mut sum = Sum::new();
/// sum.add(&[0x45, 0x00, 0x00]);
/// sum.add(&[0x73]);
/// assert_eq!(sum.checksum(), !0x4573);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum {
    /// Sum of 16-bit words in network order; grows by less than 2^16 a word, so
    /// 2^48 words fit.
    words: u64,
    /// Whether an odd number of bytes has gone in, so that the next byte is the
    /// low half of a word.
    odd: bool,
}

impl Sum {
    /// The sum of nothing.
    pub const fn new() -> Self {
        Self {
            words: 0,
            odd: false,
        }
    }

    /// Adds the bytes that follow those added before.
    pub fn add(&mut self, mut bytes: &[u8]) {
        if self.odd {
            let Some((first, rest)) = bytes.split_first() else {
                return;
            };
            self.words = self.words.wrapping_add(u64::from(*first));
            bytes = rest;
        }
        // Four bytes at once: the upper half of a 32-bit word is a 16-bit word
        // whose carry comes back by folding.
        let mut quads = bytes.chunks_exact(4);
        for quad in &mut quads {
            if let &[a, b, c, d] = quad {
                let quad = u32::from_be_bytes([a, b, c, d]);
                self.words = self.words.wrapping_add(u64::from(quad));
            }
        }
        let last = match *quads.remainder() {
            [a] => [a, 0, 0, 0],
            [a, b] => [a, b, 0, 0],
            [a, b, c] => [a, b, c, 0],
            _ => [0; 4],
        };
        self.words = self.words.wrapping_add(u64::from(u32::from_be_bytes(last)));
        self.odd = quads.remainder().len() & 1 == 1;
    }

    /// The sum folded to 16 bits.
    pub const fn folded(self) -> u16 {
        let mut sum = self.words;
        // 64 bits to at most 33, then 32 and so on; the carries are gone by then.
        sum = (sum & 0xffff_ffff).wrapping_add(sum >> 32);
        sum = (sum & 0xffff).wrapping_add(sum >> 16);
        sum = (sum & 0xffff).wrapping_add(sum >> 16);
        sum = (sum & 0xffff).wrapping_add(sum >> 16);
        sum as u16
    }

    /// The checksum of the bytes: the complement of their sum.
    pub const fn checksum(self) -> u16 {
        !self.folded()
    }
}

/// The checksum to be completed is not within the packet's linear part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfBounds;

/// Completes a partial checksum: sums all bytes from `partial.start`, among them
/// the pseudo-header's sum which is where the result goes, and stores it.
///
/// `linear` is the packet's beginning, and holds the checksum; `fragments` are
/// what follows, in order. A checksum of zero is stored as `0xffff`, the same
/// number, since in UDP zero stands for none.
///
/// # Errors
///
/// [`OutOfBounds`], with nothing changed, if the checksum is not within `linear`.
pub fn complete<'a>(
    linear: &mut [u8],
    fragments: impl IntoIterator<Item = &'a [u8]>,
    partial: PartialChecksum,
) -> Result<(), OutOfBounds> {
    let summed = linear
        .get_mut(usize::from(partial.start)..)
        .ok_or(OutOfBounds)?;
    let offset = usize::from(partial.offset);
    let end = offset.checked_add(size_of::<u16>()).ok_or(OutOfBounds)?;
    summed.get(offset..end).ok_or(OutOfBounds)?;

    let mut sum = Sum::new();
    sum.add(summed);
    for fragment in fragments {
        sum.add(fragment);
    }
    let checksum = match sum.checksum() {
        0 => 0xffff,
        checksum => checksum,
    };
    summed
        .get_mut(offset..end)
        .ok_or(OutOfBounds)?
        .copy_from_slice(&checksum.to_be_bytes());
    Ok(())
}

#[cfg(test)]
mod tests;
