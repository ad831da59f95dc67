# SPDX-License-Identifier: GPL-2.0
"""Connectivity with each kind of device: transport, ring, receive mode, queue
pairs, and what else a device may say."""

import re

from vnrtest import case, check, equal

ORDER = 80
PARAMS = "matrix"
C_ON_ALL = ("connectivity",)


def wanted_features(label):
    """Bits that the parameters promise, and bits that they forbid."""
    transport, ring, mode, queues = re.match(
        r"(mmio-legacy|\w+)-(\w+)-(\w+)-(\d)q", label).groups()
    return {
        "VERSION_1": "legacy" not in transport,
        "RING_PACKED": ring == "packed",
        "MRG_RXBUF": mode == "mergeable",
        # The device offers these; a driver that can do both must take them.
        "MQ": int(queues) > 1,
    }


@case(60)
def connectivity(env):
    """The negotiated bits are the device's; ping, UDP and TCP both ways, IPv4 and IPv6."""
    label = env.dut.label
    for bit, wanted in wanted_features(label).items():
        equal(env.dut.negotiated(bit), wanted, f"feature {bit}")
    if "-small-" in label:
        check(not env.dut.negotiated("GUEST_TSO4"), "small mode has GUEST_TSO4")
    for bit, key in (("ACCESS_PLATFORM", "iommu_platform"), ("IN_ORDER", "in_order")):
        if f"{key}=on" in label:
            # The kernel cannot reset a queue that is used in order: ours has one or the other.
            given_up = key == "in_order" and env.driver == "rust" and env.dut.negotiated("RING_RESET")
            equal(env.dut.negotiated(bit), not given_up, f"feature {bit}")
    pairs = int(re.search(r"-(\d)q", label)[1])
    if pairs > 1:
        equal(env.dut.channels(), pairs, "queue pairs in use")
    mtu = re.search(r"host_mtu=(\d+)", label)
    if mtu:
        equal(env.dut.link().get("max_mtu"), int(mtu[1]), "largest MTU")
    env.serve_dut()
    env.ping(env.peer.ip4)
    env.ping(env.peer.ip6)
    for near, far in ((env.dut, env.peer), (env.peer, env.dut)):
        for address in (far.ip4, far.ip6):
            env.echo("udp", address, 0, 1600, 83, nic=near)
            env.echo("udp", address, 1601, 65000, 9001, nic=near)
            env.echo("tcp", address, 1, 65536, 4001, nic=near)
            env.stream("send", address, 2 << 20, nic=near)


@case(60)
def jumbo(env):
    """MTU 9000 where the receive buffers can hold it; 1500 where they cannot."""
    limit = env.dut.link().get("max_mtu", 65535)
    if "-small-" in env.dut.label or limit < 9000:
        mtu = 1500
    else:
        mtu = 9000
    for nic in (env.peer, env.dut):
        nic.ip(f"link set dev {nic.name} mtu {mtu}")
    for address in (env.peer.ip4, env.peer.ip6):
        env.echo("udp", address, mtu - 100, mtu + 100, 7)
        env.echo("tcp", address, 1, 65536, 4001)
        env.stream("send", address, 4 << 20)
        env.stream("recv", address, 4 << 20)


# With one queue it is no other traffic than the rest.
@case(60, sample="*-[!1]q*")
def all_queues(env):
    """With several queue pairs each one carries traffic; with one, it does."""
    pairs = env.dut.channels() or 1
    running = [env.start(env.dut, "stream", direction, address, 7777, 1 << 20)
               for address in (env.peer.ip4, env.peer.ip6)
               for direction in ("send", "recv") for _ in range(pairs)]
    for process in running:
        result, good = env.finish(process)
        check(good, f"one of {len(running)} streams: {result}")
    # From each CPU, a packet: transmit queues are chosen by CPU.
    before = env.dut.queue_counters()
    for cpu in range(pairs):
        env.dut.command("taskset", "-c", str(cpu), "ping", "-n", "-q", "-c", "2", "-i", "0.02",
                        "-W", "2", env.peer.ip4)
    after = env.dut.queue_counters()
    for side in ("rx", "tx"):
        counted = sorted(queue for s, queue, key in after if (s, key) == (side, "packets"))
        equal(counted, list(range(pairs)), f"{side} queues with a packet count")
    idle = [i for i in range(pairs)
            if after["tx", i, "packets"] == before["tx", i, "packets"]]
    check(not idle, f"no packet left by TX queue {idle}")
