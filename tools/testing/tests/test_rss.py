# SPDX-License-Identifier: GPL-2.0
"""Received packets go to the queue that Toeplitz gives them."""

import re
import socket

from nic import settle
from toeplitz import flow_hash
from packet import ethernet, udp4
from vnrtest import case, check, equal, wait_for
from xdp import Xdp

ORDER = 46
# Without hash=on beside it: QEMU spreads packets itself then, instead of its tap, and with
# several queues that loses connectivity sooner or later, whatever the driver.
PARAMS = ["queues=4,rss=on,packed=on"]
PORT, FIRST, FLOWS, EACH = 9009, 20000, 16, 20
PORTS = range(FIRST, FIRST + FLOWS)
ENODATA, EOPNOTSUPP = 61, 95
# Not the host's random one.
KEY = bytes((7 * i + 13) & 0xFF for i in range(40))


def table(nic):
    """The indirection table of ethtool -x."""
    found = []
    for row in re.findall(r"^\s*\d+:((?:\s+\d+)+)$", nic.ethtool("-x"), re.M):
        found += map(int, row.split())
    return found


def key(nic):
    text = re.search(r"RSS hash key:\n([0-9a-f:]+)", nic.ethtool("-x"))[1]
    return bytes.fromhex(text.replace(":", ""))


def set_key(nic, value):
    nic.ethtool("-X", "hkey", value.hex(":"))


def send(env, address, ports=PORTS, count=EACH):
    """Datagrams of several flows to the device under test."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    source = env.peer.ip6 if ":" in address else env.peer.ip4
    for port in ports:
        with env.peer.enter(), socket.socket(family, socket.SOCK_DGRAM) as sender:
            sender.bind((source, port))
            for _ in range(count):
                sender.sendto(b"x" * 300, (address, PORT))


def by_queue(env, address):
    """How many packets each queue received while the flows were sent."""
    def received():
        return {queue: count for (side, queue, what), count in env.dut.queue_counters().items()
                if (side, what) == ("rx", "packets")}
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as listener:
        listener.bind(("", PORT))
        env.ping(address=env.peer.ip6 if ":" in address else env.peer.ip4, count=1)
        before = received()
        send(env, address)
        wait_for(lambda: sum(received().values()) - sum(before.values()) >= FLOWS * EACH,
                 "all datagrams received", 10)
        settle()
        after = received()
    return {queue: after[queue] - before[queue] for queue in after}


def expect(env, address, hash_of, what):
    """Each queue has the packets that the table gives it, and few others."""
    entries = table(env.dut)
    wanted = {queue: 0 for queue in range(env.dut.channels())}
    for port in PORTS:
        wanted[entries[hash_of(port) % len(entries)]] += EACH
    got = by_queue(env, address)
    for queue, count in wanted.items():
        check(count <= got[queue] <= count + 15, f"{what}: received {got}, expected {wanted}")


@case(40)
def connectivity(env):
    """Many flows, UDP and TCP, IPv4 and IPv6, both ways, over four queues."""
    env.need("RSS")
    equal(env.dut.channels(), 4, "queue pairs in use")
    env.serve_dut()
    for near, far in ((env.dut, env.peer), (env.peer, env.dut)):
        for address in (far.ip4, far.ip6):
            env.ping(address, nic=near)
            for _ in range(3):
                env.echo("udp", address, 1, 1472, 490, nic=near)
                env.echo("tcp", address, 1, 65536, 16011, nic=near)
            env.stream("send", address, 1 << 20, nic=near)


@case(60)
def queues_by_hash(env):
    """A flow goes to the queue that key and table give it, also after both were changed."""
    env.need("RSS")
    equal(table(env.dut), [i % 4 for i in range(128)], "table at first")
    for step in ("at first", "another key", "another table"):
        if step == "another key":
            check(key(env.dut) != KEY, "the key at first is the test's")
            set_key(env.dut, KEY)
            equal(key(env.dut), KEY, "key")
        if step == "another table":
            env.dut.ethtool("-X", "weight", "1", "0", "5", "2")
            check(set(table(env.dut)) == {0, 2, 3}, f"table: {table(env.dut)}")
        now = key(env.dut)
        expect(env, env.dut.ip4,
               lambda port: flow_hash(now, env.peer.ip4, env.dut.ip4, (port, PORT)), step)
    expect(env, env.dut.ip6,
           lambda port: flow_hash(now, env.peer.ip6, env.dut.ip6, (port, PORT)), "IPv6")
    env.dut.ethtool("-X", "default")
    equal(table(env.dut), [i % 4 for i in range(128)], "table by default")
    expect(env, env.dut.ip4,
           lambda port: flow_hash(now, env.peer.ip4, env.dut.ip4, (port, PORT)), "default")


@case(60)
def hash_fields(env):
    """Without ports in the hash, all flows of two hosts go to one queue; others stay."""
    env.need("RSS")
    set_key(env.dut, KEY)

    def fields(flow):
        return env.dut.ethtool("-n", "rx-flow-hash", flow)
    for flow in ("tcp4", "udp4", "tcp6", "udp6"):
        check("L4 bytes" in fields(flow) and "IP SA" in fields(flow), f"{flow}: {fields(flow)}")
    env.dut.ethtool("-N", "rx-flow-hash", "udp4", "sd")
    check("L4 bytes" not in fields("udp4") and "IP SA" in fields("udp4"), fields("udp4"))
    check("L4 bytes" in fields("tcp4") and "L4 bytes" in fields("udp6"), "others changed too")
    expect(env, env.dut.ip4,
           lambda port: flow_hash(KEY, env.peer.ip4, env.dut.ip4), "addresses alone")
    expect(env, env.dut.ip6,
           lambda port: flow_hash(KEY, env.peer.ip6, env.dut.ip6, (port, PORT)), "IPv6")
    for words in (("udp4", "s"), ("udp4", "m"), ("ether", "sd")):
        env.dut.ethtool("-N", "rx-flow-hash", *words, check=False)
    check("L4 bytes" not in fields("udp4") and "IP SA" in fields("udp4"), fields("udp4"))
    env.dut.ethtool("-N", "rx-flow-hash", "udp4", "sdfn")
    expect(env, env.dut.ip4,
           lambda port: flow_hash(KEY, env.peer.ip4, env.dut.ip4, (port, PORT)), "ports again")


@case(60)
def programs_have_no_hash(env):
    """A device that spreads packets by a hash, but does not report it: a program is told so, and has no
    bytes of the packet for one."""
    check(not env.dut.negotiated("HASH_REPORT"), "the device reports hashes")
    xdp = Xdp(env)
    place = xdp.bound("hash")
    # C has the switch where the device spreads packets.
    env.dut.ethtool("-K", "rxhash", "on", check=False)
    env.dut.command("bpftool", "net", "attach", "xdpdrv", "pinned", place, "dev", "dut")
    with env.peer.packet_socket(protocol=0) as sender:
        for port in PORTS:
            sender.send(ethernet(env.dut.mac, env.peer.mac, 0x0800,
                                 udp4(env.peer.ip4, env.dut.ip4, b"x" * 64, ports=(port, PORT))))
    wait_for(lambda: env.dut.statistics()["rx_xdp_drops"] >= FLOWS, "frames at the program")
    reports = xdp.dump("reports")
    for port in PORTS:
        value, _, _, error = (int.from_bytes(reports[port % 63][i:i + 4], "little") for i in range(0, 16, 4))
        check(value == 0 and error in (ENODATA, EOPNOTSUPP), f"hash {value:#x}, error {error} for source port {port}")
