# SPDX-License-Identifier: GPL-2.0
"""Segmentation and checksum offloads, judged by what the other end sees."""

import socket
import struct

from nic import read
from packet import (GSO_ECN, GSO_NONE, GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4, NEEDS_CSUM,
                    Capture, ethernet, large_frame, udp4)
from vnrtest import case, check, equal

ORDER = 20
PARAMS = ["", "mode=big", "packed=on,queues=4"]
PORT = 7777
FRAME = 14 + 1500


def supers(frames, kind):
    return [f for f in frames if f.gso_type & ~GSO_ECN == kind]


def captured_stream(env, near, far, address, length=4 << 20):
    """Frames that far receives while near sends a TCP stream to it."""
    with Capture(far) as capture:
        env.stream("send", address, length, nic=near)
        return [f for f in capture.frames() if not f.outgoing]


def tcp_segmentation(env, near, far, version):
    """near sends with TSO; far, with GRO off, must see the large frames whole."""
    address = far.ip4 if version == 4 else far.ip6
    kind = GSO_TCPV4 if version == 4 else GSO_TCPV6
    overhead = 52 if version == 4 else 72
    far.offload(gro=False)
    seen = supers(captured_stream(env, near, far, address), kind)
    check(len(seen) >= 10, f"only {len(seen)} TSO frames seen by the {far.role}")
    largest = max(len(f.data) for f in seen)
    check(largest > 8000, f"the largest TSO frame seen has {largest} bytes")
    sizes = {f.gso_size for f in seen}
    equal(sizes, {1500 - overhead}, "gso_size of TSO frames")
    check(all(f.flags & NEEDS_CSUM for f in seen), "a TSO frame without NEEDS_CSUM")


@case(60)
def tso4_sent(env):
    """TSO frames of the device under test arrive whole at the peer, IPv4."""
    env.need("HOST_TSO4")
    env.need("GUEST_TSO4", env.peer)
    tcp_segmentation(env, env.dut, env.peer, 4)


@case(60)
def tso6_sent(env):
    """TSO frames of the device under test arrive whole at the peer, IPv6."""
    env.need("HOST_TSO6")
    env.need("GUEST_TSO6", env.peer)
    tcp_segmentation(env, env.dut, env.peer, 6)


@case(60)
def tso4_received(env):
    """The peer's TSO frames are given up whole, with gso_size, IPv4."""
    env.need("GUEST_TSO4")
    env.serve_dut()
    tcp_segmentation(env, env.peer, env.dut, 4)


@case(60)
def tso6_received(env):
    """The peer's TSO frames are given up whole, with gso_size, IPv6."""
    env.need("GUEST_TSO6")
    env.serve_dut()
    tcp_segmentation(env, env.peer, env.dut, 6)


@case(60)
def tso_off(env):
    """With TSO off every frame that leaves is at most an MTU long."""
    env.peer.offload(gro=False)
    env.dut.offload(tso=False)
    for address in (env.peer.ip4, env.peer.ip6):
        frames = captured_stream(env, env.dut, env.peer, address, 1 << 20)
        check(not [f for f in frames if f.gso_type != GSO_NONE], "a GSO frame although TSO is off")
        equal(max(len(f.data) for f in frames), FRAME, "largest frame")
    env.dut.offload(tso=True)
    env.stream("send", env.peer.ip4, 1 << 20)


def udp_segmentation(env, near, far):
    far.offload(gro=False)
    for address, version in ((far.ip4, 4), (far.ip6, 6)):
        # Until its address is known, few large packets are kept.
        env.ping(address, nic=near)
        with Capture(far) as capture:
            result = env.burst(address, 400, 0, gap=2000, segment=1000, nic=near)
            frames = [f for f in capture.frames() if not f.outgoing]
        check(result["received"] == 400 and not result["changed"] and not result["repeated"],
              f"IPv{version}: {result}")
        seen = supers(frames, GSO_UDP_L4)
        check(seen, f"IPv{version}: no USO frame seen by the {far.role}")
        equal({f.gso_size for f in seen}, {1000}, "gso_size of USO frames")
        check(max(len(f.data) for f in seen) > 8000, "no large USO frame")


@case(60)
def uso_sent(env):
    """UDP_SEGMENT's frames leave unsegmented and arrive so, IPv4 and IPv6."""
    env.need("HOST_USO", why="the host's tap has no USO")
    env.need("GUEST_USO4", env.peer, why="the host's tap has no USO")
    udp_segmentation(env, env.dut, env.peer)


@case(60)
def uso_received(env):
    """The peer's USO frames are given up whole."""
    env.need("GUEST_USO4", why="the host's tap has no USO")
    env.serve_dut()
    udp_segmentation(env, env.peer, env.dut)


@case(60)
def gro(env):
    """With TSO off at the peer, GRO of the device under test joins its frames."""
    env.serve_dut()
    env.peer.offload(tso=False, gso=False)
    env.dut.offload(gro=True)
    for address, kind in ((env.dut.ip4, GSO_TCPV4), (env.dut.ip6, GSO_TCPV6)):
        frames = captured_stream(env, env.peer, env.dut, address, 2 << 20)
        check(supers(frames, kind), "no frame was joined")
    env.dut.offload(gro=False)
    frames = captured_stream(env, env.peer, env.dut, env.dut.ip4, 1 << 20)
    check(not supers(frames, GSO_TCPV4), "a frame was joined although GRO is off")


@case(120)
def checksums_on_and_off(env):
    """TCP and UDP arrive right with transmit and receive checksums on and off at each end."""
    for near, far in ((env.dut, env.peer), (env.peer, env.dut)):
        for tx in (True, False):
            for rx in (True, False):
                near.offload(tx=tx)
                if far.features()["rx-checksumming"][1]:
                    far.offload(rx=rx)
                elif not rx:
                    continue
                if near is env.peer and not hasattr(env, "dut_server"):
                    env.serve_dut()
                for address in (far.ip4, far.ip6):
                    env.echo("udp", address, 1, 1460, 97, nic=near)
                    env.echo("tcp", address, 1, 20000, 1999, nic=near)
        near.offload(tx=True)
        if far.features()["rx-checksumming"][1]:
            far.offload(rx=True)


@case(60)
def checksum_in_frame(env):
    """With transmit checksums off, the frame itself carries the right one."""
    env.dut.offload(tx=False)
    for kind, address in (("udp", env.peer.ip4), ("udp", env.peer.ip6),
                          ("tcp", env.peer.ip4), ("tcp", env.peer.ip6)):
        with Capture(env.peer) as capture:
            env.echo(kind, address, 1, 1400, 111)
            frames = [f for f in capture.frames() if not f.outgoing and f.ports()
                      and f.ports()[1] == PORT]
        check(frames, f"{kind} to {address}: nothing captured")
        for frame in frames:
            check(not frame.flags & NEEDS_CSUM, f"{kind} to {address}: the checksum is left open")
            check(frame.checksum_right(), f"{kind} to {address}: wrong checksum in a frame")


@case(60)
def partial_checksum_left_open(env):
    """With transmit checksums on, the device is asked to fill it in (or did)."""
    env.need("CSUM")
    env.need("GUEST_CSUM", env.peer)
    env.dut.offload(tx=True)
    with Capture(env.peer) as capture:
        env.echo("udp", env.peer.ip4, 100, 1000, 100)
        frames = [f for f in capture.frames() if not f.outgoing and f.ports()
                  and f.ports()[1] == PORT]
    check(frames, "nothing captured")
    check(all(f.flags & NEEDS_CSUM for f in frames), "a frame without NEEDS_CSUM")


@case(60)
def congestion_mark(env):
    """A large TCP packet whose first segment says that its sender has slowed down (CWR) is told apart by the
    device and by the stack, both ways."""
    for near, far in ((env.dut, env.peer), (env.peer, env.dut)):
        env.need("HOST_ECN", near)
        env.need("GUEST_ECN", far)
        far.offload(gro=False)
        kind = (GSO_TCPV4 | GSO_ECN, 6, 16)
        header, frame = large_frame(near, far, kind, 4000, ports=(4000, 4001), segment=1000, flags=0x90)
        with Capture(far) as capture, near.packet_socket(protocol=0, vnet_header=True) as sender:
            sender.send(header + frame)
            got = [f for f in capture.frames(quiet=1) if not f.outgoing and f.ports() == (4000, 4001)]
        equal([(f.gso_type, f.gso_size) for f in got], [(GSO_TCPV4 | GSO_ECN, 1000)], f"frames at the {far.role}")
        equal(got[0].data, frame, "its content")


def csum_errors():
    rows = [line.split() for line in read("/proc/net/snmp").splitlines() if line.startswith("Udp:")]
    return int(dict(zip(*rows))["InCsumErrors"])


@case(30)
def wrong_checksum_is_found(env):
    """A frame with a damaged checksum is never taken as verified."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver, \
            env.peer.packet_socket() as sender:
        receiver.bind((env.dut.ip4, 4001))
        receiver.settimeout(2)
        before = csum_errors()
        for damage in (False, True, True, False):
            packet = udp4(env.peer.ip4, env.dut.ip4, b"damaged" if damage else b"sound", damage=damage)
            sender.send(ethernet(env.dut.address, env.peer.address, 0x0800, packet))
        equal([receiver.recv(100) for _ in range(2)], [b"sound"] * 2, "payloads delivered")
        receiver.settimeout(0.3)
        try:
            check(False, f"also delivered: {receiver.recv(100)!r}")
        except TimeoutError:
            pass
        equal(csum_errors() - before, 2, "checksum errors counted")


@case(60)
def every_fragment_count(env):
    """TCP with 1 to 17 fragments in a segment: writes of many sizes under MSG_MORE."""
    for address in (env.peer.ip4, env.peer.ip6):
        with socket.create_connection((address, PORT), timeout=20) as to:
            length = sum(range(1, 17)) * 4099
            sent = bytes((i * 7 + (i >> 8) * 13 + (i >> 16) * 29) & 255 for i in range(length))
            to.sendall(struct.pack("<IIQ", 1, 0, length))
            at = 0
            for pieces in range(1, 17):
                for piece in range(pieces):
                    to.send(sent[at:at + 4099], 0 if piece == pieces - 1 else socket.MSG_MORE)
                    at += 4099
            equal(struct.unpack("<q", to.recv(8, socket.MSG_WAITALL))[0], length, "bytes right")
