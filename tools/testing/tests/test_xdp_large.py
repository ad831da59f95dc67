# SPDX-License-Identifier: GPL-2.0
"""Large frames under XDP: what becomes of one that is to be cut into segments, by what the
program does with it. The rule is in the user's guide."""

import contextlib

from nic import read
from packet import (EXPERIMENTAL, GSO_NONE, GSO_TCPV4, GSO_UDP_L4, NEEDS_CSUM, TRANSPORT, Capture, Frame,
                    large_frame)
from test_afxdp import clients
from tracing import Traced
from vnrtest import case, check, equal, wait_for
from xdp import Xdp
from xsk import adds_up

ORDER = 56
PARAMS = ["", "mode=big,packed=on,queues=2"]
FULL_PARAMS = [*PARAMS, "packed=on,queues=4,iommu_platform=on", "host_mtu=9000,queue_reset=off", "in_order=on"]
PORT, SEGMENT = 4001, 1000
# Kind of segmentation, its protocol, and where that has its checksum.
KINDS = ((GSO_UDP_L4, 17, 6), (GSO_TCPV4, 6, 16))
LENGTHS = (4000, 30000)


def each(env, at, meant):
    """Sends one of each kind and length by itself. Gives its kind, its bytes, and the frames that are
    `meant` of those that a NIC has meanwhile."""
    for kind in KINDS:
        for length in LENGTHS:
            header, frame = large_frame(env.peer, env.dut, kind, length, ports=(4000, PORT), segment=SEGMENT)
            with Capture(at) as capture, env.peer.packet_socket(protocol=0, vnet_header=True) as sender:
                sender.send(header + frame)
                yield kind, frame, [seen for seen in capture.frames(quiet=1) if meant(seen)]


def is_ours(frame):
    """It came in, and is for the port."""
    ip = None if frame.outgoing else frame.ip
    return ip and ip[0] == 4 and ip[1] in (6, 17) and frame.ports()[1] == PORT


def one_long(kind, sent, got):
    """It is there once and whole: with its checksum, and not to be cut any more."""
    equal([frame.gso_type for frame in got], [GSO_NONE], "segmentation of the frames that arrive")
    frame, place = got[0], TRANSPORT + kind[2]
    equal(len(frame.data), len(sent), "its bytes")
    check(not frame.flags & NEEDS_CSUM and frame.checksum_right(), "its checksum is wrong")
    equal(frame.data[:place] + frame.data[place + 2:], sent[:place] + sent[place + 2:], "its content")


def attached(env, program, **settings):
    xdp = Xdp(env)
    xdp.set(port=PORT, **settings)
    xdp.attach(program, frags=True, overwrite=True)
    return xdp


@case(60)
def passed(env):
    """The stack gets it as it came, to be cut by whoever sends it on."""
    attached(env, "pass")
    for kind, sent, got in each(env, env.dut, is_ours):
        equal([(frame.gso_type, frame.gso_size, frame.flags & NEEDS_CSUM) for frame in got],
              [(kind[0], SEGMENT, NEEDS_CSUM)], "segmentation of the frames that arrive")
        equal(got[0].data, sent, "its content")
    env.ping()


@case(60)
def passed_with_another_head(env):
    """The stack gets one long frame, if the program has put something in front of it."""
    xdp = attached(env, "prepend", head=-14)
    for kind, sent, got in each(env, env.dut, lambda seen: seen.ethertype == EXPERIMENTAL and not seen.outgoing):
        one_long(kind, sent, [Frame(frame.flags, frame.gso_type, frame.gso_size, False, frame.data[14:])
                              for frame in got])
    equal(xdp.seen()["refused"], 0, "refusals")
    env.ping()


@case(90)
def redirected(env):
    """Another device is offered one long frame, which it takes if its MTU allows."""
    with env.joined() as (va, vb):
        attached(env, "redirect", target=int(read("/sys/class/net/va/ifindex")))
        before = env.dut.statistics()
        for _, _, got in each(env, vb, is_ours):
            equal(len(got), 0, "frames that are longer than the MTU")
        after = env.dut.statistics()
        for name in ("rx_xdp_redirects", "rx_xdp_drops"):
            equal(after[name] - before[name], len(KINDS) * len(LENGTHS), name)
        for nic in (va, vb):
            nic.ip(f"link set dev {nic.name} mtu 65535")
        for kind, sent, got in each(env, vb, is_ours):
            one_long(kind, sent, got)
    env.ping()


@case(60)
def redirected_to_processor(env):
    """The stack gets one long frame on another processor."""
    xdp = attached(env, "cpumap")
    xdp.update("processors_frags", 0, ["0", "2", "0", "0"])
    for kind, sent, got in each(env, env.dut, is_ours):
        one_long(kind, sent, got)
    env.ping()


@case(120)
def to_socket(env):
    """A process gets one long frame, in several chunks; one that takes none of these, nothing."""
    attached(env, "socket")
    number = len(KINDS) * len(LENGTHS)
    rounds = [(mode, words, received) for mode in (("-c",) if "-big-" in env.dut.label else ("-c", "-z"))
              for words, received in ((("-F",), number), ((), 0))]
    for mode, words, received in rounds:
        before = env.dut.statistics()
        with contextlib.ExitStack() as stack:
            made = clients(env, stack, mode, *words, "-p")
            for _, _, got in each(env, env.dut, is_ours):
                equal(len(got), 0, "frames that the stack gets")
            results = [client.end() for client in made]
        for result in results:
            adds_up(result)
        equal(sum(result["rx"] for result in results), received, f"frames received with {mode} {words}")
        after = env.dut.statistics()
        for name, count in ("rx_xdp_redirects", number), ("rx_xdp_drops", number - received):
            equal(after[name] - before[name], count, f"{name} with {mode} {words}")
    env.ping()


@case(60)
def transmitted(env):
    """The device gets none of it: it is dropped, counted and traced."""
    attached(env, "tx")
    before = env.dut.statistics()
    with Traced("xdp/xdp_exception") as traced:
        for _, _, got in each(env, env.peer, is_ours):
            equal(len(got), 0, "frames that come back")
        number = len(KINDS) * len(LENGTHS)
        wait_for(lambda: env.dut.statistics()["rx_xdp_drops"] == before["rx_xdp_drops"] + number,
                 f"{number} frames dropped")
        equal(len(traced.lines()), number, "traced exceptions")
    equal(env.dut.statistics()["tx_xdp_tx"], before["tx_xdp_tx"], "frames given to transmit queues")
    env.ping()
