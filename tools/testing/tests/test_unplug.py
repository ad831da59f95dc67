# SPDX-License-Identifier: GPL-2.0
"""The host takes the device away (device_del) while it is at work, and gives it back."""

import time

from environment import Streams
from test_afxdp import PORT, ready, receive
from vnrtest import case, check, wait_for
from xdp import Xdp
from xsk import Client, mode, numbered, pinned, send

ORDER = 61
OWN_GUEST = True
PARAMS = ["plug=port,queues=2,iommu_platform=on"]
FULL_PARAMS = [*PARAMS, "plug=port,packed=on,mode=small,iommu_platform=on", "plug=port,mode=big",
               "plug=port,queue_reset=off"]
TURNS, FULL_TURNS = 3, 50


def known(env):
    """The peer need not ask for the device's address."""
    env.peer.knows(env.dut)


@case(150, full=900)
def under_traffic(env):
    """Streams and datagrams both ways are under way."""
    known(env)
    for _ in range(FULL_TURNS if env.full else TURNS):
        env.serve_dut()
        streams = Streams(env)
        bursts = [env.start(env.dut, "burst", env.peer.ip4, 7777, 10000000, 700, 300),
                  env.start(env.peer, "burst", env.dut.ip4, 7777, 10000000, 700, 300)]
        begin = env.dut.counters()["rx_packets"]
        wait_for(lambda: env.dut.counters()["rx_packets"] > begin + 100, "traffic")
        env.unplug()
        for process in (*streams.running.values(), *bursts, env.dut_server):
            process.kill()
            process.wait()
        env.plug()
        env.works()


@case(150, full=900)
def with_program(env):
    """A program sends frames back."""
    known(env)
    for _ in range(FULL_TURNS if env.full else TURNS):
        xdp = Xdp(env)
        xdp.set(port=PORT)
        xdp.attach("tx")
        burst = env.start(env.peer, "burst", env.dut.ip4, PORT, 10000000, 300, 200)
        begin = env.dut.statistics()["rx_xdp_tx"]
        wait_for(lambda: env.dut.statistics()["rx_xdp_tx"] > begin + 100, "frames sent back")
        env.unplug()
        burst.kill()
        burst.wait()
        env.plug()
        check(not xdp.attached(), "a new device has the program")
        env.works()


@case(150, full=900)
def with_socket(env):
    """A process has a queue, and receives, sends, or sends back: all of its memory is free again."""
    for turn in range(FULL_TURNS if env.full else TURNS):
        ready(env)
        words = (("-r",), ("-t", "-G", env.peer.mac), ("-l", "-p"))[turn % 3]
        with Client(env, mode(env), *words) as client:
            send(env, numbered(env, 100, PORT))
            time.sleep(0.2)
            env.unplug()
            client.kill()
        wait_for(lambda: pinned() == 0, "the memory of a socket is free")
        env.plug()
    receive(env, ready(env), mode(env), "-p", count=100)
    env.works()
