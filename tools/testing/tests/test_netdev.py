# SPDX-License-Identifier: GPL-2.0
"""What users see of a device beside its traffic: statistics, settings, sysfs."""

import fnmatch
import os
import re
import socket
import struct

from genl import device_statistics, page_pool_statistics
from nic import DRIVERS, read, run, write
from vnrtest import between, case, check, equal, wait_for

ORDER = 45
PARAMS = ["", "queues=4,packed=on"]

# The C driver's, in its order; those of XDP are left out.
RX_COUNTERS = ("drops", "kicks")
TX_COUNTERS = ("kicks", "tx_timeouts")
# What ours counts beyond that, after the C driver's of a queue.
TX_COUNTERS_OF_OURS = ("xsk_metadata_errors",)


@case(30)
def counter_names(env):
    """ethtool -S has the C driver's names, in its order: sums, then the queues in use."""
    tx_counters = TX_COUNTERS + (TX_COUNTERS_OF_OURS if env.driver == "rust" else ())
    wanted = [f"rx_{name}" for name in RX_COUNTERS] + [f"tx_{name}" for name in tx_counters]
    for side, names in (("rx", RX_COUNTERS), ("tx", tx_counters)):
        for queue in range(env.dut.channels()):
            wanted += [f"{side}{queue}_{name}" for name in names]
    equal([name for name in env.dut.statistics() if "xdp" not in name], wanted, "counters")


@case(30)
def counter_sums(env):
    """A sum of ethtool -S is that of its queues; notifications are counted."""
    env.echo("udp", env.peer.ip4, 1, 1000, 20)
    counters = env.dut.statistics()
    for side, names in (("rx", RX_COUNTERS), ("tx", TX_COUNTERS)):
        for name in names:
            queues = [value for key, value in counters.items()
                      if re.fullmatch(rf"{side}\d+_{name}", key)]
            equal(counters[f"{side}_{name}"], sum(queues), f"{side}_{name}")
    check(counters["tx_kicks"] > 0 and counters["rx_kicks"] > 0, f"nothing was told: {counters}")


@case(60)
def busy_polling(env):
    """A socket that polls has what comes by the queue, with interrupts put off for longer than it waits."""
    SO_BUSY_POLL, SO_INCOMING_NAPI_ID, SO_PREFER_BUSY_POLL = 46, 56, 69
    settings = {"gro_flush_timeout": "2000000000", "napi_defer_hard_irqs": "100"}
    before = {name: read(f"/sys/class/net/dut/{name}") for name in settings}
    env.peer.knows(env.dut)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind((env.dut.ip4, 9010))
        # Not Python's own, with which the kernel does not wait.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 5, 0))
        with env.peer.enter():
            sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with sender:
            sender.connect((env.dut.ip4, 9010))
            sender.send(b"first")
            equal(listener.recv(100), b"first", "datagram")
            check(listener.getsockopt(socket.SOL_SOCKET, SO_INCOMING_NAPI_ID) > 0, "the socket knows of no queue")
            listener.setsockopt(socket.SOL_SOCKET, SO_PREFER_BUSY_POLL, 1)
            listener.setsockopt(socket.SOL_SOCKET, SO_BUSY_POLL, 200000)
            try:
                for name, value in settings.items():
                    write(f"/sys/class/net/dut/{name}", value)
                for number in range(200):
                    sender.send(b"%d" % number)
                    equal(listener.recv(100), b"%d" % number, "datagram")
            finally:
                for name, value in before.items():
                    write(f"/sys/class/net/dut/{name}", value)
    env.ping()


@case(30)
def queue_statistics(env):
    """The netdev family has each queue's counters, and their sum for the device."""
    env.echo("udp", env.peer.ip4, 1, 1000, 20)
    env.stream("send", env.peer.ip4, 4 << 20)
    index, queues = socket.if_nametoindex("dut"), {}

    def at_rest():
        nonlocal queues
        queues = env.dut.queue_counters()
        device = device_statistics(index)
        return device if env.dut.queue_counters() == queues else None

    # A late frame must not come between the two readings.
    whole = wait_for(at_rest, "counters that stand still", step=0.2)
    kept = {("rx", "packets"), ("rx", "bytes"), ("tx", "packets"), ("tx", "bytes"),
            ("tx", "stop"), ("tx", "wake")}
    equal({(side, what) for side, _, what in queues}, kept, "counters of queues")
    equal(set(whole), kept, "counters of the device")
    for side, what in kept:
        counts = {queue: n for (s, queue, w), n in queues.items() if (s, w) == (side, what)}
        equal(sorted(counts), list(range(env.dut.channels())), f"queues with {side} {what}")
        equal(sum(counts.values()), whole[side, what], f"{side} {what} of all queues")
    check(whole["rx", "packets"] > 50, f"received: {whole}")


@case(30)
def page_pools_count(env):
    """The statistics of the page pools show that packets come from them."""
    index = socket.if_nametoindex("dut")
    before = page_pool_statistics(index)
    check(len(before) >= env.dut.channels(), f"pools: {before}")
    env.stream("recv", env.peer.ip4, 8 << 20)
    env.echo("udp", env.peer.ip4, 200, 1400, 4)
    after = page_pool_statistics(index)
    check(sum(after.values()) > sum(before.values()), f"pages: {before}, then {after}")


@case(30)
def link_settings(env):
    """Users can say what speed and duplex to show; what a virtual device lacks is refused."""
    def shown():
        words = env.dut.command("ethtool", "dut")
        return (re.search(r"Speed: (\S+)", words)[1], re.search(r"Duplex: (\S+)", words)[1])
    equal(shown(), ("Unknown!", "Unknown!"), "before")
    env.dut.ethtool("-s", "speed", "10000", "duplex", "full")
    equal(shown(), ("10000Mb/s", "Full"), "after ethtool -s")
    env.dut.ethtool("-s", "autoneg", "on", check=False)
    env.dut.ethtool("-s", "port", "fibre", check=False)
    equal(shown(), ("10000Mb/s", "Full"), "after refused settings")
    check("Port: Other" in env.dut.command("ethtool", "dut"), "the port changed")
    env.ping()


@case(30)
def time_stamps(env):
    """ethtool -T: software time stamps of sent and received packets, no clock."""
    words = env.dut.ethtool("-T")
    for capability in ("software-transmit", "software-receive", "software-system-clock"):
        check(capability in words, f"no {capability}: {words}")
    check("hardware-transmit" not in words, f"hardware time stamps: {words}")


@case(30)
def sysfs(env):
    """The device loads its driver by name; receive queues show the size of their buffers."""
    name = read(f"{env.dut.device}/modalias")
    path = env.job["module"] if env.driver == "rust" else DRIVERS[env.driver]
    aliases = run("modinfo", "-F", "alias", path).split()
    check(any(fnmatch.fnmatchcase(name, alias) for alias in aliases), f"{name}: not of {aliases}")

    def sizes():
        return [int(env.dut.sysfs(f"queues/rx-{queue}/virtio_net/mergeable_rx_buffer_size"))
                for queue in range(env.dut.channels())]
    for size in sizes():
        between(size, 256, 4096, "bytes of a buffer")
    # Buffers follow the packets, which come by the queue by which those of their flow go out.
    pairs = env.dut.channels()
    # One alone has no such file that can be written.
    queues = [f"{env.dut.device}/net/dut/queues/tx-{queue}/xps_cpus" for queue in range(pairs) if pairs > 1]
    masks = [read(queue) for queue in queues]
    try:
        for queue in queues:
            write(queue, f"{(1 << os.cpu_count()) - 1:x}" if queue == queues[0] else "0")
        env.stream("recv", env.peer.ip4, 16 << 20)
        large = sizes()[0]
        between(large, 1024, 4096, "bytes of a buffer after large packets")
        env.echo("udp", env.peer.ip4, 1, 1000)
        check(sizes()[0] < large, f"{large} bytes stay {sizes()}")
    finally:
        for queue, mask in zip(queues, masks):
            write(queue, mask)


@case(90)
def module_parameters(env):
    """The parameters have the C driver's names, types and permissions, and their effect."""
    module = DRIVERS[env.driver]

    def parameters():
        folder = f"/sys/module/{module}/parameters"
        return {name: (read(f"{folder}/{name}"), os.stat(f"{folder}/{name}").st_mode & 0o777)
                for name in sorted(os.listdir(folder))}
    equal(parameters(), {"csum": ("Y", 0o444), "gso": ("Y", 0o444), "napi_tx": ("Y", 0o644),
                         "napi_weight": ("64", 0o444)}, "parameters")
    offloads = {name for name, (on, _) in env.dut.features().items() if on}
    try:
        env.reload("csum=0", "gso=0", "napi_tx=0", "napi_weight=16")
        equal({name: value for name, (value, _) in parameters().items()},
              {"csum": "N", "gso": "N", "napi_tx": "N", "napi_weight": "16"}, "parameters given")
        now = env.dut.features()
        check({"tx-checksum-ip-generic", "tx-tcp-segmentation"} <= offloads, f"before: {offloads}")
        for name in ("tx-checksum-ip-generic", "tx-scatter-gather", "tx-tcp-segmentation"):
            equal(now[name], (False, True), name)
        # Senders reclaim for themselves, and are stopped and woken where the ring is full.
        env.echo("udp", env.peer.ip4, 1, 1472, 210)
        env.stream("send", env.peer.ip4, 2 << 20)
        env.stream("recv", env.peer.ip4, 2 << 20)
        check(env.burst(env.peer.ip4, 3000, 64)["changed"] == 0, "changed datagrams")
        write(f"/sys/module/{module}/parameters/napi_tx", "1")
        env.dut.unbind()
        env.dut.bind(env.driver)
        env.dut.configure()
        env.ping()
    finally:
        env.reload()


@case(40)
def coalescing(env):
    """Without NOTF_COAL, ethtool -C has one choice: whether sent packets are NAPI's."""
    env.dut.ip("link set dev dut down")

    def shown(*queue):
        words = env.dut.ethtool(*queue, "-c" if not queue else "--show-coalesce")
        found = dict(re.findall(r"^((?:rx|tx)-(?:usecs|frames)):\s+(\d+)", words, re.M))
        return [int(found[key]) for key in ("rx-usecs", "rx-frames", "tx-usecs", "tx-frames")]
    equal(shown(), [0, 1, 0, 1], "at first")
    for words in ("rx-usecs 10", "tx-usecs 10", "rx-frames 2", "tx-frames 8", "adaptive-rx on"):
        env.dut.ethtool("-C", *words.split(), check=False)
        equal(shown(), [0, 1, 0, 1], f"after {words}")
    env.dut.ethtool("-C", "tx-frames", "0")
    equal(shown(), [0, 1, 0, 0], "without NAPI")
    env.dut.configure()
    # Not while it is up.
    env.dut.ethtool("-C", "tx-frames", "1", check=False)
    equal(shown(), [0, 1, 0, 0], "while it is up")
    env.echo("udp", env.peer.ip4, 1, 1472, 210)
    env.stream("send", env.peer.ip4, 2 << 20)
    env.dut.ip("link set dev dut down")
    last = env.dut.channels() - 1
    env.dut.ethtool("--per-queue", "queue_mask", hex(1 << last), "--coalesce", "tx-frames", "1")
    equal(shown("--per-queue", "queue_mask", hex(1 << last)), [0, 1, 0, 1], "one queue")
    env.dut.configure()
    env.stream("send", env.peer.ip4, 1 << 20)


@case(40)
def processors(env):
    """Queues are spread over the processors that are online, also when one goes and comes."""
    folder = "/sys/devices/system/cpu"
    last = max(int(name) for name in re.findall(r"cpu(\d+)\b", " ".join(os.listdir(folder))))

    def spread():
        """(processors that send through each queue, those that are online)"""
        masks = [int(read(f"{env.dut.device}/net/dut/queues/tx-{queue}/xps_cpus").replace(",", ""), 16)
                 for queue in range(env.dut.channels())]
        online = sum(1 << cpu for cpu in range(last + 1)
                     if cpu == 0 or read(f"{folder}/cpu{cpu}/online") == "1")
        return masks, online

    def check_spread(what):
        masks, online = spread()
        union = 0
        for mask in masks:
            union |= mask
            check(mask, f"{what}: a queue without processors: {masks}")
        equal(union, online, f"{what}: processors of all queues")
    if last == 0 or env.dut.channels() == 1:
        # Nothing to spread, and the kernel shows nothing of one queue.
        return
    check_spread("at first")
    write(f"{folder}/cpu{last}/online", "0")
    try:
        check_spread("without the last one")
        env.echo("udp", env.peer.ip4, 1, 1000, 90)
    finally:
        write(f"{folder}/cpu{last}/online", "1")
    check_spread("all again")
    env.echo("udp", env.peer.ip4, 1, 1000, 90)
