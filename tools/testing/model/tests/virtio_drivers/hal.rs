// SPDX-License-Identifier: GPL-2.0

//! The memory that driver and device share: one file, mapped by each of them.
//!
//! What the driver lends to the device is copied in and out, as behind an IOMMU
//! with bounce buffers: the device never sees another page. Under the sanitizer
//! (`tools/testing/host/sanitize.sh`) the driver's side, this file's too, reaches
//! only what is allocated.

// The library's trait is unsafe.
#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::fs::File;
use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use virtio_drivers::{BufferDirection, Hal, PhysAddr, PAGE_SIZE};
use vm_memory::{FileOffset, MmapRegion};

/// Where guest memory begins, which is not where it is mapped.
pub const BASE: u64 = 0x1_0000_0000;
/// Bytes of it.
pub const SIZE: u64 = 32 << 20;

/// Pages, given out first fit.
struct Arena {
    file: File,
    mapping: MmapRegion,
    /// First page and number of pages of what is in use.
    used: BTreeMap<usize, usize>,
}

fn arena() -> MutexGuard<'static, Arena> {
    static ARENA: OnceLock<Mutex<Arena>> = OnceLock::new();
    let arena = ARENA.get_or_init(|| {
        let file = vm_memory_file();
        let shared = FileOffset::new(file.try_clone().expect("clone the file"), 0);
        let mapping = MmapRegion::from_file(shared, SIZE as usize).expect("map the memory");
        guard::close(mapping.as_ptr(), mapping.size());
        Mutex::new(Arena {
            file,
            mapping,
            used: BTreeMap::new(),
        })
    });
    arena.lock().unwrap_or_else(PoisonError::into_inner)
}

fn vm_memory_file() -> File {
    let path = std::env::temp_dir().join(format!("vnr-guest-memory-{}", std::process::id()));
    let mut options = File::options();
    let file = options.read(true).write(true).create_new(true).open(&path);
    let file = file.expect("make a file for the memory");
    std::fs::remove_file(&path).expect("leave no file behind");
    file.set_len(SIZE).expect("make the file long enough");
    file
}

/// The file, for the device to map at [`BASE`].
pub fn shared_file() -> File {
    arena().file.try_clone().expect("clone the file")
}

/// Pages that are lent to the device or allocated now.
pub fn pages_in_use() -> usize {
    arena().used.values().sum()
}

impl Arena {
    fn alloc(&mut self, len: usize) -> Option<usize> {
        let (mut first, pages) = (0, len.div_ceil(PAGE_SIZE));
        for (start, len) in &self.used {
            if first + pages <= *start {
                break;
            }
            first = start + len;
        }
        if (first + pages) * PAGE_SIZE > SIZE as usize {
            return None;
        }
        self.used.insert(first, pages);
        guard::open(self.pointer(first).as_ptr(), len);
        Some(first)
    }

    fn free(&mut self, address: PhysAddr, pages: usize) {
        let first = ((address - BASE) as usize) / PAGE_SIZE;
        assert_eq!(self.used.remove(&first), Some(pages), "freed as allocated");
        guard::close(self.pointer(first).as_ptr(), pages * PAGE_SIZE);
    }

    fn pointer(&self, page: usize) -> NonNull<u8> {
        NonNull::new(self.mapping.as_ptr().wrapping_add(page * PAGE_SIZE)).expect("mapped")
    }
}

fn address(page: usize) -> PhysAddr {
    BASE + (page * PAGE_SIZE) as u64
}

/// AddressSanitizer is told which bytes of the mapping may be reached.
#[cfg(asan)]
mod guard {
    extern "C" {
        fn __asan_poison_memory_region(start: *const u8, len: usize);
        fn __asan_unpoison_memory_region(start: *const u8, len: usize);
    }

    pub(super) fn close(start: *const u8, len: usize) {
        // SAFETY: It does not touch the memory, but notes that nobody else may.
        unsafe { __asan_poison_memory_region(start, len) };
    }

    pub(super) fn open(start: *const u8, len: usize) {
        // SAFETY: As above; the caller has mapped it.
        unsafe { __asan_unpoison_memory_region(start, len) };
    }
}

#[cfg(not(asan))]
mod guard {
    pub(super) fn close(_start: *const u8, _len: usize) {}
    pub(super) fn open(_start: *const u8, _len: usize) {}
}

/// What the library asks of its machine.
pub struct Machine;

// SAFETY: Pages given out are not given out again before they are freed, are zero,
// and stay mapped for as long as the process lives.
unsafe impl Hal for Machine {
    fn dma_alloc(pages: usize, _direction: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        let mut arena = arena();
        let Some(page) = arena.alloc(pages * PAGE_SIZE) else {
            return (0, NonNull::dangling());
        };
        let pointer = arena.pointer(page);
        // SAFETY: So many bytes are mapped there, and nobody else's.
        unsafe { pointer.write_bytes(0, pages * PAGE_SIZE) };
        (address(page), pointer)
    }

    unsafe fn dma_dealloc(address: PhysAddr, _pointer: NonNull<u8>, pages: usize) -> i32 {
        arena().free(address, pages);
        0
    }

    unsafe fn mmio_phys_to_virt(_address: PhysAddr, _size: usize) -> NonNull<u8> {
        unreachable!("registers are not reached by address here")
    }

    unsafe fn share(buffer: NonNull<[u8]>, direction: BufferDirection) -> PhysAddr {
        let mut arena = arena();
        let page = arena.alloc(buffer.len()).expect("memory for buffers");
        if direction != BufferDirection::DeviceToDriver {
            // SAFETY: The caller's buffer is valid; the pages are long enough and ours.
            unsafe {
                buffer
                    .cast()
                    .copy_to_nonoverlapping(arena.pointer(page), buffer.len())
            };
        }
        address(page)
    }

    unsafe fn unshare(address: PhysAddr, buffer: NonNull<[u8]>, direction: BufferDirection) {
        let mut arena = arena();
        let page = ((address - BASE) as usize) / PAGE_SIZE;
        if direction != BufferDirection::DriverToDevice {
            // SAFETY: As above, the other way.
            unsafe {
                arena
                    .pointer(page)
                    .copy_to_nonoverlapping(buffer.cast(), buffer.len())
            };
        }
        arena.free(address, buffer.len().div_ceil(PAGE_SIZE));
    }
}

#[test]
#[ignore = "sanitize.sh runs it, and wants it to fail"]
fn beyond_what_was_lent() {
    let mut bytes = [0u8; 100];
    let buffer = NonNull::from(&mut bytes[..]);
    // SAFETY: The buffer is valid; the byte behind its copy is mapped, though not lent.
    unsafe {
        let address = Machine::share(buffer, BufferDirection::DriverToDevice);
        let page = ((address - BASE) as usize) / PAGE_SIZE;
        let pointer = arena().pointer(page);
        pointer.add(buffer.len()).read_volatile();
    }
}
