# SPDX-License-Identifier: GPL-2.0
"""Packets that netpoll sends, and transmit queues that it polls: kernel messages on
their way to the peer (netconsole)."""

import contextlib
import socket

from nic import run, settle
from vnrtest import case, check, wait_for
from xdp import Xdp

ORDER = 32
# A device that sends 0.2 s after it was told: meanwhile the stack waits.
SLOW = "tx=timer,x-txtimer=200000000"
PARAMS = ["queues=4", SLOW]


@contextlib.contextmanager
def netconsole(env):
    """Kernel messages go to the peer: gives where they arrive."""
    target = "/sys/kernel/config/netconsole/vnr"
    with env.peer.enter():
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with receiver:
        receiver.bind((env.peer.ip4, 6666))
        receiver.settimeout(5)
        run("modprobe", "netconsole")
        try:
            run("sh", "-c", f"mkdir {target} && cd {target} && echo dut >dev_name && echo {env.dut.ip4} >local_ip "
                            f"&& echo {env.peer.ip4} >remote_ip && echo {env.peer.address} >remote_mac "
                            "&& echo 1 >enabled")
            yield receiver
        finally:
            run("sh", "-c", f"echo 0 >{target}/enabled; rmdir {target}")
            run("rmmod", "netconsole")


def say(text):
    with open("/dev/kmsg", "w") as file:
        file.write(f"<4>{text}\n")


def arrive(receiver, wanted):
    """Each of these messages arrives."""
    for text in sorted(wanted):
        say(text)
    heard = b""
    try:
        while not all(text.encode() in heard for text in wanted):
            heard += receiver.recv(4096) + b"\n"
    except TimeoutError:
        missing = [text for text in sorted(wanted) if text.encode() not in heard]
        check(False, f"{len(missing)} of {len(wanted)} messages did not arrive: {missing[:5]}")


@case(60, "*-4q")
def messages(env):
    """Kernel messages arrive at the peer, while other traffic runs."""
    with netconsole(env) as receiver:
        running = env.start(env.dut, "stream", "send", env.peer.ip4, 7777, 16 << 20)
        wanted = {f"netconsole test {i}" for i in range(50)}
        arrive(receiver, wanted)
        result, good = env.finish(running)
        check(good, f"stream beside netconsole: {result}")


@case(60, "*tx=timer*")
def stopped_queue(env):
    """Netpoll polls a queue that the stack waits for: it goes on as soon as the device has sent."""
    def counted(what):
        return sum(value for (side, _, key), value in env.dut.queue_counters().items() if (side, key) == ("tx", what))

    begin = {what: counted(what) for what in ("stop", "wake")}
    with netconsole(env):
        bursts = [env.start(env.dut, "burst", env.peer.ip4, 7777, 10000000, 700, 0) for _ in range(4)]
        try:
            wait_for(lambda: env.dut.counters()["tx_packets"] > 100, "a stream of packets")
            for turn in range(5):
                say(f"netpoll, turn {turn}")
                settle(0.2)
                before = env.dut.counters()["tx_packets"]
                wait_for(lambda: env.dut.counters()["tx_packets"] > before,
                         f"packets after message {turn + 1}", 3)
            for what, before in begin.items():
                check(counted(what) > before, f"no queue was there to {what}: {env.dut.queue_counters()}")
        finally:
            for burst in bursts:
                burst.kill()
                burst.wait()
    wait_for(env.reachable, "traffic afterwards", 10)


@case(60, "*-4q")
def messages_beside_program(env):
    """Kernel messages arrive while a program sends frames back by the same queues, of which none is lost."""
    xdp = Xdp(env)
    xdp.set(port=4001)
    xdp.attach("tx")
    sent = env.dut.statistics()
    with netconsole(env) as receiver:
        env.peer.knows(env.dut)
        burst = env.start(env.peer, "burst", env.dut.ip4, 4001, 10000000, 200, 200)
        wait_for(lambda: env.dut.statistics()["rx_xdp_tx"] > sent["rx_xdp_tx"] + 50, "frames sent back")
        wanted = {f"netconsole beside {i}" for i in range(100)}
        arrive(receiver, wanted)
        before = env.dut.statistics()["rx_xdp_tx"]
        wait_for(lambda: env.dut.statistics()["rx_xdp_tx"] > before + 50, "frames sent back afterwards")
        env.stop(burst)
    env.ping()
