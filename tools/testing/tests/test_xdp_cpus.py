# SPDX-License-Identifier: GPL-2.0
"""XDP where a device has more queue pairs than there are processors, and fewer: programs send from
whatever queue and processor frames come by."""

import os
import re

from nic import read
from packet import Capture, ethernet, udp4
from test_xdp import meant, payloads, returned, same
from vnrtest import case, check, equal
from xdp import Xdp

ORDER = 58
OWN_GUEST = True
CPUS = 2
FULL_CPUS = (1, 2, 4)
PARAMS = ["queues=3", "packed=on,mode=big,queues=8"]
FULL_PARAMS = [f"{ring}mode={mode},queues={pairs}" for ring in ("", "packed=on,")
               for mode in ("mergeable", "small", "big") for pairs in (1, 2, 3, 4, 8)]
# Where buffers cannot be had back, where the offloads of receiving cannot be changed, and both.
FULL_PARAMS += [f"mode={mode},queues=4,{lacks}" for mode in ("mergeable", "small", "big")
                for lacks in ("queue_reset=off", "ctrl_guest_offloads=off", "queue_reset=off,ctrl_guest_offloads=off")]
PORT, COUNT = 4001, 96


def flows(source, target):
    """Frames of as many flows, so that they are spread over the queues."""
    return [ethernet(target.mac, source.mac, 0x0800, udp4(source.ip4, target.ip4, payload, ports=(5000 + at, PORT)))
            for at, payload in enumerate(payloads(COUNT))]


def use(env, pairs):
    """So many queue pairs, whatever the driver begins with."""
    if env.dut.negotiated("MQ"):
        env.dut.ethtool("-L", "combined", str(pairs))


def pairs_of(env):
    """The queue pairs that the device has."""
    return int(re.search(r"-(\d+)q", env.dut.label)[1])


def comes_back(env):
    """A program sends frames back: all arrive, as they were."""
    with Capture(env.peer) as capture:
        frames = flows(env.peer, env.dut)
        with env.peer.packet_socket(protocol=0) as sender:
            for frame in frames:
                sender.send(frame)
        got = meant(capture.frames(quiet=1))
    same(got, [returned(frame) for frame in frames])


@case(90)
def transmits(env):
    """What a program sends back, of many flows over all queue pairs, arrives as it was."""
    use(env, pairs_of(env))
    xdp = Xdp(env)
    xdp.set(port=PORT)
    xdp.attach("tx")
    before = env.dut.statistics()
    comes_back(env)
    after = env.dut.statistics()
    equal(after["tx_xdp_tx"] - before["tx_xdp_tx"], COUNT, "xdp_tx of transmit queues")
    equal(after["tx_xdp_tx_drops"] - before["tx_xdp_tx_drops"], 0, "xdp_tx_drops")
    env.ping()
    env.echo("tcp", env.peer.ip4, 1, 8192, 1021)


@case(90)
def redirects(env):
    """What other devices send here, on each processor, leaves as it was, beside the stack's traffic."""
    use(env, pairs_of(env))
    xdp = Xdp(env)
    xdp.attach("pass")
    with env.joined() as (va, vb):
        xdp.set(port=PORT, target=int(read("/sys/class/net/dut/ifindex")))
        Xdp(env, va).attach("redirect")
        allowed = os.sched_getaffinity(0)
        try:
            for processor in sorted(allowed):
                os.sched_setaffinity(0, {processor})
                frames = flows(env.dut, env.peer)
                with Capture(env.peer) as capture, vb.packet_socket(protocol=0) as sender:
                    for frame in frames:
                        sender.send(frame)
                    got = meant(capture.frames(quiet=1))
                same(got, frames)
        finally:
            os.sched_setaffinity(0, allowed)
    env.stream("send", env.peer.ip4, 1 << 20)
    env.stream("recv", env.peer.ip4, 1 << 20)


@case(90)
def pairs_change(env):
    """The number of queue pairs changes while a program sends back."""
    xdp = Xdp(env)
    xdp.set(port=PORT)
    xdp.attach("tx")
    most = pairs_of(env)
    for pairs in (1, most, (most + 1) // 2):
        use(env, pairs)
        comes_back(env)
        check(env.reachable(), f"no traffic with {pairs} queue pairs")
