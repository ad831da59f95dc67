# SPDX-License-Identifier: GPL-2.0
"""Receive rings always have room for the longest packet: a device that has too little waits for buffers, and the
driver, whom it does not tell, for packets."""

from bind import CHUNK, USE_SG, Socket
from packet import GSO_TCPV4, Capture, large_frame
from test_afxdp import large_mtu, wait_until_free
from vnrtest import case, check, equal, wait_for
from xdp import Xdp
from xsk import Client, mode, numbered, send

ORDER = 57
PARAMS = ["iommu_platform=on", "packed=on,iommu_platform=on"]
PORT, OTHER = 4001, 4002
HEADERS = 54
# The most beside them of a frame that the kernel does not cut (gso_max_size is longer).
LONGEST = 65535 - HEADERS


def longest_arrives(env, when):
    """The stack gets it whole, though cut by the host where the driver does without large receive."""
    header, frame = large_frame(env.peer, env.dut, (GSO_TCPV4, 6, 16), LONGEST, ports=(4000, OTHER), segment=1448)
    content = b""

    def is_there():
        nonlocal content
        content += b"".join(seen.data[HEADERS:] for seen in capture.frames()
                            if not seen.outgoing and seen.ports() == (4000, OTHER))
        return len(content) >= LONGEST

    with Capture(env.dut) as capture, env.peer.packet_socket(protocol=0, vnet_header=True) as sender:
        sender.send(header + frame)
        wait_for(is_there, f"the longest packet {when}", 8)
    equal(content, frame[HEADERS:], f"its content {when}")


def short_ones(env, count):
    """So many frames of the least length arrive."""
    before = env.dut.counters()["rx_packets"]
    send(env, numbered(env, count, PORT, 18))
    wait_for(lambda: env.dut.counters()["rx_packets"] >= before + count, "short frames")


def small_rings(env):
    """Rings of the fewest descriptors, from which as many short packets were taken as may be before they are
    filled again."""
    for size, taken in ((64, (20, 27, 31)), (32, (6, 10, 15))):
        for count in taken:
            # Buffers are as short as they get, in a ring that is full.
            short_ones(env, 600)
            env.dut.ethtool("-G", "rx", "128")
            env.dut.ethtool("-G", "rx", str(size))
            short_ones(env, count)
            longest_arrives(env, f"after {count} short ones in a ring of {size}")
    env.ping()


@case(90)
def of_the_stack(env):
    """Without a program."""
    env.peer.knows(env.dut)
    small_rings(env)


@case(90)
def with_program(env):
    """With one that takes frames over several buffers."""
    env.peer.knows(env.dut)
    Xdp(env).attach("pass", frags=True)
    small_rings(env)


@case(90)
def with_few_chunks(env):
    """While a process has a queue that gives few chunks, and gives no more."""
    env.peer.knows(env.dut)
    for count in (18, 21, 24, 32, 36):
        with Client(env, mode(env), "-r", "-f", 2048, "--chunks", count, mapped=False):
            longest_arrives(env, f"beside {count} chunks")
            longest_arrives(env, f"once more beside {count} chunks")
        wait_until_free()
    env.ping()


@case(90)
def with_large_receive_off(env):
    """What would not fit in a ring of chunks, however full, comes in parts if it is told to."""
    env.peer.knows(env.dut)
    env.dut.ethtool("-G", "rx", "64")
    env.dut.ethtool("-K", "rx-gro-hw", "off")
    with Client(env, mode(env), "-r", "-F", "-f", 2048, mapped=False):
        longest_arrives(env, "in parts")
        longest_arrives(env, "in parts once more")
    env.ping()


@case(90)
def with_few_chunks_together(env):
    """The same where frames may be over several chunks."""
    env.peer.knows(env.dut)
    large_mtu(env)
    for count in (12, 18, 24, 32):
        socket = Socket(env.dut)
        try:
            socket.fill([CHUNK * index for index in range(count)])
            socket.bind(USE_SG)
            longest_arrives(env, f"beside {count} chunks")
            longest_arrives(env, f"once more beside {count} chunks")
        finally:
            socket.close()
        wait_until_free()
    check(env.reachable(), "no traffic")
