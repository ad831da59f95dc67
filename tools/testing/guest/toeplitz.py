# SPDX-License-Identifier: GPL-2.0
"""The Toeplitz hash, and a packet filter for the hash that a packet came with."""

import ctypes
import socket
import struct

SO_ATTACH_FILTER = 26
# Classic BPF: load the hash, compare, accept or not.
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
SKF_AD_RXHASH = (-0x1000 + 32) & 0xFFFFFFFF


def toeplitz(key, data):
    """The 32-bit hash of bytes; the key is longer than they are by four at least."""
    window, result = int.from_bytes(key, "big"), 0
    width = 8 * len(key)
    for index in range(8 * len(data)):
        if data[index // 8] >> (7 - index % 8) & 1:
            result ^= window >> (width - 32 - index) & 0xFFFFFFFF
    return result


def flow_hash(key, source, destination, ports=None):
    """The hash of an IPv4 or IPv6 flow; `ports` are (source, destination)."""
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    data = socket.inet_pton(family, source) + socket.inet_pton(family, destination)
    return toeplitz(key, data + (struct.pack("!HH", *ports) if ports else b""))


def accept_only_hash(sock, value):
    """Let a packet socket have only packets whose skb->hash is `value`."""
    program = [(LOAD, 0, 0, SKF_AD_RXHASH), (JUMP_IF_EQUAL, 0, 1, value),
               (RETURN, 0, 0, 0xFFFF), (RETURN, 0, 0, 0)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *i) for i in program))
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER,
                    struct.pack("@HP", len(program), ctypes.addressof(code)))
