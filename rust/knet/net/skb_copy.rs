// SPDX-License-Identifier: GPL-2.0

//! Packets for the stack that are copied together.

use super::{
    page_pool::{Memory, Pages},
    Assembly, Received, RxSkb,
};
use core::ptr::copy_nonoverlapping;
use kernel::page::PAGE_SIZE;

/// A packet to which bytes are appended, in pages that are filled to the end.
pub struct SkbCopy {
    packet: Assembly,
    /// A page that is not full.
    page: Option<Received>,
}

impl SkbCopy {
    /// Begins with what is there.
    #[inline]
    pub fn new(skb: RxSkb) -> Self {
        Self {
            packet: Assembly::new(skb),
            page: None,
        }
    }

    /// Begins with a copy of `bytes`, of which the first `linear` are in the linear part. None
    /// if there is no memory.
    pub fn begin(
        poll: &super::RxPoll<'_>,
        bytes: &[u8],
        linear: usize,
        pages: &mut Pages<'_>,
    ) -> Option<Self> {
        let (head, tail) = bytes.split_at_checked(bytes.len().min(linear))?;
        let mut skb = RxSkb::new(poll, head.len())?;
        if !skb.put(head) {
            return None;
        }
        let mut this = Self::new(skb);
        this.append(tail, pages).then_some(this)
    }

    /// Appends a copy of `bytes`. False if there is no memory.
    pub fn append(&mut self, bytes: &[u8], pages: &mut Pages<'_>) -> bool {
        let mut rest = bytes;
        while !rest.is_empty() {
            let mut page = match self.page.take() {
                Some(page) => page,
                None => match pages.alloc(PAGE_SIZE, Memory::Atomic) {
                    Some(buffer) => Received {
                        buffer,
                        headroom: 0,
                        len: 0,
                    },
                    None => return false,
                },
            };
            let room = page.buffer.capacity().saturating_sub(page.len());
            let (some, others) = rest.split_at(rest.len().min(room));
            // SAFETY: There is room in the page, which is nobody else's.
            unsafe {
                let end = page.buffer.start().wrapping_add(page.len());
                copy_nonoverlapping(some.as_ptr(), end, some.len());
            }
            page.len = page.len.wrapping_add(some.len() as u16);
            rest = others;
            if some.len() < room {
                self.page = Some(page);
            } else if self.packet.append(page).is_err() {
                return false;
            }
        }
        true
    }

    /// Appends what was received, as it lies. False if there is no memory.
    pub fn append_received(&mut self, received: Received) -> bool {
        self.settle() && self.packet.append(received).is_ok()
    }

    fn settle(&mut self) -> bool {
        match self.page.take() {
            Some(page) => self.packet.append(page).is_ok(),
            None => true,
        }
    }

    /// The whole packet. None if there is no memory.
    pub fn finish(mut self) -> Option<RxSkb> {
        self.settle().then(|| self.packet.finish())
    }
}
