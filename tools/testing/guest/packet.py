# SPDX-License-Identifier: GPL-2.0
"""Frames as AF_PACKET shows and takes them, with their virtio-net header."""

import select
import socket
import struct
import time
from dataclasses import dataclass

NEEDS_CSUM = 1
GSO_NONE, GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4, GSO_ECN = 0, 1, 4, 5, 0x80
EXPERIMENTAL = 0x88B5  # EtherType for local experiments
OUTGOING = 4
SOL_PACKET, PACKET_AUXDATA, TP_STATUS_VLAN_VALID = 263, 8, 1 << 4


def mac_bytes(text):
    return bytes(int(part, 16) for part in text.split(":"))


def checksum(data):
    """The Internet checksum, folded, of data padded to 16 bits."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


@dataclass
class Frame:
    flags: int
    gso_type: int
    gso_size: int
    outgoing: bool
    data: bytes
    vlan: int | None = None

    @property
    def ethertype(self):
        return struct.unpack_from(">H", self.data, 12)[0]

    @property
    def ip(self):
        """(version, protocol, source, destination, transport bytes) or None."""
        data = self.data[14:]
        if self.ethertype == 0x0800:
            head = (data[0] & 15) * 4
            total = struct.unpack_from(">H", data, 2)[0]
            # BIG TCP aside, a zero length does not occur.
            return 4, data[9], data[12:16], data[16:20], data[head:total]
        if self.ethertype == 0x86DD:
            length = struct.unpack_from(">H", data, 4)[0]
            return 6, data[6], data[8:24], data[24:40], data[40:40 + length]
        return None

    def ports(self):
        ip = self.ip
        return struct.unpack_from(">HH", ip[4]) if ip and ip[1] in (6, 17) else None

    def checksum_right(self):
        """Whether the TCP or UDP checksum in the frame is that of its bytes."""
        version, protocol, source, destination, segment = self.ip
        size = struct.pack(">HH", protocol, len(segment)) if version == 4 \
            else struct.pack(">II", len(segment), protocol)
        return checksum(source + destination + size + segment) == 0


class Capture:
    """Context: frames that pass a NIC while it is open."""

    def __init__(self, nic, limit=20000):
        self.socket = nic.packet_socket(vnet_header=True)
        self.socket.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        self.limit = limit

    def __enter__(self):
        return self

    def frames(self, quiet=0.3, seconds=10):
        """All frames until none comes for a while."""
        end = time.monotonic() + seconds
        found = []
        while time.monotonic() < end and len(found) < self.limit:
            if not select.select([self.socket], [], [], quiet)[0]:
                break
            data, beside, _, address = self.socket.recvmsg(1 << 17, socket.CMSG_SPACE(20))
            flags, gso_type, _, gso_size, _, _ = struct.unpack_from("<BBHHHH", data)
            found.append(Frame(flags, gso_type, gso_size, address[2] == OUTGOING, data[10:], self._vlan(beside)))
        return found

    @staticmethod
    def _vlan(beside):
        """The tag that the kernel has taken off a frame."""
        for level, kind, data in beside:
            if (level, kind) == (SOL_PACKET, PACKET_AUXDATA):
                status, tag = struct.unpack_from("=I12xH", data)
                return tag if status & TP_STATUS_VLAN_VALID else None
        return None

    def __exit__(self, *_):
        self.socket.close()


def ipv4(source, destination, protocol, payload):
    """An IPv4 packet (no Ethernet header); addresses are four bytes each."""
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), 1, 0, 64, protocol, 0) + source + destination
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + payload


def udp4(source, destination, payload, ports=(4000, 4001), damage=False):
    """An IPv4 UDP packet (no Ethernet header) with its checksums filled in."""
    src, dst = socket.inet_aton(source), socket.inet_aton(destination)
    udp = struct.pack(">HHHH", *ports, 8 + len(payload), 0) + payload
    total = checksum(src + dst + struct.pack(">HH", 17, len(udp)) + udp) or 0xFFFF
    if damage:
        total ^= 0x5555
    udp = udp[:6] + struct.pack(">H", total) + udp[8:]
    return ipv4(src, dst, 17, udp)


# From the start of a frame over IPv4 to that of TCP or UDP.
TRANSPORT = 34


def large_frame(near, far, kind, length, ports, segment, flags=0x10):
    """A frame with so much payload, as the stack of `near` would give it to its driver: the checksum field
    has the sum of the pseudo-header. Its virtio header, and its bytes. A kind is that of segmentation, its
    protocol, and where that has its checksum."""
    gso_type, protocol, place = kind
    source, destination = (socket.inet_aton(nic.ip4) for nic in (near, far))
    head = struct.pack(">HHHH", *ports, 8 + length, 0) if protocol == 17 else \
        struct.pack(">HHIIBBHHH", *ports, 1, 1, 5 << 4, flags, 512, 0, 0)
    sum_to_go_on = ~checksum(source + destination + struct.pack(">HH", protocol, len(head) + length)) & 0xFFFF
    head = head[:place] + struct.pack(">H", sum_to_go_on) + head[place + 2:]
    payload = bytes(at % 251 for at in range(length))
    header = struct.pack("<BBHHHH", NEEDS_CSUM, gso_type, TRANSPORT + len(head), segment, TRANSPORT, place)
    return header, ethernet(far.mac, near.mac, 0x0800, ipv4(source, destination, protocol, head + payload))


def ethernet(destination, source, ethertype, payload):
    return mac_bytes(destination) + mac_bytes(source) + struct.pack(">H", ethertype) + payload
