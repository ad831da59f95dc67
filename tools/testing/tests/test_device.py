# SPDX-License-Identifier: GPL-2.0
"""What the administrator changes: link, MTU, MAC address, receive mode, VLANs."""

import select
import socket
import struct
import time

from environment import Streams
from nic import run, settle
from packet import EXPERIMENTAL, ethernet
from vnrtest import Failed, case, check, equal, wait_for

ORDER = 30
PARAMS = ["queues=4"]
FOREIGN = "52:54:00:ff:ff:01"
GROUP = "33:33:12:34:56:78"
# Of linux/if_packet.h.
SOL_PACKET, PACKET_ADD_MEMBERSHIP, PACKET_MR_MULTICAST = 263, 1, 0
BROADCAST = "ff:ff:ff:ff:ff:ff"


@case(60)
def host_link(env):
    """The host's cable: carrier follows it, and traffic with it."""
    for _ in range(3):
        env.link(False)
        env.dut.wait_carrier(False)
        check(not env.reachable(), "reachable without a link")
        env.link(True)
        env.dut.wait_carrier(True)
        wait_for(env.reachable, "traffic after the link is back")


@case(60)
def link_state_at_open(env):
    """A link that goes while the netdev is down is gone when it is opened."""
    env.dut.ip("link set dev dut down")
    env.link(False)
    settle()
    env.dut.ip("link set dev dut up")
    # The kernel tells of a change that follows another by up to a second later.
    env.dut.wait_carrier(False)
    env.link(True)
    env.dut.wait_carrier(True)


@case(60)
def link_asked_for_at_once(env):
    """Who asks for the link just after it has gone is told so. What follows from a link is put off for a second
    when it changes that often, and done for who asks."""
    for _ in range(3):
        for up in (False, True, False):
            env.link(up)
            time.sleep(0.15)
        check("Link detected: no" in env.dut.command("ethtool", env.dut.name), "the link is gone")
        env.link(True)
        env.dut.wait_carrier(True)
    wait_for(env.reachable, "traffic after the link is back")


@case(60, ci=True)
def down_and_up_under_traffic(env):
    """ip link set down and up, 20 times, while both ends send."""
    env.serve_dut()
    running = [env.start(env.dut, "burst", env.peer.ip4, 7777, 40000, 1000, 100),
               env.start(env.peer, "burst", env.dut.ip4, 7777, 40000, 1000, 100)]
    for _ in range(20):
        env.dut.ip("link set dev dut down")
        env.dut.ip("link set dev dut up")
        env.dut.wait_carrier()
    for process in running:
        process.kill()
        process.wait()
    env.dut.addresses()
    wait_for(env.reachable, "traffic afterwards")
    env.echo("udp", env.peer.ip4, 0, 1472, 101)
    env.stream("send", env.peer.ip4, 1 << 20)


@case(60)
def mtu_limits(env):
    """68 to 65535 are taken; less and more are refused."""
    link = env.dut.link()
    equal((link["min_mtu"], link["max_mtu"]), (68, 65535), "min_mtu and max_mtu")
    for mtu in (67, 65536):
        try:
            env.dut.ip(f"link set dev dut mtu {mtu}")
        except Failed:
            continue
        check(False, f"MTU {mtu} was taken")
    for mtu in (68, 69, 576, 1280, 1499, 1501, 2000, 4096, 9000, 65535):
        env.dut.ip(f"link set dev dut mtu {mtu}")
        equal(env.dut.link()["mtu"], mtu, "MTU")
        env.ping(size=20)


@case(60)
def mtu_small(env):
    """Traffic with MTUs below Ethernet's on both ends."""
    for mtu in (68, 576, 1280):
        for nic in (env.peer, env.dut):
            nic.ip(f"link set dev {nic.name} mtu {mtu}")
        env.echo("udp", env.peer.ip4, 0, 1600, 53)
        env.echo("tcp", env.peer.ip4, 1, 8192, 511)


@case(60)
def mtu_change_under_traffic(env):
    """The MTU changes while a stream runs; the stream stays right."""
    streams = Streams(env)
    for mtu in (1400, 1500, 3000, 1500, 9000, 1500):
        streams.go_on()
        env.dut.ip(f"link set dev dut mtu {mtu}")
        settle(0.3)
    streams.end()


def arrives(env, destination, expected, what):
    """Whether a frame to that address is given up by the device under test."""
    mark = bytes([arrives.number & 255, arrives.number >> 8]) * 30
    arrives.number += 1
    with env.dut.packet_socket(EXPERIMENTAL) as receiver, env.peer.packet_socket() as sender:
        sender.send(ethernet(destination, env.peer.address, EXPERIMENTAL, mark))
        # What must not arrive has no other sign than that a later frame did.
        sender.send(ethernet(BROADCAST, env.peer.address, EXPERIMENTAL, b"last" + mark))
        seen = False
        while select.select([receiver], [], [], 2)[0]:
            frame = receiver.recv(2000)
            if frame[14:].startswith(b"last" + mark):
                if not seen and expected and select.select([receiver], [], [], 0.3)[0]:
                    seen = frame_is(receiver.recv(2000), mark)
                equal(seen, expected, f"{what}: received")
                return
            seen = seen or frame_is(frame, mark)
        check(False, f"{what}: not even a broadcast frame arrived")


arrives.number = 1


def frame_is(frame, mark):
    return frame[14:].startswith(mark)


@case(60)
def receive_mode(env):
    """Unicast, multicast and broadcast are filtered as the flags of the netdev say."""
    env.need("CTRL_RX")
    arrives(env, env.dut.address, True, "own address")
    arrives(env, BROADCAST, True, "broadcast")
    arrives(env, FOREIGN, False, "foreign unicast")
    arrives(env, GROUP, False, "multicast that nobody joined")
    env.dut.ip("link set dev dut promisc on")
    settle()
    arrives(env, FOREIGN, True, "foreign unicast in promiscuous mode")
    arrives(env, GROUP, True, "multicast in promiscuous mode")
    env.dut.ip("link set dev dut promisc off")
    settle()
    arrives(env, FOREIGN, False, "foreign unicast after promiscuous mode")
    env.dut.ip("link set dev dut allmulticast on")
    settle()
    arrives(env, GROUP, True, "multicast with allmulticast")
    arrives(env, FOREIGN, False, "foreign unicast with allmulticast")
    env.dut.ip("link set dev dut allmulticast off")
    settle()
    arrives(env, GROUP, False, "multicast after allmulticast")


@case(60)
def multicast_filter(env):
    """Joined groups arrive, others do not; more groups than the device can hold arrive too."""
    env.need("CTRL_RX")
    env.dut.ip(f"maddr add {GROUP} dev dut")
    settle()
    arrives(env, GROUP, True, "a joined group")
    arrives(env, "33:33:12:34:56:79", False, "another group")
    many = [f"33:33:aa:bb:00:{i:02x}" for i in range(100)]
    with env.dut.packet_socket(EXPERIMENTAL) as member:
        index = socket.if_nametoindex("dut")
        for group in many:
            address = bytes.fromhex(group.replace(":", ""))
            member.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP,
                              struct.pack("iHH8s", index, PACKET_MR_MULTICAST, len(address), address))
        settle(0.5)
        for group in (many[0], many[50], many[99], GROUP):
            arrives(env, group, True, f"{group} among 100")
    env.dut.ip(f"maddr del {GROUP} dev dut")
    settle(0.5)
    arrives(env, GROUP, False, "a group that was left")


@case(60)
def mac_address(env):
    """A new MAC address is the device's too: it filters by it."""
    env.need("CTRL_MAC_ADDR")
    old, new = env.dut.address, "52:54:00:12:34:99"
    env.dut.ip(f"link set dev dut address {new}")
    equal(env.dut.link()["address"], new, "address")
    settle()
    arrives(env, new, True, "the new address")
    arrives(env, old, False, "the old address")
    env.peer.ip(f"neigh flush dev {env.peer.name}")
    env.ping()
    for wrong in ("01:00:5e:00:00:01", "00:00:00:00:00:00"):
        try:
            env.dut.ip(f"link set dev dut address {wrong}")
        except Failed:
            continue
        check(False, f"address {wrong} was taken")
    env.dut.ip(f"link set dev dut address {old}")
    settle()
    arrives(env, old, True, "the first address again")


@case(60)
def vlan(env):
    """Tagged traffic: added, filtered by the device where it can, removed."""
    run("modprobe", "8021q")
    for nic, last in ((env.dut, 1), (env.peer, 2)):
        nic.ip(f"link add link {nic.name} name {nic.role}.7 type vlan id 7")
        nic.ip(f"addr add 198.51.100.{last}/24 dev {nic.role}.7")
        nic.ip(f"link set dev {nic.role}.7 up")
    env.ping("198.51.100.2")
    env.echo("udp", "198.51.100.2", 0, 1600, 97)
    env.echo("tcp", "198.51.100.2", 1, 20000, 1999)
    env.stream("send", "198.51.100.2", 2 << 20)
    env.dut.ip("link del dut.7")
    env.ping()
    env.dut.ip("link add link dut name dut.7 type vlan id 7")
    env.dut.ip("addr add 198.51.100.1/24 dev dut.7")
    env.dut.ip("link set dev dut.7 up")
    wait_for(lambda: env.reachable("198.51.100.2"), "the VLAN again")
