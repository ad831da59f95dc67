// SPDX-License-Identifier: GPL-2.0

//! *capture*: frames in both directions into a file that tcpdump and Wireshark
//! read. With `header`, each is preceded by its virtio header (`virtio_net_hdr_v1`,
//! 12 bytes) under the link type USER0, which no reader takes for Ethernet.

use super::{Frame, Header};
use pcap_file::pcap::{PcapHeader, PcapPacket, PcapWriter};
use pcap_file::DataLink;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

/// What is to be captured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// The file, which is written anew.
    pub file: PathBuf,
    /// The one port that is captured; none is all.
    #[serde(default)]
    pub port: Option<usize>,
    /// Whether the virtio headers are kept.
    #[serde(default)]
    pub header: bool,
}

/// An open capture.
pub struct Capture {
    order: Order,
    writer: PcapWriter<BufWriter<File>>,
    frames: u64,
}

/// The longest frame kept whole, virtio header included.
const LONGEST: u32 = 1 << 18;

/// The first twelve bytes of the virtio header, little-endian.
pub fn header_bytes(header: &Header) -> [u8; 12] {
    let mut bytes = [0; 12];
    bytes[0] = header.flags;
    bytes[1] = header.gso_type;
    let words = [
        header.hdr_len,
        header.gso_size,
        header.csum_start,
        header.csum_offset,
    ];
    for (to, word) in bytes[2..10].chunks_mut(2).zip(words) {
        to.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

impl Capture {
    /// Opens the file.
    ///
    /// # Errors
    ///
    /// What went wrong, in words.
    pub fn new(order: Order) -> Result<Self, String> {
        let file = File::create(&order.file)
            .map_err(|error| format!("{}: {error}", order.file.display()))?;
        let header = PcapHeader {
            datalink: if order.header {
                DataLink::USER0
            } else {
                DataLink::ETHERNET
            },
            snaplen: LONGEST,
            ..PcapHeader::default()
        };
        let writer = PcapWriter::with_header(BufWriter::new(file), header)
            .map_err(|error| error.to_string())?;
        Ok(Self {
            order,
            writer,
            frames: 0,
        })
    }

    /// Writes a frame that passes a port, in either direction.
    pub fn look(&mut self, port: usize, frame: &Frame) {
        if self.order.port.is_some_and(|only| only != port) {
            return;
        }
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let data = if self.order.header {
            [&header_bytes(&frame.header)[..], &frame.data].concat()
        } else {
            frame.data.clone()
        };
        // A full disk ends the capture, not the traffic.
        let packet = PcapPacket::new_owned(now, data.len() as u32, data);
        if self.writer.write_packet(&packet).is_ok() {
            self.frames += 1;
        }
    }

    /// The file.
    pub fn file(&self) -> &PathBuf {
        &self.order.file
    }

    /// Frames written.
    pub fn frames(&self) -> u64 {
        self.frames
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traffic::template::{Protocol, Template};
    use pcap_file::pcap::PcapReader;

    #[test]
    fn what_is_written_is_read() {
        let file = std::env::temp_dir().join(format!("model-capture-{}", std::process::id()));
        for header in [false, true] {
            let frame = Template::example(Protocol::Udp, false).frame_with(b"payload", Some(3));
            let order = Order {
                file: file.clone(),
                port: Some(1),
                header,
            };
            let mut capture = Capture::new(order).unwrap();
            capture.look(0, &frame);
            capture.look(1, &frame);
            assert_eq!(capture.frames(), 1);
            drop(capture);
            let mut reader = PcapReader::new(File::open(&file).unwrap()).unwrap();
            let packet = reader.next_packet().unwrap().unwrap();
            let skip = if header { 12 } else { 0 };
            assert_eq!(packet.data[skip..], frame.data);
            if header {
                assert_eq!(
                    packet.data[..2],
                    [frame.header.flags, frame.header.gso_type]
                );
                assert_eq!(packet.data[4..6], [3, 0]);
            }
            assert!(reader.next_packet().is_none());
        }
        std::fs::remove_file(file).unwrap();
    }

    #[test]
    fn a_file_that_cannot_be_is_an_error() {
        let order = Order {
            file: "/nonexistent/x".into(),
            port: None,
            header: false,
        };
        assert!(Capture::new(order).is_err());
    }
}
