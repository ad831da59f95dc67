# SPDX-License-Identifier: GPL-2.0
"""QEMU's own virtio-net device with the device model's rings behind it, by
vhost-user: the model's second front end, over the same ring code. Control queue
and configuration space are QEMU's."""

from vnrtest import case, check, equal

ORDER = 36
PARAMS = ["device=vhost-user", "device=vhost-user,packed=on,queues=4"]


@case(60)
def traffic(env):
    """Ping, UDP and TCP through the model, both ways, IPv4 and IPv6."""
    for address in (env.peer.ip4, env.peer.ip6):
        env.ping(address)
        env.echo("udp", address, 0, 1472, 211)
        env.stream("send", address, 1 << 20)
        env.stream("recv", address, 1 << 20)
    env.ping(env.dut.ip4, nic=env.peer)
    port = env.model.port()
    equal(port["running"], True, "the model's device runs")
    equal(port["stats"]["broken"], 0, "rings that made no sense")


@case(60)
def offloads(env):
    """Large frames with partial checksums go both ways as the driver made them."""
    env.model.clear()
    env.stream("send", env.peer.ip4, 2 << 20)
    seen = env.model.traffic()["seen"]
    equal(seen["checksums"]["wrong"], 0, "wrong checksums")
    equal(seen["checksums"]["partial_wrong"], 0, "wrong partial checksums")
    if env.dut.negotiated("HOST_TSO4"):
        check(seen["large"]["tcpv4"] > 0, f"no large frames from the driver: {seen['large']}")
    env.model.clear()
    env.stream("recv", env.peer.ip4, 2 << 20)
    given = env.model.traffic()["given"]
    if env.dut.negotiated("GUEST_TSO4"):
        check(given["bytes"] > 2000 * given["frames"], f"no large frames to the driver: {given}")


@case(60)
def queue_pairs(env):
    """Several flows use several pairs, which the model hears of by their rings."""
    pairs = int(env.dut.label.split("-")[-1].removesuffix("q"))
    equal(env.model.port()["control"]["pairs"], pairs, "pairs in use")
    env.model.clear()
    senders = [env.start(env.dut, "stream", "send", env.peer.ip4, 7777, 1 << 19)
               for _ in range(4)]
    for sender in senders:
        check(env.finish(sender)[1], "a stream was changed or cut")
    by_pair = env.model.traffic()["seen_by_pair"]
    check(len(by_pair) <= pairs, f"pairs that are not in use: {by_pair}")
    check(pairs == 1 or len(by_pair) > 1, f"one pair for all flows: {by_pair}")


@case(60)
def again_and_again(env):
    """Bound and unbound, the rings go on from nothing each time."""
    for _ in range(3):
        env.fresh()
        env.ping(count=2)
        env.stream("send", env.peer.ip4, 1 << 18)


@case(60)
def what_qemu_keeps(env):
    """The machine's own: no command reaches the model, whatever the driver asks for."""
    env.dut.ip("link set dev dut promisc on")
    env.dut.ip("link set dev dut address 02:00:00:00:00:77")
    env.dut.ip("link set dev dut promisc off")
    equal(env.model.port()["control"]["commands"], 0, "commands at the model")
    env.link(False)
    try:
        env.dut.wait_carrier(False)
    finally:
        env.link(True)
    env.dut.wait_carrier(True)
