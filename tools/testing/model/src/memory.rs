// SPDX-License-Identifier: GPL-2.0

//! Guest memory, as the regions that may be reached by DMA.
//!
//! Every access is checked: one that is not wholly inside mapped memory fails,
//! whatever the driver asked for.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use vm_memory::volatile_memory::VolatileMemory;
use vm_memory::{Bytes, FileOffset, MmapRegion};

/// An access outside of mapped memory, or one that is not allowed there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The first address of the access.
    pub address: u64,
    /// Its length, in bytes.
    pub len: u64,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "no memory for {} bytes at {:#x}", self.len, self.address)
    }
}

impl std::error::Error for Fault {}

/// A part of guest memory: address and length, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Span {
    /// The first address.
    pub addr: u64,
    /// Length in bytes.
    pub len: u32,
}

struct Region {
    size: u64,
    /// Absent where the front end gave no file: known, but not reachable.
    mapping: Option<MmapRegion>,
    writable: bool,
}

/// Memory of one guest, as one port sees it.
#[derive(Default)]
pub struct Memory {
    regions: BTreeMap<u64, Region>,
    /// Frames have zeros where there is no memory, as QEMU's devices see it, instead of none.
    pub holes_are_zeros: bool,
    /// How often that was so.
    pub holes: AtomicU64,
}

impl Memory {
    /// No memory at all.
    pub fn new() -> Self {
        Self::default()
    }

    /// Memory of this process's own, for tests: `size` zeros at `address`.
    ///
    /// # Errors
    ///
    /// As [`Memory::map`].
    pub fn anonymous(address: u64, size: u64) -> io::Result<Self> {
        let mut memory = Self::new();
        let len = usize::try_from(size).map_err(|_| io::ErrorKind::InvalidInput)?;
        let mapping = MmapRegion::new(len).map_err(io::Error::other)?;
        memory.insert(address, size, Some(mapping), true)?;
        Ok(memory)
    }

    /// Maps `size` bytes of `file` from `offset` at `address`; without a file,
    /// the range is known but every access to it fails.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the range is empty, wraps or overlaps another one, and
    /// what `mmap` says.
    pub fn map(
        &mut self,
        address: u64,
        size: u64,
        file: Option<(File, u64)>,
        writable: bool,
    ) -> io::Result<()> {
        let len = usize::try_from(size).map_err(|_| io::ErrorKind::InvalidInput)?;
        let mapping = match file {
            Some((file, offset)) => {
                let prot = libc::PROT_READ | if writable { libc::PROT_WRITE } else { 0 };
                let file = FileOffset::new(file, offset);
                let flags = libc::MAP_SHARED | libc::MAP_NORESERVE;
                Some(MmapRegion::build(Some(file), len, prot, flags).map_err(io::Error::other)?)
            }
            None => None,
        };
        self.insert(address, size, mapping, writable)
    }

    fn insert(
        &mut self,
        address: u64,
        size: u64,
        mapping: Option<MmapRegion>,
        writable: bool,
    ) -> io::Result<()> {
        let end = address
            .checked_add(size)
            .ok_or(io::ErrorKind::InvalidInput)?;
        let before = self.regions.range(..end).next_back();
        if size == 0 || before.is_some_and(|(start, region)| start + region.size > address) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let region = Region {
            size,
            mapping,
            writable,
        };
        self.regions.insert(address, region);
        Ok(())
    }

    /// Takes away whatever is mapped in the range; regions go as a whole.
    pub fn unmap(&mut self, address: u64, size: u64) {
        let end = address.saturating_add(size);
        self.regions
            .retain(|start, region| *start >= end || start + region.size <= address);
    }

    /// Takes away everything.
    pub fn clear(&mut self) {
        self.regions.clear();
    }

    /// Calls `access` with each piece of the range: its mapping, the offset in
    /// it, and the range's bytes from and to.
    fn pieces(
        &self,
        address: u64,
        len: usize,
        write: bool,
        mut access: impl FnMut(&MmapRegion, usize, std::ops::Range<usize>) -> Option<()>,
    ) -> Result<(), Fault> {
        let fault = Fault {
            address,
            len: len as u64,
        };
        let mut done = 0;
        while done < len {
            let at = address.checked_add(done as u64).ok_or(fault)?;
            let (start, region) = self.regions.range(..=at).next_back().ok_or(fault)?;
            let offset = at - start;
            let left = region
                .size
                .checked_sub(offset)
                .filter(|left| *left > 0)
                .ok_or(fault)?;
            let mapping = region.mapping.as_ref().ok_or(fault)?;
            if write && !region.writable {
                return Err(fault);
            }
            let take = usize::try_from(left).unwrap_or(usize::MAX).min(len - done);
            access(mapping, offset as usize, done..done + take).ok_or(fault)?;
            done += take;
        }
        Ok(())
    }

    /// Fills `out` from `address` on.
    ///
    /// # Errors
    ///
    /// [`Fault`] if not all of it is mapped; `out` may then be partly filled.
    pub fn read(&self, address: u64, out: &mut [u8]) -> Result<(), Fault> {
        self.pieces(address, out.len(), false, |mapping, offset, range| {
            mapping
                .as_volatile_slice()
                .read_slice(out.get_mut(range)?, offset)
                .ok()
        })
    }

    /// Stores `data` from `address` on.
    ///
    /// # Errors
    ///
    /// [`Fault`] if not all of it is mapped for writing; a part may be stored.
    pub fn write(&self, address: u64, data: &[u8]) -> Result<(), Fault> {
        self.pieces(address, data.len(), true, |mapping, offset, range| {
            mapping
                .as_volatile_slice()
                .write_slice(data.get(range)?, offset)
                .ok()
        })
    }

    /// Whether `len` bytes from `address` are mapped, for writing if asked.
    pub fn check(&self, address: u64, len: u64, write: bool) -> Result<(), Fault> {
        let whole = usize::try_from(len).map_err(|_| Fault { address, len })?;
        self.pieces(address, whole, write, |_, _, _| Some(()))
    }

    /// Reads a little-endian number in one access, then orders what follows
    /// behind it.
    pub fn load_u16(&self, address: u64) -> Result<u16, Fault> {
        let mut value = None;
        self.pieces(address, 2, false, |mapping, offset, _| {
            value = mapping
                .as_volatile_slice()
                .load(offset, Ordering::Acquire)
                .ok();
            value.map(drop)
        })?;
        Ok(u16::from_le(value.unwrap_or(0)))
    }

    /// Stores a little-endian number in one access, behind all that was stored
    /// before.
    pub fn store_u16(&self, address: u64, value: u16) -> Result<(), Fault> {
        self.pieces(address, 2, true, |mapping, offset, _| {
            mapping
                .as_volatile_slice()
                .store(value.to_le(), offset, Ordering::Release)
                .ok()
        })
    }
}
