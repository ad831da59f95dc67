# SPDX-License-Identifier: GPL-2.0
"""Received packets carry the hash that the device computed."""

import socket

from nic import settle
from toeplitz import accept_only_hash, flow_hash
from vnrtest import case, equal

ORDER = 47
PARAMS = ["queues=4,hash=on", "rss=on,hash=on,mode=small,packed=on"]
PORT, SOURCE, COUNT = 9009, 20000, 20
# Not the host's random one.
KEY = bytes((7 * i + 13) & 0xFF for i in range(40))


@case(40)
def connectivity(env):
    """The longer header is understood in every layout of buffers, both ways."""
    env.need("HASH_REPORT")
    env.dut.offload(rxhash=True)
    env.serve_dut()
    for near, far in ((env.dut, env.peer), (env.peer, env.dut)):
        for address in (far.ip4, far.ip6):
            env.ping(address, nic=near)
            env.echo("udp", address, 0, 1600, 83, nic=near)
            env.echo("tcp", address, 1, 65536, 8011, nic=near)
            env.stream("send", address, 1 << 20, nic=near)


@case(40)
def hash_report(env):
    """With rxhash on, a packet has the device's hash; with it off, it has not."""
    env.need("HASH_REPORT")
    env.dut.ethtool("-X", "hkey", KEY.hex(":"))
    value = flow_hash(KEY, env.peer.ip4, env.dut.ip4, (SOURCE, PORT))

    def with_hash(wanted):
        with env.dut.packet_socket(0x0800) as capture, \
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
            listener.bind(("", PORT))
            accept_only_hash(capture, wanted)
            with env.peer.enter(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.bind((env.peer.ip4, SOURCE))
                for _ in range(COUNT):
                    sender.sendto(b"x" * 300, (env.dut.ip4, PORT))
            settle(1)
            capture.setblocking(False)
            count = 0
            try:
                while capture.recv(2048):
                    count += 1
            except BlockingIOError:
                return count
    env.ping()
    env.dut.offload(rxhash=True)
    equal(with_hash(value), COUNT, "packets with the flow's hash")
    equal(with_hash(value ^ 1), 0, "packets with another one")
    env.dut.offload(rxhash=False)
    equal(with_hash(value), 0, "packets with a hash while rxhash is off")
