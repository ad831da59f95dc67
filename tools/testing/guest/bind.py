# SPDX-License-Identifier: GPL-2.0
"""Attaching programs and binding AF_XDP sockets by bare system calls: the caller's task does all
of the work, so that its failures can be chosen (fault.py)."""

import ctypes
import mmap
import os
import socket
import struct

from bpf_link import Link, Pinned

LIBC = ctypes.CDLL(None, use_errno=True)
AF_XDP, SOL_XDP = 44, 283
RX_RING, TX_RING, UMEM_REG, FILL_RING, COMPLETION_RING = 2, 3, 4, 5, 6
ZERO_COPY = 1 << 2
CHUNK, CHUNKS, RING = 4096, 64, 64


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

    def __init__(self, nic, queue=0):
        self.index, self.queue = socket.if_nametoindex(nic.name), queue
        self.socket = socket.socket(AF_XDP, socket.SOCK_RAW)
        self.memory = mmap.mmap(-1, CHUNK * CHUNKS)
        address = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        self.socket.setsockopt(SOL_XDP, UMEM_REG, struct.pack("QQ4I", address, CHUNK * CHUNKS, CHUNK, 0, 0, 0))
        for ring in (RX_RING, TX_RING, FILL_RING, COMPLETION_RING):
            self.socket.setsockopt(SOL_XDP, ring, struct.pack("I", RING))

    def bind(self):
        where = struct.pack("HHIII", AF_XDP, ZERO_COPY, self.index, self.queue, 0)
        if LIBC.bind(self.socket.fileno(), where, len(where)) < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    def close(self):
        self.socket.close()
