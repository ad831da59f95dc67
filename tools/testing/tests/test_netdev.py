# SPDX-License-Identifier: GPL-2.0
"""What users see of a device beside its traffic: statistics, settings, sysfs."""

import re
import socket

from genl import device_statistics, page_pool_statistics
from vnrtest import case, check, equal, wait_for

ORDER = 45
PARAMS = ["", "queues=4,packed=on"]

# The C driver's, in its order; those of XDP are left out.
RX_COUNTERS = ("drops", "kicks")
TX_COUNTERS = ("kicks", "tx_timeouts")


@case(30)
def counter_names(env):
    """ethtool -S has the C driver's names, in its order: sums, then the queues in use."""
    wanted = [f"rx_{name}" for name in RX_COUNTERS] + [f"tx_{name}" for name in TX_COUNTERS]
    for side, names in (("rx", RX_COUNTERS), ("tx", TX_COUNTERS)):
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
