# SPDX-License-Identifier: GPL-2.0
"""Programs that a device has by a link (bpf(2)): while a descriptor of it is open. No tool of
the guest makes such links."""

import ctypes
import os
import struct

SYS_BPF = 321  # x86-64
MAP_UPDATE = 2
OBJ_GET, LINK_CREATE, LINK_UPDATE, LINK_DETACH = 7, 28, 29, 34
ATTACH_XDP, NATIVE, REPLACE = 37, 1 << 2, 1 << 2


def _bpf(command, attributes):
    """The call's result; its errors are OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    text = ctypes.create_string_buffer(attributes, 128)
    result = libc.syscall(SYS_BPF, command, text, 128)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


class Pinned:
    """A pinned program, or map, open; a context."""

    def __init__(self, path):
        place = ctypes.create_string_buffer(path.encode())
        self.fd = _bpf(OBJ_GET, struct.pack("Q", ctypes.addressof(place)))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.fd)


class Map(Pinned):
    """A pinned map of numbers."""

    def update(self, key, value):
        numbers = [ctypes.c_uint32(number) for number in (key, value)]
        _bpf(MAP_UPDATE, struct.pack("IIQQQ", self.fd, 0, *map(ctypes.addressof, numbers), 0))


class Link:
    """A link of a program to the device with that number, in native mode."""

    def __init__(self, program, device):
        self.fd = _bpf(LINK_CREATE, struct.pack("IIII", program.fd, device, ATTACH_XDP, NATIVE))

    def replace(self, program, old=None):
        """Another program instead; only of `old`, if that is given."""
        _bpf(LINK_UPDATE, struct.pack("IIII", self.fd, program.fd, REPLACE if old else 0,
                                      old.fd if old else 0))

    def detach(self):
        _bpf(LINK_DETACH, struct.pack("I", self.fd))

    def close(self):
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
