# SPDX-License-Identifier: GPL-2.0
"""Debian's xdp-tools: what their programs do with frames is looked for where these are to come out."""

import contextlib
import os
import re
import select
import signal
import subprocess
import time

from nic import run
from packet import Capture, ethernet, mac_bytes, udp4
from test_xdp import PORT, meant, payloads, returned, same, send
from vnrtest import case, check, equal, wait_for

ORDER = 57
PARAMS = ["queues=2"]
# What runs if nothing was asked for: what the suite xdp has no case of.
UNASKED = ("redirect_multi", "loader")
COUNT = 64
# What xdp-bench says once it has begun, and of all frames when it ends.
BEGUN = re.compile(r"\d+ rx/s")
TOTAL = re.compile(r"^\s*(Packets \w+|Rx dropped)\s*: (\d+)", re.MULTILINE)
# As the loader has them for a device: run first, name, number.
LISTED = re.compile(r"=>\s+(\d+)\s+(\w+)\s+(\d+)")
TWO = "/sys/fs/bpf/vnr-two"


def mounted():
    """Without this the programs can be alone at a device only, and then what they put into maps is refused."""
    if not os.path.ismount("/sys/fs/bpf"):
        run("mount", "-t", "bpf", "bpf", "/sys/fs/bpf")


def preloaded(env):
    mounted()
    return {**os.environ, "LD_PRELOAD": f"{env.job['bpf']}/xdp_tools.so"}


class Bench:
    """xdp-bench, until it is told to end; a context."""

    def __init__(self, env, *words):
        self.words, self.output = words, ""
        # To anything but a terminal it says nothing before its end.
        self.terminal, its = os.openpty()
        self.process = subprocess.Popen(["xdp-bench", *words, "-i", "1"], stdin=subprocess.DEVNULL, stdout=its,
                                        stderr=its, env=preloaded(env))
        os.close(its)

    def __enter__(self):
        if not self.read(BEGUN, 60):
            self.__exit__()
            check(False, f"xdp-bench {' '.join(self.words)} does not begin: {self.output}")
        return self

    def read(self, wanted, seconds):
        """What it says, until that comes; whether it came before its end."""
        end = time.monotonic() + seconds
        while not (wanted and wanted.search(self.output)):
            if not select.select([self.terminal], [], [], max(0, end - time.monotonic()))[0]:
                return False
            try:
                self.output += os.read(self.terminal, 4096).decode().replace("\r", "")
            except OSError:
                return False  # the terminal's other end is closed
        return True

    def end(self):
        """Ends it; what it has counted."""
        self.process.send_signal(signal.SIGINT)
        self.read(None, 30)
        equal(self.process.wait(10), 0, f"status of xdp-bench {' '.join(self.words)}, which said {self.output}")
        return {name: int(value) for name, value in TOTAL.findall(self.output)}

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.terminal)


@contextlib.contextmanager
def pairs(env, *letters):
    """Context: joined devices beside the one under test, va and wa and so on; the w."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(env.joined(names=(f"v{x}", f"w{x}")))[1] for x in letters]


def send_from(env, end, destination, source):
    """Frames from a device of a pair to the peer's address."""
    frames = [ethernet(destination, source, 0x0800, udp4(env.dut.ip4, env.peer.ip4, payload, ports=(4000, PORT)))
              for payload in payloads(COUNT)]
    with end.packet_socket(protocol=0) as sender:
        for frame in frames:
            sender.send(frame)
    return frames


def counted(totals, *names):
    for name in names:
        check(totals.get(name, 0) >= COUNT, f"{name}: {totals}")


@case(60)
def drop(env):
    """xdp-bench drop: no frame gets past, and the driver counts them."""
    with Bench(env, "drop", "dut") as bench, Capture(env.dut) as capture:
        before = env.dut.statistics()["rx_xdp_drops"]
        send(env, payloads(COUNT))
        wait_for(lambda: env.dut.statistics()["rx_xdp_drops"] >= before + COUNT, "frames dropped")
        counted(bench.end(), "Packets received", "Rx dropped")
        got = meant(capture.frames(quiet=0.5))
    equal(len(got), 0, "frames that got past")
    env.ping()


@case(60)
def passes(env):
    """xdp-bench pass: every frame gets to the stack."""
    with Bench(env, "pass", "dut") as bench, Capture(env.dut) as capture:
        frames = send(env, payloads(COUNT))
        got = meant(capture.frames(quiet=1))
        env.ping()
        counted(bench.end(), "Packets received")
    same(got, frames)


@case(60)
def tx(env):
    """xdp-bench tx: every frame comes back."""
    with Bench(env, "tx", "dut") as bench, Capture(env.peer) as capture:
        before = env.dut.statistics()["tx_xdp_tx"]
        frames = send(env, payloads(COUNT))
        got = meant(capture.frames(quiet=1))
        counted(bench.end(), "Packets received")
    same(got, [returned(frame) for frame in frames])
    check(env.dut.statistics()["tx_xdp_tx"] - before >= COUNT, "xdp_tx")
    env.ping()


def there_and_here(env, *words, out=()):
    """Frames go from the device under test to another, and from that to this. With `out`, those are words
    for the way to the other, for a program there that writes the source of frames."""
    with pairs(env, "a") as [end]:
        with Bench(env, *words, *out, "-s", "dut", "va") as bench, Capture(end) as capture:
            before = env.dut.statistics()["rx_xdp_redirects"]
            frames = send(env, payloads(COUNT))
            got = meant(capture.frames(quiet=1))
            counted(bench.end(), "Packets received", "Packets redirected", "Packets transmitted")
        wanted = [returned(frame) for frame in frames]
        if out:
            # The compiler has taken the source that it writes for noughts, which no bridge would pass.
            check(all(frame[6:12] != mac_bytes(env.dut.mac) for frame in got), "sources of frames")
            got, wanted = ([frame[:6] + frame[12:] for frame in each] for each in (got, wanted))
        same(got, wanted)
        check(env.dut.statistics()["rx_xdp_redirects"] - before >= COUNT, "xdp_redirects")
        with Bench(env, *words, "-s", "va", "dut") as bench, Capture(env.peer) as capture:
            before = env.dut.statistics()["tx_xdp_tx"]
            frames = send_from(env, end, env.dut.mac, env.peer.mac)
            got = meant(capture.frames(quiet=1))
            counted(bench.end(), "Packets received", "Packets redirected", "Packets transmitted")
        same(got, [returned(frame) for frame in frames])
        check(env.dut.statistics()["tx_xdp_tx"] - before >= COUNT, "xdp_tx of transmit queues")
    env.ping()


@case(90)
def redirect(env):
    """xdp-bench redirect, both ways."""
    there_and_here(env, "redirect")


@case(90)
def redirect_map(env):
    """xdp-bench redirect-map, both ways, and with a program at one way out."""
    there_and_here(env, "redirect-map", out=["-X"])


@case(90)
def redirect_multi(env):
    """xdp-bench redirect-multi: frames come out at each of the others, whichever they came in at."""
    with pairs(env, "a", "b") as ends:
        with Bench(env, "redirect-multi", "-s", "dut", "va", "vb") as bench:
            with Capture(ends[0]) as one, Capture(ends[1]) as other:
                frames = send(env, payloads(COUNT))
                got = [meant(capture.frames(quiet=1)) for capture in (one, other)]
            for each in got:
                same(each, frames)
            with Capture(env.peer) as one, Capture(ends[1]) as other:
                frames = send_from(env, ends[0], env.peer.mac, env.dut.mac)
                got = [meant(capture.frames(quiet=1)) for capture in (one, other)]
            for each in got:
                same(each, frames)
            counted(bench.end(), "Packets received", "Packets redirected", "Packets transmitted")
    env.ping()


@case(90)
def redirect_cpu(env):
    """xdp-bench redirect-cpu: the stack, and another device, get every frame on other processors."""
    with pairs(env, "a") as [end]:
        for words, at in ((["-r", "pass"], env.dut), (["-r", "redirect", "-D", "va"], end)):
            with Bench(env, "redirect-cpu", "-s", "-c", "0", "-c", "1", "-p", "round-robin", *words, "dut") as bench, \
                    Capture(at) as capture:
                before = env.dut.statistics()["rx_xdp_redirects"]
                frames = send(env, payloads(COUNT))
                got = meant(capture.frames(quiet=1))
                counted(bench.end(), "Packets received", "Packets redirected")
            # What is redirected has other addresses.
            same([frame[12:] for frame in got], [frame[12:] for frame in frames])
            check(env.dut.statistics()["rx_xdp_redirects"] - before >= COUNT, "xdp_redirects")
    env.ping()


@case(60)
def trafficgen(env):
    """xdp-trafficgen udp: all that it gives to a device without a program leaves there."""
    count = 200
    with Capture(env.peer) as capture:
        # It says nothing of success by its status.
        subprocess.run(["xdp-trafficgen", "udp", "-n", str(count), "-p", str(PORT), "-d", str(count),
                        "-m", env.peer.mac, "-A", env.dut.ip6, "-a", env.peer.ip6, "-s", "200", "dut"],
                       stdin=subprocess.DEVNULL, capture_output=True, timeout=60, env=preloaded(env), check=False)
        got = [frame for frame in capture.frames(quiet=1) if not frame.outgoing and frame.ip
               and frame.ip[:2] == (6, 17) and PORT <= frame.ports()[1] < PORT + count]
    equal(len(got), count, "frames")
    equal(sorted(frame.ports()[1] for frame in got), list(range(PORT, PORT + count)), "ports of frames")
    equal({len(frame.data) for frame in got}, {200}, "bytes of frames")
    check(all(frame.checksum_right() for frame in got), "checksums")
    env.ping()


def two():
    """What the two programs have counted: frames at the first, at the second, dropped by that."""
    dump = run("bpftool", "-p", "map", "dump", "pinned", f"{TWO}/two")
    return [int(value) for value in re.findall(r'"value": (\d+)\n', dump)]


@case(90)
def loader(env):
    """xdp-loader: two programs of one device run in turn, and are taken off one by one."""
    def listed():
        return [(int(prio), name) for prio, name, _ in LISTED.findall(run("xdp-loader", "status", "dut"))]

    mounted()
    run("rm", "-rf", TWO)
    # The second is there first.
    for name, prio in (("second", 20), ("first", 10)):
        run("xdp-loader", "load", "-m", "native", "-p", TWO, "-P", str(prio), "-n", name, "dut",
            f"{env.job['bpf']}/xdp_two.o")
    equal(listed(), [(10, "first"), (20, "second")], "programs of the device")
    equal(env.dut.link()["xdp"]["mode"], 1, "mode (native)")
    before = env.dut.statistics()["rx_xdp_drops"]
    env.ping()
    send(env, payloads(COUNT))
    wait_for(lambda: two()[2] >= COUNT, "frames at the second program")
    counts = two()
    equal(counts[2], COUNT, f"frames dropped, of {counts}")
    equal(counts[0], counts[1], f"frames at the first program, of {counts}")
    equal(env.dut.statistics()["rx_xdp_drops"] - before, COUNT, "xdp_drops")
    number = LISTED.findall(run("xdp-loader", "status", "dut"))[1][2]
    run("xdp-loader", "unload", "-i", number, "dut")
    equal(listed(), [(10, "first")], "programs of the device")
    with Capture(env.dut) as capture:
        frames = send(env, payloads(COUNT))
        got = meant(capture.frames(quiet=1))
    same(got, frames)
    after = two()
    check(after[0] >= counts[0] + COUNT and after[1] == counts[1], f"{counts} and then {after}")
    run("xdp-loader", "unload", "-a", "dut")
    equal(env.dut.link().get("xdp"), None, "programs in the end")
    env.ping()
