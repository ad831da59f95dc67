# SPDX-License-Identifier: GPL-2.0
"""What was allocated is given back: page pools, slabs, pages."""

import os

from genl import page_pools
from nic import read, run, settle
from vnrtest import case, check, wait_for

ORDER = 65
OWN_GUEST = True
PARAMS = ["", "mode=big,queues=4"]


def pools_of_both(env):
    found = page_pools()
    with env.peer.enter():
        return found + page_pools()


def some_traffic(env):
    env.echo("udp", env.peer.ip4, 0, 1600, 101)
    env.stream("send", env.peer.ip4, 2 << 20)
    env.stream("recv", env.peer.ip6, 2 << 20)


def flush_deferred():
    """Lets each CPU free the packets whose freeing it has put off to its next softirq."""
    for cpu in range(os.cpu_count()):
        run("taskset", "-c", str(cpu), "ping", "-n", "-q", "-c", "1", "127.0.0.1")


@case(60)
def page_pools_drain(env):
    """Page pools are gone, with nothing in flight, once the devices are unbound."""
    for _ in range(3):
        env.fresh()
        some_traffic(env)
        env.stop_serving()
        for nic in env.nics:
            nic.unbind()
        wait_for(lambda: flush_deferred() or not pools_of_both(env), "no page pool left", 10)


@case(120)
def page_pools_stay_bounded(env):
    """Pages in flight stop growing: rings and the pools' own caches fill, and that is all."""
    index, seen = int(read("/sys/class/net/dut/ifindex")), []
    for _ in range(12):
        some_traffic(env)
        settle(0.5)
        flush_deferred()
        seen.append(sum(pool.get("inflight", 0) for pool in page_pools()
                        if pool.get("ifindex") == index))
        if seen[-1] == 0:
            # The C driver's chains of pages are not from pools.
            check(env.driver == "c" and "big" in env.dut.label, "no pages in flight")
            return
        if len(seen) > 3 and seen[-1] - seen[-4] <= max(64, seen[-4] // 50):
            return
    check(False, f"pages in flight after each round of traffic: {seen}")


def memory():
    """(bytes in slabs, bytes free or easily freed)"""
    for knob, value in (("drop_caches", "3"), ("compact_memory", "1")):
        with open(f"/proc/sys/vm/{knob}", "w") as file:
            file.write(value)
    settle(1)
    rows = dict(line.split(":") for line in read("/proc/meminfo").splitlines())
    values = {key: int(value.split()[0]) * 1024 for key, value in rows.items()}
    return values["SUnreclaim"], values["MemAvailable"]


@case(300, "modern-split-mergeable-1q")
def nothing_leaks_over_cycles(env):
    """Many times load, traffic, unload: no growth of slabs or memory."""
    def cycle():
        env.fresh()
        some_traffic(env)
        env.stop_serving()
        for nic in env.nics:
            nic.unbind()
        env.modules.unload(env.driver)

    for _ in range(6):
        cycle()
    turns = env.turns(20, 20)
    # A leak goes on for ever; what the page allocator keeps for itself comes and goes, so
    # one span of three without a loss is enough.
    spans = []
    for _ in range(3):
        slab, available = memory()
        for _ in range(turns):
            cycle()
        slab_later, available_later = memory()
        spans.append((slab_later - slab >> 10, available - available_later >> 10))
        if spans[-1][0] < 1024 and spans[-1][1] < 8192:
            return
    check(False, f"KiB that slabs grew by and that memory shrank by, in spans of {turns} cycles: {spans}")


def searched():
    """Pages that the kernel has looked at so far, to find some that it can take."""
    counts = dict(line.split() for line in read("/proc/vmstat").splitlines())
    return int(counts["pgscan_kswapd"]) + int(counts["pgscan_direct"])


@case(60)
def low_memory_recovers(env):
    """Receiving goes on after a time in which pages were hard to get."""
    before = searched()
    env.serve_dut()
    flood = env.start(env.peer, "burst", env.dut.ip4, 7777, 10000000, 1400, 0)
    # A file system that takes pages as traffic does, until there are few.
    run("mount", "-t", "tmpfs", "-o", "size=100%", "fill", "/mnt")
    try:
        with open("/mnt/fill", "wb", buffering=0) as file:
            while searched() == before:
                check(file.write(bytes(1 << 20)), "pages are not hard to get")
        settle(1)
    finally:
        run("umount", "/mnt")
    env.stop(flood)
    wait_for(env.reachable, "traffic afterwards")
    some_traffic(env)
