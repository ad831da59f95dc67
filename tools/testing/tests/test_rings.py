# SPDX-License-Identifier: GPL-2.0
"""Ring sizes (ethtool -G) and queue pairs (ethtool -L) change under traffic, and a
transmit queue that is stuck gets going again."""

import errno
import os
import re
import socket

from environment import Streams
from genl import page_pool_statistics
from nic import run, settle, write
from vnrtest import Failed, case, check, equal, wait_for
from xdp import Xdp
from xsk import Client, adds_up, forwarded, mode, numbered

ORDER = 35
PARAMS = ["queues=4", "packed=on,queues=2", "queues=4,queue_reset=off", "in_order=on,queues=2"]
FULL_PARAMS = [*PARAMS, "in_order=on,queue_reset=off,queues=2", "packed=on,in_order=on,queue_reset=off,queues=2"]
TURNS, FULL_TURNS = 24, 1000
# Of frames that a process gets.
PORT = 4001


def sizes(env):
    """(receive, transmit) descriptors, by ethtool -g."""
    found = re.findall(r"^(RX|TX):\s+(\d+)$", env.dut.ethtool("-g"), re.M)
    now = dict(found[-2:])
    return int(now["RX"]), int(now["TX"])


def refused(env, *words):
    """What ethtool says when it must not work."""
    try:
        env.dut.ethtool(*words)
    except Failed as error:
        return str(error)
    raise Failed(f"ethtool {' '.join(words)} was taken")


def traffic(env, count=10000000):
    """Bidirectional: TCP streams that compare every byte, and datagrams to no end."""
    env.serve_dut()
    env.peer.knows(env.dut)
    streams = Streams(env)
    bursts = [env.start(env.dut, "burst", env.peer.ip4, 7777, count, 700, 1000),
              env.start(env.peer, "burst", env.dut.ip4, 7777, count, 700, 1000)]
    return streams, bursts


def finish(env, streams, bursts):
    """Streams come to their end unchanged; then all kinds of traffic are right."""
    for process in bursts:
        env.stop(process)
    streams.end()
    env.echo("udp", env.peer.ip4, 0, 1472, 101)
    env.echo("tcp", env.peer.ip4, 1, 8192, 1021)


def sane(env, before):
    """Counters go up only, and no more were received than sent, or lost than sent."""
    after = env.dut.counters()
    for key, value in before.items():
        check(after[key] >= value, f"{key} went from {value} to {after[key]}")
    for key in ("rx_errors", "tx_errors", "rx_length_errors", "rx_frame_errors"):
        equal(after[key] - before[key], 0, key)
    return after


@case(150, full=1800)
def resize_under_traffic(env):
    """Rings of all sizes, with traffic both ways; without queue reset a refusal."""
    before, first = env.dut.counters(), sizes(env)
    turns = env.turns(TURNS, FULL_TURNS)
    streams, bursts = traffic(env)
    wait_for(lambda: env.dut.counters()["rx_packets"] > before["rx_packets"] + 50, "traffic")
    if not env.dut.negotiated("RING_RESET"):
        said = refused(env, "-G", "rx", "64", "tx", "64")
        if env.driver == "rust":
            check("cannot reset" in said, said)
        equal(sizes(env), first, "sizes after a refusal")
        turns = 0
    for turn in range(turns):
        rx, tx = (64, 128, 256)[turn % 3], (128, 64, 256, 256)[turn % 4]
        env.dut.ethtool("-G", "rx", str(rx), "tx", str(tx), check=sizes(env) != (rx, tx))
        equal(sizes(env), (rx, tx), f"sizes after change {turn + 1}")
        streams.go_on()
        if turn % 8 == 7:
            wait_for(env.reachable, f"traffic after change {turn + 1}")
    finish(env, streams, bursts)
    after = sane(env, before)
    # The device is waited for, so that what was to be sent is not lost.
    if env.driver == "rust":
        equal(after["tx_dropped"] - before["tx_dropped"], 0, "packets that were not sent")


@case(60)
def resize_while_down(env):
    """Sizes that are set while the netdev is down are those it comes up with."""
    if not env.dut.negotiated("RING_RESET"):
        refused(env, "-G", "rx", "64")
        return
    env.dut.ip("link set dev dut down")
    env.dut.ethtool("-G", "rx", "64", "tx", "128")
    env.dut.ip("link set dev dut up")
    env.dut.wait_carrier()
    env.dut.addresses()
    equal(sizes(env), (64, 128), "sizes")
    wait_for(env.reachable, "traffic")
    env.echo("udp", env.peer.ip4, 0, 1472, 101)
    env.stream("send", env.peer.ip4, 4 << 20)
    env.stream("recv", env.peer.ip4, 4 << 20)


@case(60)
def resize_refused(env):
    """Sizes that a ring cannot have are refused, and change nothing."""
    first = sizes(env)
    for words in (("rx", "0"), ("rx", str(1 << 20)), ("tx", str(1 << 20)), ("rx-mini", "64")):
        refused(env, "-G", *words)
        equal(sizes(env), first, f"sizes after a refusal of {words}")
    if env.driver == "rust" and env.dut.negotiated("RING_RESET"):
        check("32 descriptors" in refused(env, "-G", "tx", "16"), "no reason was given")
        if not env.dut.negotiated("RING_PACKED"):
            check("power of two" in refused(env, "-G", "rx", "100"), "no reason was given")
    equal(sizes(env), first, "sizes in the end")
    env.ping()


@case(150, full=1800)
def channels_under_traffic(env):
    """Every number of queue pairs, with traffic both ways that is spread by RPS too: all of them
    carry it."""
    most = env.dut.channels()
    before = env.dut.counters()
    # It looks at which queue a packet came by, and complains of one that there is not.
    for queue in range(most):
        write(f"/sys/class/net/dut/queues/rx-{queue}/rps_cpus", "1")
    turns = env.turns(TURNS, FULL_TURNS)
    streams, bursts = traffic(env)
    for turn in range(turns):
        pairs = (1, most, max(1, most // 2), most, 1, most, max(1, most - 1), most)[turn % 8]
        if env.dut.channels() != pairs:
            env.dut.ethtool("-L", "combined", str(pairs))
        equal(env.dut.channels(), pairs, f"queue pairs after change {turn + 1}")
        streams.go_on()
        if turn % 8 == 7:
            wait_for(env.reachable, f"traffic after change {turn + 1}")
    finish(env, streams, bursts)
    sane(env, before)
    refused(env, "-L", "combined", "0")
    refused(env, "-L", "combined", str(most + 1))
    refused(env, "-L", "rx", "1")
    for queue in range(most):
        write(f"/sys/class/net/dut/queues/rx-{queue}/rps_cpus", "0")


@case(60)
def channels_while_down(env):
    """A number that is set while the netdev is down is the one it comes up with."""
    most = env.dut.channels()
    env.dut.ip("link set dev dut down")
    env.dut.ethtool("-L", "combined", "1")
    env.dut.ip("link set dev dut up")
    env.dut.wait_carrier()
    env.dut.addresses()
    equal(env.dut.channels(), 1, "queue pairs")
    wait_for(env.reachable, "traffic over one pair")
    env.echo("udp", env.peer.ip4, 0, 1472, 301)
    env.dut.ethtool("-L", "combined", str(most))
    env.echo("udp", env.peer.ip4, 0, 1472, 301)
    env.stream("send", env.peer.ip4, 1 << 20)


@case(60, "modern-split-mergeable-4q")
def threaded_polls_end(env):
    """Polls by threads, and no more, beside queues that are not used any more."""
    threaded, most = f"{env.dut.device}/net/dut/threaded", env.dut.channels()
    write(threaded, "1")
    env.ping()
    env.dut.ethtool("-L", "combined", "1")
    write(threaded, "0")
    env.ping()
    env.dut.ethtool("-L", "combined", str(most))
    wait_for(env.reachable, "traffic")


@case(60, "modern-split-*")
def receive_queues_restart(env):
    """The core gives receive queues other memory, with traffic both ways."""
    restart = env.restarter()
    before, pools = env.dut.counters(), set(page_pool_statistics(socket.if_nametoindex("dut")))
    if not env.dut.negotiated("RING_RESET"):
        try:
            restart(0)
            raise Failed("it was done without queue reset")
        except OSError as error:
            equal(error.errno, errno.EOPNOTSUPP, "error without queue reset")
        equal(set(page_pool_statistics(socket.if_nametoindex("dut"))), pools, "page pools")
        env.ping()
        return
    streams, bursts = traffic(env)
    wait_for(lambda: env.dut.counters()["rx_packets"] > before["rx_packets"] + 50, "traffic")
    for turn in range(env.turns(TURNS, FULL_TURNS)):
        try:
            restart(turn % env.dut.channels())
        except OSError as error:
            raise Failed(f"restart {turn + 1}: {os.strerror(error.errno)}") from error
        streams.go_on()
        if turn % 8 == 7:
            wait_for(env.reachable, f"traffic after restart {turn + 1}")
    now = set(page_pool_statistics(socket.if_nametoindex("dut")))
    check(not now & pools, f"pools {pools}, then {now}")
    finish(env, streams, bursts)
    sane(env, before)


@case(120, "modern-split-*")
def tx_timeout_recovers(env):
    """The device misses that it has packets to send: the stuck queue gets going again."""
    env.dut.ethtool("-L", "combined", "1")
    transmit_timeout(env)


@case(120, "modern-split-*")
def tx_timeout_with_program(env):
    """The same with an XDP program, which stays and sees frames."""
    xdp = Xdp(env)
    xdp.set()
    env.dut.ethtool("-L", "combined", "1")
    xdp.attach("pass", frags=True)
    transmit_timeout(env)
    equal(xdp.attached(), "native", "mode of the program")
    before = xdp.seen()["frames"]
    env.ping()
    check(xdp.seen()["frames"] > before, "the program sees no frames any more")


@case(120, "modern-split-*")
def tx_timeout_with_socket(env):
    """The same while a process has the queue, zero-copy where that can be: it sends and receives on, with all of its frames."""
    env.dut.ethtool("-L", "combined", "1")
    xdp = Xdp(env)
    xdp.set(port=PORT)
    xdp.attach("socket")
    with Client(env, "-l", mode(env), "-p", "--verify", "-G", env.peer.mac) as client:
        forwarded(env, numbered(env, 64, PORT), PORT)
        transmit_timeout(env)
        forwarded(env, numbered(env, 64, PORT, first=64), PORT)
        result = client.end()
    adds_up(result)
    equal(result["right"], 128, f"frames of {result}")
    xdp.detach()
    env.works()


def transmit_timeout(env):
    """Provokes a transmit timeout; traffic goes on afterwards."""
    function = run("readlink", "-f", f"{env.dut.device}/..").strip().rsplit("/", 1)[1]
    path = f"/sys/bus/pci/devices/{function}/config"

    def registers(on):
        """Whether the device hears of writes to its registers, such as notifications."""
        with open(path, "r+b", buffering=0) as config:
            config.seek(4)
            command = int.from_bytes(config.read(2), "little")
            config.seek(4)
            config.write((command | 2 if on else command & ~2).to_bytes(2, "little"))

    before = env.dut.counters()
    env.dut.knows(env.peer)
    registers(False)
    burst = env.start(env.dut, "burst", env.peer.ip4, 7777, 10000000, 700, 1000)
    settle(1)
    registers(True)
    wait_for(lambda: env.dut.counters()["tx_errors"] > before["tx_errors"], "a transmit timeout", 30)
    wait_for(env.reachable, "traffic afterwards", 15)
    env.stop(burst)
    env.echo("udp", env.peer.ip4, 0, 1472, 101)
    if env.driver == "rust":
        lost = env.dut.counters()["tx_dropped"] - before["tx_dropped"]
        equal(lost > 0, env.dut.negotiated("RING_RESET"), "whether the ring was reset")
