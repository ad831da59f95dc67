# SPDX-License-Identifier: GPL-2.0
"""The device model, an honest device with all that QEMU's lacks: what it sees of
a driver's frames and commands is what was done. Modes that our driver does not
use yet are proved on the C driver."""

import os
import re
import select
import socket
import struct

from nic import DRIVERS, run, settle, write
from packet import Capture, large_frame
from test_xdp_large import KINDS
from vnrtest import Failed, Skip, case, check, equal, wait_for

ORDER = 35
PARAMS = ["device=model", "device=model,packed=on,queues=4", "device=model,mode=small,queues=4",
          "device=model,packed=on,mode=small", "device=model,queues=4,rss=on,hash=on,guest_hdrlen=on"]
# One of them, where the ring and the layout of buffers make no difference.
ONE = "model-packed-mergeable-4q"
HASHING = "model-*rss=on*"
PORT, FORWARDED = 7777, 7900
# Classes of control commands, and the commands.
RX, MAC, ANNOUNCE, COALESCE = 0, 1, 3, 6


def commands(env, kind, number=None):
    """Answers to the control commands of a class that the model has seen."""
    return [record["ack"] for record in env.model.port()["control"]["history"]
            if record["class"] == kind and number in (None, record["command"])]


def mac(text):
    return [int(part, 16) for part in text.split(":")]


def tried(env, what, *words):
    """ethtool, which may say that the driver has no such thing."""
    try:
        return env.dut.ethtool(*words)
    except Failed as failed:
        if "not supported" in str(failed):
            raise Skip(f"the driver has no {what}") from failed
        raise


@case(60)
def switch(env):
    """Ping, UDP and TCP through the model, both ways."""
    equal(env.model.port()["running"], True, "the model's device runs")
    for address in (env.peer.ip4, env.peer.ip6):
        env.ping(address)
        env.echo("udp", address, 0, 1472, 211)
        env.stream("send", address, 1 << 20)
        env.stream("recv", address, 1 << 20)


@case(60)
def generator_to_socket(env):
    """Frames that the model makes arrive at a socket, content and checksums right."""
    env.serve_dut()
    kinds = [dict(size=size, checksum=checksum, ipv6=ipv6) for size, checksum, ipv6 in
             ((16, "full", False), (1400, "full", True), (600, "valid", False),
              (65, "partial", False), (1300, "partial", True))]
    if env.dut.negotiated("GUEST_USO4"):
        kinds.append(dict(size=1000, segments=12))
    for index, kind in enumerate(kinds):
        env.model.clear()
        frames = 300 // kind.get("segments", 1)
        count, started = frames * kind.get("segments", 1), 1000 + index
        number = env.model.generate(count=frames, run=started, **kind)
        equal(env.model.wait_generated(number)["refused"], 0, "frames that found no buffer")
        equal(env.model.wait_received(started, count), (count, 0, 0),
              f"{kind}: received, repeated, changed")
        given = env.model.traffic()["given"]["frames"]
        check(given >= frames, f"the model gave {given} frames")


@case(60)
def wrong_checksums(env):
    """Frames of the model with a wrong checksum do not reach the socket."""
    env.serve_dut()
    wrong = env.model.generate(count=50, run=2000, checksum="wrong")
    right = env.model.generate(count=50, run=2001)
    for number in (wrong, right):
        env.model.wait_generated(number)
    equal(env.model.wait_received(2001, 50), (50, 0, 0), "sound datagrams")
    equal(env.model.received(2000)[0], 0, "damaged datagrams")


@case(60)
def driver_to_sink(env):
    """What a socket sends arrives at the model: content, checksums, segments."""
    env.model.forward("sink")
    for address in (env.peer.ip4, env.peer.ip6):
        env.dut.knows(env.peer, address)
        for segment in ([], [500]):
            env.model.clear()
            # Nobody answers its question for what arrived; the model knows.
            sender = env.start(env.dut, "burst", address, PORT, 200, 500, 100, *segment)
            wait_for(lambda: env.model.traffic()["seen"]["content"]["received"] >= 200,
                     "datagrams at the model", 20, 0.2)
            sender.kill()
            sender.wait()
            seen = env.model.traffic()["seen"]
            equal((seen["content"]["received"], seen["content"]["repeated"],
                   seen["content"]["changed"]), (200, 0, 0), "received, repeated, changed")
            equal((seen["checksums"]["wrong"], seen["checksums"]["partial_wrong"],
                   seen["nonsense"]), (0, 0, 0), "wrong checksums and headers")
            if segment and env.dut.negotiated("HOST_USO"):
                check(seen["large"]["udp_l4"] > 0, "no USO frame")
                equal(seen["large"]["largest_size"], 500, "size of the segments")


@case(60, "*guest_hdrlen=on*")
def exact_header_lengths(env):
    """Each packet that the device is to cut says how long its headers are, also where data follow them
    in the same piece of memory."""
    env.need("GUEST_HDRLEN")
    env.model.forward("sink")
    with env.dut.packet_socket(vnet_header=True) as sender:
        for kind in KINDS:
            for more in (0, 500):
                header, frame = large_frame(env.dut, env.peer, kind, 4000, (4000, 4001), 1000)
                # So many bytes the socket puts into the first piece.
                flags, gso_type, length, *others = struct.unpack("<BBHHHH", header)
                sender.send(struct.pack("<BBHHHH", flags, gso_type, length + more, *others) + frame)
    wait_for(lambda: env.model.traffic()["seen"]["large"]["udp_l4"] == 2, "packets at the model")
    large = env.model.traffic()["seen"]["large"]
    equal((large["tcpv4"], large["exact_headers"]), (2, 4), "TCP packets, and packets with the length of their headers")


@case(60, ONE)
def large_datagrams(env):
    """A datagram longer than the MTU that the device passes on whole (UFO) arrives so at a socket; forwarded, it
    is cut into fragments, though its header forbids that to others, as the sender has left it to the device."""
    env.need("GUEST_UFO")
    env.serve_dut()
    for run_number, ipv6 in ((1500, False), (1501, True)):
        env.model.generate(count=50, size=8000, fragment=1480 - 8 * ipv6, run=run_number, ipv6=ipv6)
        equal(env.model.wait_received(run_number, 50), (50, 0, 0), f"IPv{6 if ipv6 else 4}: received, repeated, changed")
    far = "198.51.100.1"
    env.peer.ip(f"addr add {far}/32 dev lo")
    env.dut.ip(f"route add {far} via {env.peer.ip4} dev dut")
    try:
        run("sysctl", "-qw", "net.ipv4.ip_forward=1")
        with env.peer.enter(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
            receiver.bind((far, FORWARDED))
            receiver.settimeout(5)
            env.model.generate(count=3, source={"template": {
                "source_mac": env.peer.mac, "destination_mac": env.dut.mac, "source": "198.51.100.2",
                "destination": far, "destination_port": FORWARDED, "size": 8000, "fragment": 1480}})
            equal([len(receiver.recv(10000)) for _ in range(3)], [8000] * 3, "bytes of datagrams that were passed on")
    finally:
        run("sysctl", "-qw", "net.ipv4.ip_forward=0")
        env.peer.ip(f"addr del {far}/32 dev lo")


@case(60, ONE)
def reflected(env):
    """What is sent comes back from the model as it was."""
    env.model.forward("reflect")
    for address in (env.peer.ip4, env.peer.ip6):
        env.dut.knows(env.peer, address)
        env.echo("udp", address, 0, 1472, 101)
        env.ping(address)


@case(60, ONE)
def captured_and_replayed(env):
    """Frames that the model has captured arrive once more when it plays them."""
    env.serve_dut()
    file = os.path.join(os.path.dirname(env.job["module"]), "model.pcap")
    for header in (True, False):
        env.model.ask("capture", file=file, header=header)
    number = env.model.generate(count=30, size=700, run=2500)
    env.model.wait_generated(number)
    equal(env.model.wait_received(2500, 30), (30, 0, 0), "received, repeated, changed")
    # Closed, and so written to the end.
    env.model.stop()
    number = env.model.generate(count=30, source={"pcap": file})
    env.model.wait_generated(number)
    received, repeated, changed = env.model.wait_received(2500, 60)
    check(received >= 55 and repeated >= received - 30 and not changed,
          f"received {received}, repeated {repeated}, changed {changed}")


@case(60)
def offloads_are_seen(env):
    """Checksums and segmentation are the device's, or the driver's when they are off."""
    for address, kind in ((env.peer.ip4, "tcpv4"), (env.peer.ip6, "tcpv6")):
        env.dut.offload(tx=True, tso=True)
        env.model.clear()
        env.stream("send", address, 1 << 20)
        seen = env.model.traffic()["seen"]
        check(seen["large"][kind] > 5, f"{seen['large']}: no TSO frames")
        check(seen["checksums"]["partial"] > 5, "no partial checksums")
        check(seen["longest"] > 8000, f"the longest frame has {seen['longest']} bytes")
        env.dut.offload(tso=False, tx=False)
        env.model.clear()
        env.stream("send", address, 1 << 19)
        off = env.model.traffic()["seen"]
        equal((off["large"][kind], off["checksums"]["partial"], off["longest"]), (0, 0, 1514),
              "TSO frames, partial checksums and the longest frame, without offloads")
        for seen in (seen, off):
            equal((seen["checksums"]["wrong"], seen["checksums"]["partial_wrong"],
                   seen["nonsense"]), (0, 0, 0), "wrong checksums and headers")


@case(60, ONE)
def receive_filters(env):
    """Receive modes, address tables, the MAC address and VLANs are those asked for."""
    control = env.model.port()["control"]
    check(not control["modes"]["promiscuous"], "promiscuous from the beginning")
    for flag, name in (("promisc", "promiscuous"), ("allmulticast", "all_multicast")):
        for on in (True, False):
            env.dut.ip(f"link set dev dut {flag} {'on' if on else 'off'}")
            wait_for(lambda: env.model.port()["control"]["modes"][name] == on,
                     f"{name} is {on} at the model")
    env.dut.ip("maddr add 33:33:12:34:56:78 dev dut")
    group = mac("33:33:12:34:56:78")
    wait_for(lambda: group in env.model.port()["control"]["multicast"], "a group at the model")
    env.dut.ip("maddr del 33:33:12:34:56:78 dev dut")
    wait_for(lambda: group not in env.model.port()["control"]["multicast"], "the group gone")
    before = commands(env, MAC, 1)
    env.dut.ip("link set dev dut address 52:54:00:12:34:99")
    equal(commands(env, MAC, 1), before + [0], "answers to the command for a MAC address")
    env.dut.ip(f"link set dev dut address {env.dut.mac}")
    run("modprobe", "8021q")
    env.dut.ip("link add link dut name dut.7 type vlan id 7")
    wait_for(lambda: 7 in env.model.port()["control"]["vlans"], "the VLAN at the model")
    env.dut.ip("link del dut.7")
    wait_for(lambda: 7 not in env.model.port()["control"]["vlans"], "the VLAN gone")
    check(all(ack == 0 for ack in commands(env, RX)), "a receive command was refused")
    # Old devices want the header and each of two tables in a descriptor of its own.
    parts = {record["parts"] for record in env.model.port()["control"]["history"]
             if (record["class"], record["command"]) == (MAC, 0)}
    equal(parts, {3}, "descriptors of the commands with tables")


@case(60, ONE)
def queue_pairs(env):
    """The number of queue pairs is that of the driver, and so is where it sends."""
    pairs = env.dut.channels()
    equal(env.model.port()["control"]["pairs"], pairs, "queue pairs at the model")
    check(pairs > 1, "one queue pair in use")
    senders = [env.start(env.dut, "burst", env.peer.ip4, PORT, 300, 100, 200) for _ in range(6)]
    for sender in senders:
        env.finish(sender)
    used = env.model.traffic()["seen_by_pair"]
    check(len(used) > 1, f"frames on pairs {used} only")
    check(all(int(pair) < pairs for pair in used), f"frames on pairs {used} of {pairs}")


@case(60, ONE)
def change_of_queue_pairs(env):
    """ethtool -L, with traffic afterwards."""
    for pairs in (2, 1, 4):
        tried(env, "change of the number of queue pairs", "-L", "combined", str(pairs))
        equal(env.model.port()["control"]["pairs"], pairs, "queue pairs at the model")
        env.ping()
        env.stream("send", env.peer.ip4, 1 << 18)


@case(60, ONE)
def guest_offloads(env):
    """Large receive off and on again: the command's bits, and what the model then sends."""
    env.need("CTRL_GUEST_OFFLOADS")
    all_on = env.model.port()["control"]["offloads"]
    env.dut.offload(rx_gro_hw=False)
    fewer = env.model.port()["control"]["offloads"]
    check(fewer & all_on == fewer != all_on, f"offloads {fewer:#x} of {all_on:#x}")
    env.serve_dut()
    env.dut.offload(gro=False)
    with Capture(env.dut) as capture:
        number = env.model.generate(count=10, segments=10, size=1000, run=3000)
        env.model.wait_generated(number)
        equal(env.model.wait_received(3000, 100), (100, 0, 0), "received, repeated, changed")
        longest = max(len(f.data) for f in capture.frames() if not f.outgoing)
    check(longest < 1515, f"the longest frame has {longest} bytes")
    env.dut.offload(rx_gro_hw=True)
    equal(env.model.port()["control"]["offloads"], all_on, "offloads in the end")


@case(60, ONE)
def link_and_announcement(env):
    """The cable, speed and duplex; an announcement is acknowledged, and frames tell of it."""
    for _ in range(3):
        env.link(False)
        env.dut.wait_carrier(False)
        env.link(True)
        env.dut.wait_carrier(True)
    # The C driver looks at the speed as the link comes up, and only then.
    env.link(False)
    env.dut.wait_carrier(False)
    env.model.ask("config", speed=25000, duplex=1)
    env.link(True)
    env.dut.wait_carrier(True)
    check("Speed: 25000Mb/s" in env.dut.command("ethtool", "dut"), "ethtool does not show the speed")
    env.need("GUEST_ANNOUNCE")
    with env.peer.packet_socket(0x0806) as listener:
        env.model.ask("announce")
        wait_for(lambda: 0 in commands(env, ANNOUNCE), "the acknowledgement")
        check(select.select([listener], [], [], 3)[0], "no gratuitous ARP at the peer")


@case(60, ONE)
def storm_of_changes(env):
    """A thousand changes of the configuration while traffic runs."""
    stream = env.start(env.dut, "stream", "send", env.peer.ip4, PORT, 8 << 20)
    env.model.ask("config", speed=1000, times=1000)
    result, good = env.finish(stream)
    check(good, f"stream: {result}")
    env.ping()


@case(60, HASHING)
def rss(env):
    """The indirection table decides on which pair frames arrive."""
    before = tried(env, "RSS", "-x")
    check("toeplitz: on" in before, "no Toeplitz hash")
    # One of 50 of the host's random keys gives neighbouring ports the same bits of the hash.
    env.dut.ethtool("-X", "hkey", bytes((7 * i + 13) & 0xFF for i in range(40)).hex(":"))
    env.serve_dut()
    for weights, allowed in (("1 1 1 1", {0, 1, 2, 3}), ("0 1 0 1", {1, 3}), ("0 0 1 0", {2})):
        env.dut.ethtool("-X", "weight", *weights.split())
        equal(set(env.model.port()["control"]["steering"]["table"]), allowed, "pairs in the table")
        rx = [queue["packets"] for queue in env.model.port()["stats"]["rx"]]
        own = [env.dut.queue_counters()["rx", pair, "packets"] for pair in range(4)]
        number = env.model.generate(count=200, rate=4000, flows=64, run=4000)
        env.model.wait_generated(number)
        now = [queue["packets"] for queue in env.model.port()["stats"]["rx"]]
        gone = {pair for pair in range(4) if now[pair] - rx[pair] > 10}
        equal(gone, allowed, "pairs that the model used")
        counted = [env.dut.queue_counters()["rx", pair, "packets"] - own[pair] for pair in range(4)]
        equal({pair for pair in range(4) if counted[pair] > 10}, allowed, "pairs that the driver counts")


@case(60, HASHING)
def hash_report(env):
    """With hashes in front of frames they arrive as they were, whatever is hashed."""
    if not env.dut.negotiated("HASH_REPORT"):
        raise Skip("the driver has no hash report")
    check(env.model.port()["control"]["steering"]["hash_types"], "no hash type was asked for")
    env.serve_dut()
    for ipv6 in (False, True):
        number = env.model.generate(count=200, rate=4000, flows=16, run=4100 + ipv6, ipv6=ipv6)
        env.model.wait_generated(number)
        equal(env.model.wait_received(4100 + ipv6, 200), (200, 0, 0), "received, repeated, changed")
    env.stream("send", env.peer.ip4, 1 << 19)
    env.stream("recv", env.peer.ip6, 1 << 19)


@case(60, ONE)
def coalescing(env):
    """ethtool -C reaches the model: for all queues, and for one."""
    tried(env, "interrupt coalescing", "-C", "rx-usecs", "50", "rx-frames", "16",
          "tx-usecs", "70", "tx-frames", "32")
    queues = {queue["index"]: queue["coalescing"] for queue in env.model.port()["queues"]}
    for pair in range(env.dut.channels()):
        equal(queues[2 * pair], {"max_usecs": 50, "max_packets": 16}, f"receive queue {pair}")
        equal(queues[2 * pair + 1], {"max_usecs": 70, "max_packets": 32}, f"transmit queue {pair}")
    env.dut.ethtool("-Q", "queue_mask", "0x2", "--coalesce", "rx-usecs", "90", "rx-frames", "5")
    queues = {queue["index"]: queue["coalescing"] for queue in env.model.port()["queues"]}
    equal(queues[2], {"max_usecs": 90, "max_packets": 5}, "receive queue 1")
    equal(queues[0], {"max_usecs": 50, "max_packets": 16}, "receive queue 0")
    env.ping()
    env.stream("send", env.peer.ip4, 1 << 19)
    env.stream("recv", env.peer.ip4, 1 << 19)
    check(all(ack == 0 for ack in commands(env, COALESCE)), "a command was refused")


@case(60, ONE)
def coalescing_again(env):
    """A queue that is reset has what was said of all, until it is told again what it had."""
    tried(env, "coalescing of a queue", "-Q", "queue_mask", "0x2", "--coalesce", "rx-usecs", "90", "rx-frames", "5")
    before = moderation(env)
    equal(before[2], {"max_usecs": 90, "max_packets": 5}, "receive queue 1")
    env.dut.ethtool("-G", "rx", "128", "tx", "128")
    equal(moderation(env)[0::2], before[0::2], "moderation after a reset of the queues")


def moderation(env):
    """What the model was told of each queue, receive queues at even places."""
    queues = {queue["index"]: queue["coalescing"] for queue in env.model.port()["queues"]}
    return [queues[index] for index in range(2 * env.dut.channels())]


@case(60, ONE)
def adaptive_coalescing(env):
    """The kernel moderates queues by what they do, and only while users want that."""
    tried(env, "adaptive coalescing", "-C", "adaptive-rx", "on")
    check(re.search(r"Adaptive RX: on", env.dut.ethtool("-c")), "it is not shown as adaptive")
    before = moderation(env)
    env.serve_dut()
    env.model.generate(rate=20000, size=600, pairs=(0, 1, 2, 3))
    wait_for(lambda: moderation(env)[0::2] != before[0::2], "another moderation", 30)
    equal(moderation(env)[1::2], before[1::2], "moderation of transmit queues")
    # Where it stands it cannot be changed by hand.
    env.dut.ethtool("-C", "rx-usecs", "777", check=False)
    check("777" not in env.dut.ethtool("-c"), "rx-usecs was taken")
    env.dut.ethtool("-C", "adaptive-rx", "off", "rx-usecs", "50", "rx-frames", "16")
    settle(0.5)
    own = [{"max_usecs": 50, "max_packets": 16}] * env.dut.channels()
    equal(moderation(env)[0::2], own, "moderation of receive queues")
    settle(2)
    equal(moderation(env)[0::2], own, "moderation of receive queues after a while")
    env.model.stop()
    if env.driver == "rust":
        env.dut.ethtool("-C", "adaptive-tx", "on")
        before = moderation(env)
        stream = env.start(env.dut, "burst", env.peer.ip4, PORT, 10000000, 700, 0)
        wait_for(lambda: moderation(env)[1::2] != before[1::2], "another moderation to send", 30)
        stream.kill()
        stream.wait()
        equal(moderation(env)[0::2], own, "moderation of receive queues beside it")


@case(60, ONE)
def adaptive_queue(env):
    """One queue is adaptive: others do not become so by what is changed of all, and it stays so."""
    def adaptive():
        return [bool(re.search(r"Adaptive RX: on", env.dut.ethtool("-Q", "queue_mask", hex(1 << pair), "-c")))
                for pair in range(env.dut.channels())]

    tried(env, "adaptive coalescing", "-Q", "queue_mask", "0x2", "--coalesce", "adaptive-rx", "on")
    one = [pair == 1 for pair in range(env.dut.channels())]
    equal(adaptive(), one, "adaptive queues")
    env.dut.ethtool("-C", "tx-usecs", "20")
    equal(adaptive(), one, "adaptive queues after a change of all")
    env.dut.ethtool("-C", "adaptive-rx", "on")
    equal(adaptive(), [True] * len(one), "adaptive queues, of all")
    env.dut.ethtool("-C", "adaptive-rx", "off")
    equal(adaptive(), [False] * len(one), "adaptive queues, of none")


@case(60, ONE)
def ring_sizes(env):
    """ethtool -G resets the model's queues, and they go on in the new size."""
    before = env.model.port()["stats"]["queue_resets"]
    tried(env, "change of ring sizes", "-G", "rx", "128", "tx", "128")
    port = env.model.port()
    check(port["stats"]["queue_resets"] >= before + 2, "no queue was reset")
    sizes = {queue["size"] for queue in port["queues"]
             if queue["running"] and queue["index"] < 2 * env.dut.channels()}
    equal(sizes, {128}, "ring sizes at the model")
    env.ping()
    env.stream("send", env.peer.ip4, 1 << 19)
    env.stream("recv", env.peer.ip4, 1 << 19)


@case(60, ONE)
def removed_under_traffic(env):
    """The slot is removed while frames pass in both directions, and found again. (QEMU
    11.1 cannot unplug a vfio-user device: it stops at an assertion of its own.)"""
    env.model.generate(rate=2000, run=5000)
    sender = env.start(env.dut, "burst", env.peer.ip4, PORT, 1000000, 500, 200)
    wait_for(lambda: env.dut.counters()["rx_packets"] > 100, "frames")
    env.dut.remove()
    sender.kill()
    sender.wait()
    env.model.stop()
    equal(env.model.port()["running"], False, "the model's device runs")
    env.dut.rescan(env.driver)
    wait_for(env.reachable, "traffic again")


@case(60, ONE)
def function_reset(env):
    """A function level reset of an unbound device; it works when bound again."""
    slot = os.path.realpath(f"{env.dut.device}/..")
    env.dut.unbind()
    write(f"{slot}/driver/unbind", os.path.basename(slot))
    check("flr" in open(f"{slot}/reset_method").read(), "no function level reset")
    before = env.model.port()["stats"]["resets"]
    write(f"{slot}/reset", "1")
    check(env.model.port()["stats"]["resets"] > before, "the model was not reset")
    write("/sys/bus/pci/drivers/virtio-pci/bind", os.path.basename(slot))
    env.dut.returned(env.driver)
    equal(env.dut.driver(), DRIVERS[env.driver], "driver")
    wait_for(env.reachable, "traffic again")
