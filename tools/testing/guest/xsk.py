# SPDX-License-Identifier: GPL-2.0
"""Processes with AF_XDP sockets: samples/xdpsock, and what it says."""

import json
import os
import select
import signal
import subprocess
import threading
import time

import vnrtest
from packet import Capture, ethernet, udp4
from vnrtest import Background, Failed, check, equal, wait_for
from xdp import PLACE

NUMBER = 8
FRAMES = 4096
# The checksum behind a frame, which sizes of the sample have in them.
FCS = 4
# How long frames may be on their way, in seconds.
PATIENCE = 8
PATTERN = bytes(range(251))


def payload(number, length):
    """The counted content of a datagram, as the sample has it."""
    return number.to_bytes(NUMBER, "big") + (PATTERN * (length // 251 + 2))[number % 251:][:length - NUMBER]


def numbered(env, count, port, longest=1472, first=0, step=37, flows=1):
    """Frames of the peer for the DUT, of all sizes, the longest last, each with its number. Several flows come by
    several queues."""
    def frame(number):
        length = longest if number == first + count - 1 else 18 + number * step % (longest - 17)
        return ethernet(env.dut.mac, env.peer.mac, 0x0800,
                        udp4(env.peer.ip4, env.dut.ip4, payload(number, length),
                             ports=(4000 - number % flows, port)))
    return [frame(number) for number in range(first, first + count)]


def number_of(frame):
    """The number of a frame of the sample, or None if its content is not that of a number."""
    if frame[12:14] == b"\x86\xdd":
        body = frame[62:int.from_bytes(frame[18:20], "big") + 54]
    else:
        body = frame[42:int.from_bytes(frame[16:18], "big") + 14]
    return number_in(body)


def number_in(body):
    """The same of the payload alone."""
    number = int.from_bytes(body[:NUMBER], "big")
    return number if body == payload(number, len(body)) else None


def can(env):
    """Whether it does without copying: C resets single queues for that, ours the device as well, and buffers of
    the big layout are no process's. Where a kernel checks DMA, memory must be mapped, so that a device without
    iommu_platform is refused."""
    if os.uname().release.endswith("-debug") and not env.dut.negotiated("ACCESS_PLATFORM"):
        return False
    if "-big-" in env.dut.label:
        return False
    return env.driver == "rust" or env.dut.negotiated("RING_RESET")


def anywhere():
    """Whether chunks may begin anywhere in pages: not with ours where frames have to be synced, for which they must
    not cross pages, and a kernel that checks DMA has all synced; with C it warns then."""
    return not os.uname().release.endswith("-debug")


def mode(env):
    return "-z" if can(env) else "-c"


class Client:
    """A process with a socket; a context, which ends it. Without a map no program is meant: it only sends,
    counted contents, or has the queue."""

    def __init__(self, env, *words, queue=0, mapped=True):
        words = ["--json", "--quiet", "--retries", "6", "-i", env.dut.name, "-q", str(queue), *map(str, words)]
        words += ["--map", f"{PLACE}-maps/sockets"] if mapped else ["--no-program"]
        if "-t" in words:
            words += ["--verify"]
        self.result = None
        with env.dut.enter():
            self.process = subprocess.Popen([f"{env.job['bpf']}/xdpsock", *words], stdin=subprocess.DEVNULL,
                                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        line = self.process.stdout.readline() if select.select([self.process.stdout], [], [], 20)[0] else ""
        self.error = ""
        if not line.startswith("{"):
            self.process.kill()
            self.error = line + self.process.stdout.read()
            self.process.wait()
        self.zero_copy = None if self.error else json.loads(line)["zero_copy"]

    def __enter__(self):
        check(self.zero_copy is not None, f"no socket: {self.error}")
        return self

    def end(self, by=signal.SIGTERM, seconds=20):
        """Ends it, and has what it says at its end."""
        if self.result is None:
            if by:
                self.process.send_signal(by)
            return self.finish(seconds)
        return self.result

    def finish(self, seconds=20):
        """Waits for its end."""
        self.process.wait(seconds * vnrtest.slowness)
        out = self.process.stdout.read().strip()
        if self.process.returncode not in (0, 1):
            raise Failed(f"xdpsock: status {self.process.returncode}: {out}")
        last = out.splitlines()[-1] if out else ""
        if not last.startswith("{"):
            raise Failed(f"xdpsock: status {self.process.returncode}, without a result: {out!r}")
        self.result = json.loads(last)
        return self.result

    def kill(self):
        self.process.kill()
        self.process.wait()

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.kill()


def adds_up(result, all_frames=FRAMES):
    """Every frame has one owner, and none was given back by who did not have it."""
    frames = result["frames"]
    equal(frames["misplaced"], 0, f"frames misplaced, of {result}")
    equal(frames["us"] + frames["fill"] + frames["tx"], all_frames, f"frames, of {result}")
    equal(frames["tx"], 0, f"frames that were not sent, of {result}")
    equal(result["completed"], result["tx"], f"frames completed, of {result}")


def room(chunk, headroom=0):
    """Bytes that are received into a chunk where frames can be in several: what XDP_PACKET_HEADROOM, the
    socket's own headroom and the list of fragments leave of it, in whole lines."""
    return chunk - 256 - headroom - 320 & ~127


def in_place(result, chunk, longest, headroom=0):
    """Frames of up to so many bytes were received where the device has put them: they begin behind the
    headroom in each chunk, and go on in the next where one is full."""
    if not result["rx"]:
        return
    size, places = room(chunk, headroom), result["places"]
    equal(places["offsets"], [256 + headroom], f"places in chunks, of {result}")
    equal(places["full"], [size] if longest > size else [], f"bytes in full chunks, of {result}")
    equal(places["most"], -(-longest // size), f"chunks of the longest frame, of {result}")


def pinned():
    """Pages of sockets' memory, and all other pages pinned for long."""
    with open("/proc/vmstat") as file:
        counts = dict(line.split() for line in file)
    return int(counts["nr_foll_pin_acquired"]) - int(counts["nr_foll_pin_released"])


def send(env, frames, gap=0.0, nic=None):
    """Frames of the peer, or by another NIC, with a pause after each 32."""
    with (nic or env.peer).packet_socket(protocol=0) as sender:
        for at, frame in enumerate(frames):
            sender.send(frame)
            if at % 32 == 31:
                time.sleep(gap)


class Traffic:
    """Frames of the peer, or by another NIC, again and again until the end, in bursts; a context."""

    def __init__(self, env, *bursts, pause=0.01, nic=None):
        self.env, self.bursts, self.pause, self.ended, self.nic = env, bursts, pause, threading.Event(), nic
        self.thread = Background(self._send)

    def _send(self):
        while not self.ended.is_set():
            for frames in self.bursts:
                send(self.env, frames, gap=0.005, nic=self.nic)
            self.ended.wait(self.pause)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, kind, *_):
        self.ended.set()
        self.thread.join()
        if not kind:
            self.thread.done()


def all_dropped(env, when):
    """An attached program drops all frames of the peer: each is counted, and the stack sees none."""
    before = env.dut.statistics()["rx_xdp_drops"]
    with Capture(env.dut) as capture:
        send(env, numbered(env, 16, 4001))
        wait_for(lambda: env.dut.statistics()["rx_xdp_drops"] >= before + 16, f"the program drops 16 frames {when}")
        got = [frame for frame in capture.frames() if not frame.outgoing]
    equal(len(got), 0, f"frames that got past the program {when}")


def gather(capture, count, port):
    """The UDP frames to a port that came in: `count` and any that follow soon, or what there is once no more
    have come for a while."""
    found, end = [], time.monotonic() + PATIENCE
    while True:
        enough = len(found) >= count
        frames = capture.frames(quiet=0.2)
        if frames:
            end = time.monotonic() + PATIENCE
        found += [frame.data for frame in frames if not frame.outgoing and frame.data[36:38] == port.to_bytes(2, "big")]
        if enough or time.monotonic() > end:
            return found


def forwarded(env, frames, port):
    """The peer sends frames, and all come back with the addresses swapped."""
    ends = (env.dut, env.peer)
    before = [nic.counters() for nic in ends]
    with Capture(env.peer) as capture:
        send(env, frames, gap=0.05)
        got = gather(capture, len(frames), port)
    meant = [frame[6:12] + frame[:6] + frame[12:] for frame in frames]
    if len(got) != len(frames):
        missing = [number for number, frame in enumerate(meant) if frame not in got]
        changes = [{key: now - then[key] for key, now in nic.counters().items() if now != then[key]}
                   for nic, then in zip(ends, before)]
        raise Failed(f"frames that came back: {len(got)} of {len(frames)}, without {missing}; counters: {changes}")
    check(sorted(got) == sorted(meant), "they are as they were")


def queues(env):
    """The numbers of the queue pairs in use."""
    return range(len([name for name in os.listdir(f"/sys/class/net/{env.dut.name}/queues")
                      if name.startswith("rx-")]))
