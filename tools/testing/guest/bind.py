# SPDX-License-Identifier: GPL-2.0
"""Attaching programs, and binding AF_XDP sockets and sending by them, by bare system calls: the caller's
task does all of the work, so that its failures can be chosen (fault.py), and has each address as it likes."""

import ctypes
import mmap
import os
import socket
import struct

from bpf_link import Link, Pinned

LIBC = ctypes.CDLL(None, use_errno=True)
AF_XDP, SOL_XDP = 44, 283
RX_RING, TX_RING, UMEM_REG, FILL_RING, COMPLETION_RING = 2, 3, 4, 5, 6
MMAP_OFFSETS = 1
PAGES_OF_TX_RING, PAGES_OF_FILL_RING, PAGES_OF_COMPLETION_RING = 0x80000000, 0x100000000, 0x180000000
SHARED_UMEM, ZERO_COPY, USE_SG = 1, 1 << 2, 1 << 4
TX_METADATA_LEN = 1 << 2
# In a descriptor: there is metadata in front of the frame.
TX_METADATA = 1 << 1
CHUNK, CHUNKS, RING = 4096, 64, 64
# Bytes of metadata in front of a frame, where tests have some.
METADATA = 24


class Program:
    """A pinned program, to be attached to one NIC in native mode, as by a bpf_link."""

    def __init__(self, place, nic):
        self.index, self.link = socket.if_nametoindex(nic.name), None
        self.program = Pinned(place)

    def attach(self):
        self.link = Link(self.program, self.index)

    def detach(self):
        if self.link is not None:
            self.link.close()
            self.link = None


class Socket:
    """A socket with memory and rings of its own, to be bound to a queue, zero-copy. Its frames are
    the kernel's to receive into."""

    def __init__(self, nic, queue=0, metadata=0, shares=None):
        """With so many bytes of metadata in front of each frame that is sent, or with the memory of a socket
        that is bound, to another queue."""
        self.index, self.queue, self.filled = socket.if_nametoindex(nic.name), queue, 0
        self.socket, self.shares = socket.socket(AF_XDP, socket.SOCK_RAW), shares
        if shares:
            self.memory = shares.memory
        else:
            self._register(TX_METADATA_LEN if metadata else 0, metadata)
        for ring in (RX_RING, TX_RING, FILL_RING, COMPLETION_RING):
            self.socket.setsockopt(SOL_XDP, ring, struct.pack("I", RING))

    def _register(self, flags, metadata):
        self.memory = mmap.mmap(-1, CHUNK * CHUNKS)
        address = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        self.socket.setsockopt(SOL_XDP, UMEM_REG,
                               struct.pack("QQ4I", address, CHUNK * CHUNKS, CHUNK, 0, flags, metadata))

    def bind(self, more=0):
        """With more flags, such as USE_SG: frames over several chunks."""
        how = (SHARED_UMEM, self.shares.socket.fileno()) if self.shares else (ZERO_COPY | more, 0)
        where = struct.pack("HHIII", AF_XDP, how[0], self.index, self.queue, how[1])
        if LIBC.bind(self.socket.fileno(), where, len(where)) < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    def _ring(self, number, pages, entry):
        """(memory of a ring, where its producer's number is, where its entries are)."""
        offsets = struct.unpack("16Q", self.socket.getsockopt(SOL_XDP, MMAP_OFFSETS, 128))
        producer, _, entries, _ = offsets[4 * number:4 * number + 4]
        return mmap.mmap(self.socket.fileno(), entries + RING * entry, offset=pages), producer, entries

    @staticmethod
    def _produce(ring, producer, number):
        """The producer's number, at once: struct.pack_into() clears a place first, and the kernel may be looking."""
        with memoryview(ring) as view, view.cast("I") as words:
            words[producer // 4] = number

    def send(self, descriptors):
        """Has (address, length, options) sent, no more than a ring has entries in all, in one call."""
        ring, producer, entries = self._ring(1, PAGES_OF_TX_RING, 16)
        with ring:
            for index, descriptor in enumerate(descriptors):
                struct.pack_into("QII", ring, entries + 16 * index, *descriptor)
            self._produce(ring, producer, len(descriptors))
        LIBC.sendto(self.socket.fileno(), None, 0, socket.MSG_DONTWAIT, None, 0)

    def fill(self, addresses):
        """Gives the kernel more frames to receive into, no more than a ring has entries in all."""
        ring, producer, entries = self._ring(2, PAGES_OF_FILL_RING, 8)
        with ring:
            struct.pack_into(f"{len(addresses)}Q", ring, entries + 8 * self.filled, *addresses)
            self.filled += len(addresses)
            self._produce(ring, producer, self.filled)

    def received(self):
        """What was received, of all that was: (address of a chunk, bytes of the frame)."""
        ring, producer, entries = self._ring(0, 0, 16)
        with ring:
            count, = struct.unpack_from("I", ring, producer)
            found = [struct.unpack_from("QII", ring, entries + 16 * index) for index in range(count)]
        return [(address - address % CHUNK, self.memory[address:address + length]) for address, length, _ in found]

    def completed(self):
        """Addresses that came back, of all that were sent."""
        ring, producer, entries = self._ring(3, PAGES_OF_COMPLETION_RING, 8)
        with ring:
            count, = struct.unpack_from("I", ring, producer)
            return list(struct.unpack_from(f"{count}Q", ring, entries))

    def close(self):
        self.socket.close()
