// SPDX-License-Identifier: GPL-2.0

//! Frames to send, as they are written to chunks.

use crate::area::Area;
use crate::content::Payload;
use crate::options::Options;
use crate::packet::Flow;

/// Frames, one after the other.
pub struct Source {
    flow: Flow,
    payload: Payload,
    /// The frame that is to be written.
    frame: Vec<u8>,
    /// Bytes in front of each part of a frame.
    metadata: usize,
    /// Bytes of a chunk, with those.
    size: u64,
    /// Which part of frames that are all the same each chunk has, counted from 1.
    has: Vec<u8>,
}

impl Source {
    /// As the options have them.
    pub fn new(options: &Options) -> Self {
        let mut source = Self {
            flow: options.flow(),
            payload: options.payload(),
            frame: vec![0; options.tx_len()],
            metadata: options.metadata_len(),
            size: u64::from(options.frame_size),
            has: vec![0; options.chunks as usize],
        };
        source.next(0, 0);
        source
    }

    fn room(&self) -> usize {
        self.size as usize - self.metadata
    }

    /// Chunks that a frame takes.
    pub fn parts(&self) -> usize {
        self.frame.len().div_ceil(self.room())
    }

    /// Frame `number` is to be written.
    pub fn next(&mut self, number: u64, now: u64) {
        self.payload.write(&self.flow, &mut self.frame, number, now);
    }

    /// Whether each frame has to be written, as they differ.
    pub fn differs(&self) -> bool {
        !self.payload.is_constant()
    }

    /// Writes a part of it behind the metadata of the chunk at `addr`; how many bytes.
    pub fn write(&mut self, area: &mut Area, addr: u64, part: usize) -> u32 {
        let room = self.room();
        let bytes = self.frame.chunks(room).nth(part).unwrap_or_default();
        let chunk = (addr / self.size) as usize;
        let is_there = !self.differs() && self.has[chunk] == part as u8 + 1;
        if !is_there {
            if let Some(to) = area.frame(addr + self.metadata as u64, bytes.len()) {
                to.copy_from_slice(bytes);
            }
            self.has[chunk] = part as u8 + 1;
        }
        bytes.len() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::tests::options;

    #[test]
    fn frames_are_written_in_parts() {
        let options = options("-t -F -f 2048 -s 5000 --verify --tx-csum --chunks 4").unwrap();
        let mut area = Area::new(4 * 2048, false).unwrap();
        let mut source = Source::new(&options);
        assert_eq!(source.parts(), 3);
        source.next(7, 0);
        let mut frame = Vec::new();
        for (part, chunk) in [2, 0, 3].into_iter().enumerate() {
            let len = source.write(&mut area, chunk * 2048, part) as usize;
            let metadata = options.metadata_len() as u64;
            frame.extend_from_slice(area.frame(chunk * 2048 + metadata, len).unwrap());
        }
        assert_eq!(frame.len(), 4996);
        assert_eq!(crate::content::number(&frame), Some(7));
    }

    #[test]
    fn the_same_is_written_once() {
        let options = options("-t --chunks 2").unwrap();
        let mut area = Area::new(2 * 4096, false).unwrap();
        let mut source = Source::new(&options);
        assert!(!source.differs());
        assert_eq!(source.write(&mut area, 4096, 0), 60);
        let frame = area.frame(4096, 60).unwrap();
        assert_eq!(frame[42..46], [0x12, 0x34, 0x56, 0x78]);
        frame[42] = 0;
        source.write(&mut area, 4096, 0);
        assert_eq!(area.frame(4096, 60).unwrap()[42], 0);
        source.write(&mut area, 0, 0);
        assert_eq!(area.frame(0, 60).unwrap()[42], 0x12);
    }
}
