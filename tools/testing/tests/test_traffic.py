# SPDX-License-Identifier: GPL-2.0
"""ICMP, UDP and TCP in every size, both ways, with the content compared."""

import os
import socket
import struct

from test_soak import losses, own_losses
from vnrtest import case, check, equal

ORDER = 10
PARAMS = [""]
PEERS = ("c", "rust")


@case(90)
def icmp_every_size(env):
    """Echo requests with 0 to 1600 bytes, IPv4 and IPv6."""
    for address in (env.peer.ip4, env.peer.ip6):
        env.echo("icmp", address, 0, 1600)


@case(90)
def udp4_every_size(env):
    """UDP over IPv4, 0 to 1600 bytes (fragments from 1473)."""
    env.echo("udp", env.peer.ip4, 0, 1600)


@case(90)
def udp6_every_size(env):
    """UDP over IPv6, 0 to 1600 bytes (fragments from 1453)."""
    env.echo("udp", env.peer.ip6, 0, 1600)


@case(90)
def tcp4_every_size(env):
    """TCP messages over IPv4, 1 to 1600 bytes."""
    env.echo("tcp", env.peer.ip4, 1, 1600)


@case(90)
def tcp6_every_size(env):
    """TCP messages over IPv6, 1 to 1600 bytes."""
    env.echo("tcp", env.peer.ip6, 1, 1600)


@case(90)
def sweep_to_64k(env):
    """UDP, TCP and ICMP from 1601 bytes to 64 KiB, in odd steps."""
    for address in (env.peer.ip4, env.peer.ip6):
        env.echo("udp", address, 1601, 65000, 641)
        env.echo("tcp", address, 1601, 65536, 641)
        env.echo("icmp", address, 1601, 65000, 1283)


@case(60)
def from_the_peer(env):
    """The same when the peer starts: sizes and sweeps, IPv4 and IPv6."""
    env.serve_dut()
    for address in (env.dut.ip4, env.dut.ip6):
        for kind in ("udp", "tcp", "icmp"):
            env.echo(kind, address, 1, 1600, 13, nic=env.peer)
            env.echo(kind, address, 1601, 65000, 3001, nic=env.peer)


@case(90)
def mtu_9000(env):
    """Jumbo frames: both ends at MTU 9000, sizes around and beyond it."""
    for nic in (env.peer, env.dut):
        nic.ip(f"link set dev {nic.name} mtu 9000")
    env.ping(size=8972)
    env.dut.command("ping", "-n", "-q", "-M", "do", "-c", "2", "-W", "2", "-s", "8972", env.peer.ip4)
    for address in (env.peer.ip4, env.peer.ip6):
        env.echo("udp", address, 1, 9200, 61)
        env.echo("udp", address, 8900, 9010)
        env.echo("tcp", address, 1, 65536, 1201)
        env.stream("send", address, 16 << 20)
        env.stream("recv", address, 16 << 20)


@case(90)
def tcp_streams(env):
    """One stream each way, then eight at once, IPv4 and IPv6."""
    for address in (env.peer.ip4, env.peer.ip6):
        env.stream("send", address, 32 << 20)
        env.stream("recv", address, 32 << 20)
    running = [env.start(env.dut, "stream", direction, address, 7777, 4 << 20)
               for direction in ("send", "recv")
               for address in (env.peer.ip4, env.peer.ip6) for _ in range(2)]
    for process in running:
        result, good = env.finish(process)
        check(good, f"a stream among eight: {result}")


@case(60)
def udp_bursts(env):
    """One-way UDP in both directions: nothing repeated, changed or lost, but what others count as lost."""
    env.serve_dut()
    own = own_losses(env.dut)
    for size in (16, 64, 1000, 1472):
        for nic, address in ((env.dut, env.peer.ip4), (env.peer, env.dut.ip6)):
            size_now = size if ":" not in address else min(size, 1452)
            elsewhere = losses(env)
            result = env.burst(address, 2000, size_now, gap=200, nic=nic)
            lost = result["sent"] - result["received"]
            # A host that is busy elsewhere may leave a tap without room; the device itself must not.
            check(result["changed"] == 0 and result["repeated"] == 0 and lost <= losses(env) - elsewhere,
                  f"{size_now} bytes from the {nic.role}: {result}")
    equal(own_losses(env.dut), own, "packets that the device under test dropped")


@case(60)
def sendfile(env):
    """TCP from a file's pages (fragments that are not the driver's), compared."""
    length, period = 8 << 20, 1 << 16
    first = bytes((i * 7 + (i >> 8) * 13) & 255 for i in range(period))
    with open("/dev/shm/pattern", "wb") as file:
        for i in range(length // period):
            file.write(first.translate(bytes((b + i * 29) & 255 for b in range(256))))
    for address in (env.peer.ip4, env.peer.ip6):
        with socket.create_connection((address, 7777), timeout=30) as to, \
                open("/dev/shm/pattern", "rb") as file:
            to.settimeout(None)
            to.sendall(struct.pack("<IIQ", 1, 0, length))
            at = 0
            while at < length:
                at += os.sendfile(to.fileno(), file.fileno(), at, length - at)
            right = struct.unpack("<q", to.recv(8, socket.MSG_WAITALL))[0]
        check(right == length, f"to {address}: first wrong byte at {right}")
