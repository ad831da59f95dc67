# SPDX-License-Identifier: GPL-2.0
"""Counters are what was sent; queues stop and start; byte queue limits work."""

import re

from nic import DRIVERS, read, run, settle
from packet import EXPERIMENTAL, ethernet
from vnrtest import case, check, equal, wait_for

ORDER = 40
PARAMS = ["", "queues=4,packed=on"]
FRAMES, LENGTH = 500, 500


def quiet(env):
    """No frame that the case does not send itself."""
    for nic in (env.dut, env.peer):
        nic.command("sysctl", "-qw", f"net.ipv6.conf.{nic.name}.disable_ipv6=1")
    env.stop_serving()
    settle(0.5)


def send_frames(near, far, count=FRAMES):
    frame = ethernet(far.address, near.address, EXPERIMENTAL, bytes(LENGTH - 14))
    with near.packet_socket() as sender:
        for _ in range(count):
            sender.send(frame)


@case(30)
def rtnl_counters(env):
    """Packets and bytes of the 64-bit counters equal what was sent, both ways."""
    quiet(env)
    for near, far in ((env.dut, env.peer), (env.peer, env.dut)):
        # Frames that nobody wants count as dropped by the core.
        listener = far.packet_socket(EXPERIMENTAL)
        before = near.counters(), far.counters()
        send_frames(near, far)
        wait_for(lambda: far.counters()["rx_packets"] - before[1]["rx_packets"] >= FRAMES,
                 "all frames counted", 5)
        settle()
        after = near.counters(), far.counters()
        listener.close()
        for side, index, what in (("tx", 0, near.role), ("rx", 1, far.role)):
            for key, wanted in (("packets", FRAMES), ("bytes", FRAMES * LENGTH), ("dropped", 0),
                                ("errors", 0)):
                name = f"{side}_{key}"
                equal(after[index][name] - before[index][name], wanted, f"{what}: {name}")


@case(30)
def queue_counters(env):
    """Packets and bytes are counted by queue; they sum to the netdev's."""
    quiet(env)
    send_frames(env.dut, env.peer)
    send_frames(env.peer, env.dut)
    settle(0.5)
    totals, queues = env.dut.counters(), env.dut.queue_counters()
    for side in ("rx", "tx"):
        for key in ("packets", "bytes"):
            own = {queue: count for (s, queue, k), count in queues.items() if (s, k) == (side, key)}
            equal(sorted(own), list(range(env.dut.channels())), f"queues with {side} {key}")
            equal(sum(own.values()), totals[f"{side}_{key}"], f"sum of {side} {key}")


@case(30)
def counters_survive_reopen(env):
    """Down and up does not reset the counters."""
    env.echo("udp", env.peer.ip4, 1, 1000, 10)
    before = env.dut.counters()
    env.dut.ip("link set dev dut down")
    env.dut.ip("link set dev dut up")
    env.dut.wait_carrier()
    after = env.dut.counters()
    for key in ("rx_packets", "tx_packets", "rx_bytes", "tx_bytes"):
        check(after[key] >= before[key] > 0, f"{key}: {before[key]} before, {after[key]} after")


@case(30)
def ethtool_information(env):
    """ethtool -i, -g, -l and link settings answer with sense."""
    info = env.dut.ethtool("-i")
    check(f"driver: {DRIVERS[env.driver]}\n" in info, f"ethtool -i: {info}")
    rings = [int(n) for n in re.findall(r"^[RT]X:\s+(\d+)", env.dut.ethtool("-g"), re.M)]
    equal(rings, [256] * 4, "ring sizes, largest and current")
    equal(env.dut.channels(), int(re.search(r"-(\d)q", env.dut.label)[1]), "channels")
    check("Link detected: yes" in env.dut.command("ethtool", "dut"), "ethtool: no link")


@case(60)
def flood_is_accounted(env):
    """Many rings' worth of packets at once: queues lose nothing that they took."""
    def taken():
        """Packets that the queueing disciplines have given to the driver."""
        # The root's line comes first and is the sum of the others.
        return int(re.search(r"Sent \d+ bytes (\d+) pkt", run("tc", "-s", "qdisc", "show", "dev", "dut"))[1])

    def accounted():
        after = env.dut.counters()
        return sum(after[key] - before[key] for key in ("tx_packets", "tx_dropped"))

    wait_for(env.reachable, "the peer's address")
    before, taken_before = env.dut.counters(), taken()
    running = [env.start(env.dut, "burst", address, 7777, 8000, 64, 0)
               for address in (env.peer.ip4, env.peer.ip6) for _ in range(2)]
    sent = 0
    for process in running:
        result, _ = env.finish(process)
        check(result["changed"] == 0 and result["repeated"] == 0, f"flood: {result}")
        sent += result["sent"]
    # What is in the ring when the senders end still leaves; IP and the queueing
    # disciplines may have shed some on the way to the driver.
    wait_for(lambda: accounted() >= taken() - taken_before,
             f"every packet that the driver took of {sent} sent or counted as dropped")
    got, took = accounted(), taken() - taken_before
    # Many rings' worth, however slow the device.
    check(took > 16 * 256, f"{sent} packets sent, but only {took} reached the driver")
    check(got < took + 1000, f"{took} packets reached the driver, but {got} left or were dropped")
    wait_for(env.reachable, "traffic after the flood")
    env.echo("udp", env.peer.ip4, 0, 1472, 101)
    env.stream("send", env.peer.ip4, 4 << 20)


@case(30)
def byte_queue_limits(env):
    """BQL is in sysfs, adapts to traffic, and has nothing in flight when idle."""
    env.stream("send", env.peer.ip4, 16 << 20)
    pairs = env.dut.channels()
    folders = [f"{env.dut.device}/net/dut/queues/tx-{i}/byte_queue_limits" for i in range(pairs)]
    check(max(int(read(f"{folder}/limit")) for folder in folders) > 0, "the limit never grew")
    for folder in folders:
        wait_for(lambda f=folder: read(f"{f}/inflight") == "0", "nothing in flight when idle", 5)


@case(30)
def napi_and_interrupts(env):
    """Traffic comes by interrupts of the device, and not one for each packet."""
    def interrupts():
        lines = read("/proc/interrupts").splitlines()
        return sum(sum(int(n) for n in line.split()[1:] if n.isdigit())
                   for line in lines if f"{env.dut.virtio}-" in line)
    before = interrupts(), env.dut.counters()["rx_packets"]
    env.stream("recv", env.peer.ip4, 8 << 20)
    env.ping(count=5)
    got = interrupts() - before[0]
    packets = env.dut.counters()["rx_packets"] - before[1]
    check(got > 0, "no interrupt")
    # Each side may interrupt once for a packet; more is a storm.
    check(got < 4 * packets + 100, f"{got} interrupts for {packets} received packets")
