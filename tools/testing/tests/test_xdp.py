# SPDX-License-Identifier: GPL-2.0
"""XDP: what a program wants done with a frame is done, and nothing else changes."""

from nic import read, run, settle, write
from packet import EXPERIMENTAL, Capture, ethernet, udp4
from vnrtest import case, check, equal, wait_for
from xdp import Xdp

ORDER = 55
PARAMS = ["", "packed=on,queues=2", "mode=small", "mode=big"]
PORT = 4001


def send(env, payloads, port=PORT):
    """UDP datagrams from the peer, as they are, with whole checksums."""
    with_socket = env.peer.packet_socket(protocol=0)
    frames = [ethernet(env.dut.mac, env.peer.mac, 0x0800, udp4(env.peer.ip4, env.dut.ip4, payload,
                                                              ports=(4000, port)))
              for payload in payloads]
    with with_socket:
        for frame in frames:
            with_socket.send(frame)
    return frames


def payloads(count=64, longest=1400):
    return [bytes((index + at) % 251 for at in range(18 + index * (longest - 18) // count))
            for index in range(count)]


def returned(frame):
    """A frame as it comes back with its addresses swapped."""
    return frame[6:12] + frame[:6] + frame[12:]


def same(got, wanted):
    """All frames are there, unchanged; several queues may mix their order."""
    equal(len(got), len(wanted), "number of frames")
    for one, other in zip(sorted(got), sorted(wanted)):
        equal(one.hex(), other.hex(), "frame")


def meant(frames, port=PORT):
    return [frame.data for frame in frames if not frame.outgoing and len(frame.data) > 38
            and frame.data[36:38] == port.to_bytes(2, "big")]


@case(60, ci=True)
def passes(env):
    """What a program passes is as it was: pings, datagrams of all sizes, streams."""
    xdp = Xdp(env)
    xdp.set()
    xdp.attach("pass")
    equal(xdp.attached(), "native", "mode of the program")
    env.ping()
    env.ping(env.peer.ip6)
    env.echo("udp", env.peer.ip4, 0, 1472, 33)
    env.echo("tcp", env.peer.ip4, 1, 8192, 1021)
    env.stream("recv", env.peer.ip4, 4 << 20)
    env.stream("send", env.peer.ip6, 1 << 20)
    seen = xdp.seen()
    check(seen["frames"] > 100, f"the program saw {seen}")
    statistics = env.dut.statistics()
    check(statistics["rx_xdp_packets"] >= seen["frames"], f"{statistics}, the program saw {seen}")
    equal(statistics["rx_xdp_drops"], 0, "frames dropped")
    xdp.detach()
    equal(xdp.attached(), None, "mode without a program")
    env.ping()
    env.echo("udp", env.peer.ip4, 0, 1472, 101)


@case(40)
def drops(env):
    """What a program drops is counted once, and nothing else is."""
    xdp = Xdp(env)
    xdp.set(port=PORT)
    xdp.attach("drop")
    before = env.dut.statistics(), env.dut.counters()
    send(env, payloads())
    wait_for(lambda: xdp.seen()["frames"] == 64, "64 frames at the program")
    after = env.dut.statistics(), env.dut.counters()
    equal(after[0]["rx_xdp_drops"] - before[0]["rx_xdp_drops"], 64, "xdp_drops")
    equal(after[0]["rx_drops"] - before[0]["rx_drops"], 64, "drops")
    check(after[1]["rx_packets"] - before[1]["rx_packets"] >= 64, "packets are counted")
    env.ping()


@case(40)
def exceptions(env):
    """What a program aborts, or gives no verdict for, is dropped and can be traced."""
    xdp = Xdp(env)
    xdp.set(port=PORT)
    trace = "/sys/kernel/tracing"

    if not __import__("os").path.ismount(trace):
        run("mount", "-t", "tracefs", "tracefs", trace)
    write(f"{trace}/events/xdp/xdp_exception/enable", "1")
    for program, action in (("aborted", "ABORTED"), ("nonsense", "UNKNOWN")):
        write(f"{trace}/trace", "")
        xdp.attach(program, overwrite=True)
        before = env.dut.statistics()["rx_xdp_drops"]
        send(env, payloads(8))
        wait_for(lambda: env.dut.statistics()["rx_xdp_drops"] == before + 8, "8 frames dropped")
        lines = [line for line in read(f"{trace}/trace").splitlines() if "xdp_exception" in line]
        equal(len(lines), 8, f"traced exceptions of {program}")
    write(f"{trace}/events/xdp/xdp_exception/enable", "0")
    env.ping()


@case(60)
def transmits(env):
    """What a program sends back arrives as it was, with the addresses swapped."""
    xdp = Xdp(env)
    xdp.set(port=PORT)
    xdp.attach("tx")
    before = env.dut.statistics()
    with Capture(env.peer) as capture:
        frames = send(env, payloads())
        got = meant(capture.frames())
    same(got, [returned(frame) for frame in frames])
    after = env.dut.statistics()
    equal(after["rx_xdp_tx"] - before["rx_xdp_tx"], 64, "xdp_tx")
    equal(after["tx_xdp_tx"] - before["tx_xdp_tx"], 64, "xdp_tx of transmit queues")
    equal(after["tx_xdp_tx_drops"] - before["tx_xdp_tx_drops"], 0, "xdp_tx_drops")
    env.ping()
    env.echo("tcp", env.peer.ip4, 1, 8192, 1021)
