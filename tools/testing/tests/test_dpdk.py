# SPDX-License-Identifier: GPL-2.0
"""DPDK's own AF_XDP driver on the interface, in zero-copy mode: samples/dpdk/dpdk_fwd.c receives, sends
and swaps addresses."""

import json
import os
import re
import select
import subprocess

from nic import run, write
from packet import Capture
from vnrtest import Failed, case, check, equal, wait_for
from xsk import forwarded, numbered, send

ORDER = 58
OWN_GUEST = True
SSE4 = True
PARAMS = ["iommu_platform=on"]
# What runs if nothing was asked for.
UNASKED = ("swap",)
COUNT, PORT = 512, 4001
HUGE_PAGES = 32
# Of frames that it makes itself: for experiments.
ETHERTYPE = b"\x88\xb5"
PROGRAMS = "/sys/fs/bpf"


class Dpdk:
    """The application on the interface under test; a context, which waits for its end."""

    def __init__(self, env, *words, options=""):
        write("/proc/sys/vm/nr_hugepages", str(HUGE_PAGES))
        if not os.path.ismount(PROGRAMS):
            run("mount", "-t", "bpf", "bpf", PROGRAMS)
        with env.dut.enter():
            self.process = subprocess.Popen(
                [f"{env.job['bpf']}/dpdk_fwd", "--no-pci", "--in-memory", "--no-telemetry", "-l", "0", "-m", "48",
                 "--vdev", f"net_af_xdp0,iface={env.dut.name}{options}", "--", *map(str, words)],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.said = []
        self.env = env

    def read(self, key, seconds):
        """The line of JSON with that in it."""
        while select.select([self.process.stdout], [], [], seconds)[0]:
            line = self.process.stdout.readline()
            if not line:
                break
            self.said.append(line)
            if line.startswith("{") and key in line:
                return json.loads(line)
        raise Failed(f"dpdk_fwd does not say {key}: status {self.process.poll()}, {''.join(self.said)[-1500:]}")

    def __enter__(self):
        try:
            equal(self.read("ready", 40)["driver"], "net_af_xdp", "driver")
            sockets = self.env.dut.command("ss", "--xdp", "-e", "-n")
            check(re.search(r"\bzc:1\b", sockets), f"its socket is in zero-copy mode: {sockets}")
        except BaseException:
            self.__exit__()
            raise
        return self

    def end(self):
        result = self.read("rx", 40)
        equal(self.process.wait(20), 0, "status")
        return result

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def over(env):
    """Nothing of it is left, and the stack has its traffic."""
    wait_for(lambda: not env.dut.link().get("xdp"), "its program is gone")
    write("/proc/sys/vm/nr_hugepages", "0")
    wait_for(env.reachable, "traffic of the stack")


@case(90)
def receive(env):
    """All frames of the peer are received."""
    with Dpdk(env, "rx", COUNT, 20) as dpdk:
        send(env, numbered(env, COUNT, PORT), gap=0.02)
        equal(dpdk.end()["rx"], COUNT, "frames received")
    over(env)


@case(90)
def transmit(env):
    """All of its frames come to the peer, as it made them."""
    with Capture(env.peer) as capture:
        with Dpdk(env, "tx", COUNT, 20, env.peer.mac) as dpdk:
            result = dpdk.end()
        equal((result["tx"], result["unsent"]), (COUNT, 0), "frames sent, and not")
        got = [frame.data[14:60] for frame in capture.frames() if frame.data[12:14] == ETHERTYPE]
    equal(len(got), COUNT, "frames that came")
    meant = [number.to_bytes(4, "big") + bytes(number + at & 255 for at in range(4, 46)) for number in range(COUNT)]
    check(got == meant, "they are as they were made, in their order")
    over(env)


@case(90)
def swap(env):
    """Frames of all sizes come back to the peer with the addresses swapped; without and with its busy polling."""
    for options in (",busy_budget=0", ""):
        with Dpdk(env, "macswap", COUNT, 20, options=options) as dpdk:
            forwarded(env, numbered(env, COUNT, PORT), PORT)
            result = dpdk.end()
        equal((result["rx"], result["tx"], result["unsent"]), (COUNT, COUNT, 0), "frames received, sent, and not")
    over(env)
