# SPDX-License-Identifier: GPL-2.0
"""What can be asked of a netdev by ioctl: the caller's task does all of the
work, so that its failures can be chosen (fault.py)."""

import ctypes
import fcntl
import socket
import struct

GIFFLAGS, SIFFLAGS, SIFMTU, ADDMULTI, DELMULTI = 0x8913, 0x8914, 0x8922, 0x8931, 0x8932
ETHTOOL, GRINGPARAM, SRINGPARAM = 0x8946, 0x10, 0x11
UP, PROMISC, ALLMULTI = 0x1, 0x100, 0x200


class Knobs:
    def __init__(self, nic):
        self.name = nic.name.encode()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def flags(self):
        answer = fcntl.ioctl(self.socket, GIFFLAGS, struct.pack("16sh22x", self.name, 0))
        return struct.unpack_from("H", answer, 16)[0]

    def set_flags(self, flags):
        fcntl.ioctl(self.socket, SIFFLAGS, struct.pack("16sH22x", self.name, flags))

    def up(self):
        self.set_flags(self.flags() | UP)

    def down(self):
        self.set_flags(self.flags() & ~UP)

    def mtu(self, value):
        fcntl.ioctl(self.socket, SIFMTU, struct.pack("16si20x", self.name, value))

    def multicast(self, address, on):
        """Receive frames to a MAC address, or no longer."""
        fcntl.ioctl(self.socket, ADDMULTI if on else DELMULTI,
                    struct.pack("16sH6s16x", self.name, 0, address))

    def rings(self):
        """ethtool -g: [rx max, mini, jumbo, tx max, rx, mini, jumbo, tx]"""
        return self._rings(GRINGPARAM, [0] * 8)

    def set_rings(self, values):
        """ethtool -G: the same eight numbers."""
        self._rings(SRINGPARAM, values)

    def _rings(self, command, values):
        data = bytearray(struct.pack("9I", command, *values))
        address = ctypes.addressof(ctypes.c_char.from_buffer(data))
        fcntl.ioctl(self.socket, ETHTOOL, struct.pack("16sP16x", self.name, address))
        return list(struct.unpack("9I", data))[1:]
