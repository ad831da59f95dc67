# SPDX-License-Identifier: GPL-2.0
"""samples/xdpsock: options, output and errors, as people meet them: it attaches its program itself."""

import array
import contextlib
import ctypes
import json
import os
import re
import select
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time

import test_samples_xskqual
from nic import run
from packet import NEEDS_CSUM, Capture, mac_bytes
from test_afxdp import large_mtu, wait_until_free
from vnrtest import case, check, equal, wait_for
from xdp import PLACE, Xdp
from xsk import Client, gather, mode, number_in, numbered, send

ORDER = 60
# What runs if nothing was asked for.
UNASKED = ("output", "refusals", "sanitized")
PARAMS = ["iommu_platform=on", "packed=on,queues=2,iommu_platform=on"]
FIRST, SECOND = "*-1q-iommu_platform=on", "*-2q-iommu_platform=on"
LIBC = ctypes.CDLL(None, use_errno=True)
PR_CAPBSET_DROP, SYS_BPF, BPF_OBJ_GET = 24, 321, 7
CAP_NET_ADMIN, CAP_NET_RAW, CAP_SYS_ADMIN, CAP_BPF = 12, 13, 21, 39
PORT = 4001

# What is printed, with numbers masked; {x} is the mode and so on, and each line ends where the bar is.
TITLE = " sockN@{name}:N {mode} {xdp} {poll}|"
FRAMES = """\
                   pps            pkts           N             |
rx                 N              N             |
tx                 N              N             |"""
FRAGS = """\
                   pps            pkts           fps            frags          N             |
rx                 N              N              N              N             |
tx                 N              N              N              N             |"""
KERNEL = """\
rx dropped         N              N             |
rx invalid         N              N             |
tx invalid         N              N             |
rx queue full      N              N             |
fill ring empty    N              N             |
tx ring empty      N              N             |"""
CALLS = """\
                   calls/s        count         |
rx empty polls     N              N             |
fill fail polls    N              N             |
copy tx sendtos    N              N             |
tx wakeup sendtos  N              N             |
opt polls          N              N             |"""
CYCLE = """\
                   period     min        ave        max        cycle     |
Cyclic TX          N          N          N          N          N         |"""
INTERRUPTS = """\
                   intrs/s        count         |
irqs               N              N             |"""
LATENCY = """\
                   p50 us         p99 us         max us         frames        |
latency            N              N              N              N             |"""


def masked(out):
    """Numbers as N, and as wide as they were: columns stay where they are."""
    lines = [re.sub(r"(?<![\w/])\d+(\.\d+)?|(?<=[k:])\d+", lambda found: "N".ljust(len(found[0])), line) + "|"
             for line in out.splitlines()]
    return [part for part in "\n".join(["", *lines]).split("\n|\n") if part]


def report(name, xdp, words):
    """The parts that a report with these options has, in their order."""
    kind = "txonly" if "-t" in words else "l2fwd" if "-l" in words else "rxdrop"
    title = TITLE.format(name=name, mode=kind, xdp=xdp, poll="poll() " if "-p" in words else "")
    sockets = 4 if "-M" in words else 1
    part = "\n".join([title, FRAGS if "-F" in words else FRAMES, *([KERNEL] if "-x" in words else [])])
    parts = [part] * sockets
    if "-a" in words:
        parts += [CALLS] * sockets + ([CYCLE] if "-T" in words else [])
    if "-I" in words:
        parts += [INTERRUPTS] * sockets
    return parts


def drop(*capabilities):
    """What a child does to be without them, though it is root."""
    def before():
        for capability in capabilities:
            LIBC.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    return before


def start(env, *words, nic=None, alone=True, **options):
    """A process; the one before has given its queue back, unless this is not alone."""
    nic = nic or env.dut
    if alone:
        wait_until_free()
    with nic.enter():
        return subprocess.Popen([f"{env.job['bpf']}/xdpsock", "-i", nic.name, *map(str, words)], text=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


def finished(process, status=0, seconds=30):
    """(what it printed, its errors)"""
    try:
        out, errors = process.communicate(timeout=seconds)
    finally:
        process.kill()
    equal(process.returncode, status, f"status of {process.args[1:]}: {out[-500:]} {errors}")
    return out, errors


def xdpsock(env, *words, status=0, **options):
    return finished(start(env, *words, **options), status)


def last(out):
    return json.loads(out.splitlines()[-1])


@contextlib.contextmanager
def running(env, *words, nic=None, alone=True):
    """A process whose sockets are there, and what it says at its end, in a list."""
    process, said = start(env, "--json", *words, nic=nic, alone=alone), []
    try:
        check(select.select([process.stdout], [], [], 20)[0], f"not ready: {words}")
        line = process.stdout.readline()
        check(line.startswith("{"), f"not ready: {words}: {line} {process.stderr.read() if not line else ''}")
        said.append(json.loads(line))
        yield said
        process.send_signal(signal.SIGINT)
        out, told = process.communicate(timeout=20)
        check(process.returncode in (0, 1), f"status {process.returncode} of {words}: {told}")
        said.extend(json.loads(line) for line in out.splitlines())
    finally:
        process.kill()
        process.wait()


def attached(nic):
    """The mode of the NIC's program, or None."""
    xdp = nic.link().get("xdp")
    return {1: "native", 2: "generic"}.get(xdp["mode"]) if xdp else None


def free(nic):
    """The program went with the process."""
    wait_for(lambda: attached(nic) is None, "no program is attached")


@case(120, nics=FIRST)
def output(env):
    """What is printed, with numbers masked, is that of bpf-examples' xdpsock, whatever is asked for; the
    program is there meanwhile, and not afterwards."""
    line = run("grep", "-m", "1", "virtio", "/proc/interrupts").split()[-1]
    for words in ((), ("-x", "-a"), ("-F",), ("-M", "-a", "-x"), ("-t", "-a", "-T", 20000), ("-l", "-p"),
                  ("-S", "-I", line)):
        xdp = "xdp-skb" if "-S" in words else "xdp-drv"
        process = start(env, "-d", 2, *words)
        try:
            kind = wait_for(lambda: attached(env.dut), "the program", 15)
        finally:
            out, errors = finished(process)
        equal(errors, "", f"errors of {words}")
        equal(kind, "generic" if "-S" in words else "native", f"mode of the program of {words}")
        parts, wanted = masked(out), report("dut", xdp, words)
        check(len(parts) >= 2 * len(wanted), f"a report in the course, and one at the end: {out!r}")
        equal(parts, wanted * (len(parts) // len(wanted)), f"what {words} prints")
        free(env.dut)
    env.ping()


@case(90, nics=FIRST)
def receives(env):
    """All frames of the queue are the process's, each counted, by whichever way it waits."""
    for words in (("-p",), ("-m", "-b", 16), ("-B",), ("-c", "-f", 2048), ("-u", "-f", 3000, "--headroom", 64),
                  ("-S",), ("-F", "--chunks", 512)):
        with running(env, "-r", "--verify", *words) as said:
            send(env, numbered(env, 100, PORT), gap=0.05)
            # Longer than a report takes to come.
            time.sleep(1.5)
        check(len(said) > 2, f"reports of {words}: {said}")
        end = said[-1]
        equal((end["right"], end["again"]), (100, 0), f"frames of {words}: {end}")
        equal(end["rx"], 100 + end["foreign"], f"frames received by {words}: {end}")
        equal(end["frames"]["misplaced"], 0, f"frames misplaced by {words}")
        check(all("rx_pps" in line for line in said[1:-1]), f"reports: {said}")
        free(env.dut)
    env.ping()


@case(60, nics=FIRST)
def forwards(env):
    """Frames come back, each with its addresses swapped."""
    for words in (("-p",), ("-c",), ("-S", "-m")):
        frames = numbered(env, 60, PORT)
        with running(env, "-l", *words) as said:
            with Capture(env.peer) as capture:
                send(env, frames, gap=0.05)
                got = gather(capture, len(frames), PORT)
        check(sorted(got) == sorted(frame[6:12] + frame[:6] + frame[12:] for frame in frames),
              f"{len(got)} frames came back of {len(frames)}, by {words}, and as they were")
        check(said[-1]["sockets"][0]["tx"] >= 60, f"frames sent back: {said[-1]}")
        if words == ("-c",):
            check(said[-1]["sockets"][0]["calls"]["copy_tx_sendtos"] > 0, f"calls: {said[-1]}")


def sent(env, *words, count=40, status=0, nic=None, far=None):
    """What the peer, or another end, gets of a run that sends, and what that has printed."""
    with Capture(far or env.peer) as capture:
        out, errors = xdpsock(env, "-t", "-C", count, "-Q", *words, status=status, nic=nic)
        ports = struct.pack(">HH", *[5000 if "--tx-port" in words else 4096] * 2)
        frames = [frame for frame in capture.frames() if not frame.outgoing and ports in frame.data[34:62]]
    equal(len(frames), count, f"frames of {words}: {errors}")
    return frames, out


@case(60, nics=FIRST)
def long_frames_to_the_end(env):
    """A run whose ring is full when its time is over has sent all that it says, frames as a whole."""
    for nic in (env.dut, env.peer):
        nic.ip(f"link set dev {nic.name} mtu 9000")
    mode = "-z" if env.driver == "rust" else "-c"
    out, errors = xdpsock(env, "-t", mode, "-F", "-s", 9000, "-d", 2, "-G", env.peer.mac)
    check(int(re.search(r"^tx +[\d,]+ +([\d,]+)", out, re.M)[1].replace(",", "")) > 100, f"frames: {out} {errors}")


@case(90, nics=FIRST)
def default_frames(env):
    """Frames have the usual addresses, lengths and contents, or those that are asked for."""
    env.peer.ip("link set dev peer promisc on")
    head = bytes.fromhex("3cfdfe9e7f71 ecb1d7983ac0 0800")
    frames, out = sent(env)
    equal(masked(out), report("dut", "xdp-drv", ("-t",)), "what is printed at the end")
    check(re.search(r"^tx +\d+ +40 *$", out, re.M), f"frames sent: {out}")
    for frame in frames:
        equal(frame.data[:14], head, "Ethernet header")
        equal(len(frame.data), 60, "length without the checksum of the cable")
        equal(frame.data[26:34], bytes([10, 10, 10, 16, 10, 10, 10, 32]), "IP addresses")
        equal(frame.data[42:], bytes.fromhex("12345678" * 4 + "1234"), "pattern")
        check(frame.checksum_right(), "UDP checksum")
    frames, _ = sent(env, "-s", 1000, "-P", "0xcafe0001", "-G", env.peer.mac, "-H", "2:0:0:0:0:7", "-p", "-b", 7)
    for frame in frames:
        equal(len(frame.data), 996, "length")
        equal(frame.data[:12], mac_bytes(env.peer.mac) + bytes([2, 0, 0, 0, 0, 7]), "MAC addresses")
        equal(frame.data[42:50], bytes.fromhex("cafe0001" * 2), "pattern")
        check(frame.checksum_right(), "UDP checksum")
    frames, _ = sent(env, "-V", "-J", 7, "-K", 3, "-y", "-B", "-c", "-s", 100)
    for frame in frames:
        # The kernel has taken the tag off, and tells it beside the frame.
        equal(frame.vlan, 0x6007, "VLAN tag")
        body = frame.data[42:]
        equal(body[:4], bytes.fromhex("be9be955"), "magic number of pktgen")
        equal(body[16:20], bytes.fromhex("12345678"), "pattern behind it")
    frames, _ = sent(env, "-y", "-w", "REALTIME", "-G", env.peer.mac)
    numbers = [struct.unpack_from(">3I", frame.data, 46) for frame in frames]
    equal([number for number, _, _ in numbers], list(range(40)), "numbers")
    check(all(abs(time.time() - seconds) < 20 for _, seconds, _ in numbers), f"times: {numbers[0]}")
    check(all(frame.checksum_right() for frame in frames), "UDP checksums")


@case(60, nics=FIRST)
def counted_frames(env):
    """With --verify frames are counted; over several chunks, with IPv6, and by sockets that share memory."""
    for words, at in (((), 42), (("-M",), 42), (("-F", "-f", 2048, "-s", 1500, "-c"), 42),
                      (("--tx-sip", env.dut.ip6, "--tx-dip", env.peer.ip6), 62),
                      (("-T", 2000, "-b", 3, "--tx-port", 5000), 42), (("-M", "-F", "-s", 8000, several(env)), 42)):
        if 8000 in words:
            large_mtu(env)
        frames, out = sent(env, "--verify", "--json", "-G", env.peer.mac, *words)
        got = {number_in(frame.data[at:at + len(frame.ip[4]) - 8]) for frame in frames}
        equal(got, set(range(40)), f"numbers of {words}")
        end = last(out)
        equal((end["packets"], end["completed"]), (40, end["tx"]), f"frames of {words}")
        equal(len(end["sockets"]), 4 if "-M" in words else 1, "sockets")
        if "-T" in words:
            equal((end["cycle"]["count"], end["cycle"]["period"]), (14, 2_000_000), "turns")


def several(env):
    """How frames over several chunks are received and sent: C has no other way for them than to copy."""
    return "-z" if env.driver == "rust" else "-c"


@case(60, nics=FIRST)
def shared_memory(env):
    """Four sockets have the frames of the queue by turns, and share their memory; also frames over several
    chunks."""
    for words, longest in ((), 1472), (("-F", several(env)), 8972):
        if longest > 1472:
            large_mtu(env)
        with running(env, "-M", "-r", "--verify", *words) as said:
            send(env, numbered(env, 200, PORT, longest, step=911), gap=0.05)
            time.sleep(0.5)
        end = said[-1]
        equal((end["right"], end["again"]), (200, 0), f"frames: {end}")
        counts = [each["rx"] for each in end["sockets"]]
        check(len(counts) == 4 and max(counts) - min(counts) <= 1, f"by turns: {counts}")
        equal(end["frames"]["misplaced"], 0, "frames misplaced")


@case(60, nics=SECOND)
def shared_program(env):
    """Processes on two queues share the program, and the frames; it stays as long as either."""
    with running(env, "-r", "-q", 0, "--verify") as first:
        with running(env, "-r", "-q", 1, "--verify", alone=False) as second:
            equal(attached(env.dut), "native", "program of two")
            refused = start(env, "-M", "-d", 1, alone=False)
            _, errors = finished(refused, 2)
            check("another program is there" in errors, f"-M beside them: {errors}")
            send(env, numbered(env, 100, PORT), gap=0.05)
            time.sleep(0.5)
        equal(attached(env.dut), "native", "program of the first")
    free(env.dut)
    equal(first[-1]["right"] + second[-1]["right"], 100, f"frames of {first[-1]} and {second[-1]}")
    # And the other way around: who has attached it goes first.
    with contextlib.ExitStack() as stack:
        first = start(env, "--json", "-r", "-q", 0, "-p")
        stack.callback(first.kill)
        first.stdout.readline()
        with running(env, "-r", "-q", 1, "-p", alone=False):
            first.kill()
            first.wait()
            time.sleep(0.5)
            equal(attached(env.dut), "native", "program of the second alone")
    free(env.dut)
    env.ping()


@case(60, nics=FIRST)
def latency(env):
    """What passes from a stamp in a frame until it is received is reported: median, 99th percentile, maximum,
    and a histogram; never less than nothing, nor more than the run took."""
    for words in (("-t", "--latency"), ("-t", "-y")):
        with running(env, "-r", "--latency", "--verify") as said:
            begin = time.monotonic_ns()
            xdpsock(env, *words, "--verify", "-C", 200, "-b", 4, "-T", 2000, "-G", env.dut.mac, "--no-program", "-c", "-Q",
                    nic=env.peer, alone=False)
            time.sleep(0.5)
            passed = time.monotonic_ns() - begin
        end = said[-1]
        found = end["latency"]
        equal(end["right"], 200, f"frames: {end}")
        equal((found["count"], found["negative"]), (200, 0), f"frames with a stamp: {end}")
        check(0 < found["min"] <= found["p50"] <= found["p90"] <= found["p99"] <= found["max"] < passed,
              f"{found} in {passed} ns")
        equal(sum(bar["count"] for bar in end["histogram"]), 200, "frames in bars")
    process = start(env, "-r", "--latency", "-d", 5)
    wait_for(lambda: attached(env.dut), "the program", 15)
    time.sleep(0.5)
    xdpsock(env, "-t", "--latency", "-C", 20, "-G", env.dut.mac, "--no-program", "-c", "-Q", nic=env.peer,
            alone=False)
    out, _ = finished(process)
    parts = masked(out)
    check(LATENCY in parts, f"latency: {out}")
    check(parts[-1].startswith("                   up to us       frames        |\n"), f"histogram: {out}")
    check("####" in parts[-1], f"bars: {out}")


@case(60, nics=FIRST)
def device_times(env):
    """What passes until the device has sent a frame is reported, and frames are sent no earlier than asked for,
    where the driver has that; a driver that has not is named."""
    words = ("-t", "--latency", "--tx-tstamp", "-C", 50, "-G", env.peer.mac, "--json", "--no-program")
    if env.driver == "rust":
        env.dut.ethtool("--set-priv-flags", "xdp-sw-time", "on")
        words += ("-z", "--launch-time", 5000)
    else:
        out, _ = xdpsock(env, *words[:-1], "-z" if mode(env) == "-z" else "-c")
        warned = json.loads(out.splitlines()[0])["warnings"]
        if mode(env) == "-z":
            check("--tx-tstamp: dut (driver virtio_net) does not say that it has time stamps" in warned[0], out)
            equal(last(out)["latency"]["count"], 0, "frames with a time")
        words += ("-c",)
    out, errors = xdpsock(env, *words)
    equal(errors, "", "errors")
    equal(json.loads(out.splitlines()[0])["warnings"], [], "warnings")
    end = last(out)
    equal((end["times"]["frames"], end["times"]["early"], end["latency"]["count"]), (50, 0, 50), f"frames: {end}")
    check(end["latency"]["min"] >= (5_000_000 if env.driver == "rust" else 1), f"latency: {end['latency']}")
    equal(sum(bar["count"] for bar in end["histogram"]), 50, "frames in bars")


@case(90, nics=FIRST)
def refusals(env):
    """Errors say why, as far as the kernel tells, and what to do."""
    with env.joined() as (veth, _):
        for nic, words, options, wanted in (
                (veth, ("-z",), {}, ("(driver veth) has no zero-copy, the kernel says", "--copy")),
                (veth, ("-q", 9), {}, ("va has 1 queues",)),
                (veth, (), {"preexec_fn": drop(CAP_NET_RAW)}, ("AF_XDP socket", "CAP_NET_RAW")),
                (veth, (), {"preexec_fn": drop(CAP_NET_ADMIN, CAP_SYS_ADMIN, CAP_BPF)},
                 ("program on va", "CAP_NET_ADMIN and CAP_BPF", "--map")),
                (veth, ("-f", 1024), {}, ("from 2048 bytes to a page",)),
                (veth, ("-f", 3000), {}, ("not a power of two", "--unaligned")),
                (veth, ("-t", "-s", 6000), {}, ("do not fit chunks", "--frags")),
                (veth, ("-I", "nothing of this name"), {}, ("no interrupts of", "/proc/interrupts")),
                (veth, ("-W", "FIFO", "-U", 200), {}, ("--schpri", "from 1 to 99")),
                (veth, ("-M", "-R"), {}, ("cannot be used with",)),
                (veth, ("-z", "-c"), {}, ("cannot be used with",)),
                (veth, ("-w", "sundial"), {}, ("possible values",)),
                (veth, ("--map", "/sys/fs/bpf/none"), {}, ("map /sys/fs/bpf/none",)),
                (env.dut_side("nothing"), (), {}, ('interface "nothing": No such device',))):
            _, errors = xdpsock(env, *words, nic=nic, status=2, **options)
            for part in wanted:
                check(part in errors, f"{words}: {part!r} is not in {errors!r}")
            check(nic.name == "nothing" or attached(nic) is None, f"a program is left of {words}")
    with Client(env, "--hold", mapped=False):
        _, errors = xdpsock(env, "--no-program", status=2, alone=False)
        check("queue 0 of dut is taken, by another socket" in errors and "ss --xdp" in errors, errors)
    xdp = Xdp(env)
    xdp.attach("pass")
    _, errors = xdpsock(env, status=2)
    check("another program is there" in errors and "--map" in errors, errors)
    xdp.detach()
    if env.driver == "c":
        _, errors = xdpsock(env, "-t", "-z", "-F", status=2)
        check("frames in one chunk only (xdp-zc-max-segs: 1)" in errors, errors)
    env.ping()


@case(60, nics=FIRST)
def warns(env):
    """Frames that the MTU allows and chunks have no room for are warned of."""
    env.dut.ip("link set dev dut mtu 5000")
    _, errors = xdpsock(env, "-S", "-d", 1, "-Q")
    for part in ("5018 bytes (MTU 5000)", "room for 3840", "MTU of at most 3822"):
        check(part in errors, f"{part!r} is not in {errors!r}")
    with running(env, "-S", "-r") as said:
        pass
    check(any("MTU 5000" in line for line in said[0]["warnings"]), f"warnings: {said[0]}")
    _, errors = xdpsock(env, "-t", "--no-program", "-c", "-s", 9000, "-F", "-C", 1, "-Q")
    check("longer than the MTU" in errors, errors)
    env.dut.ip("link set dev dut mtu 1500")
    _, errors = xdpsock(env, "-S", "-d", 1, "-Q")
    equal(errors, "", "warnings of nothing")


class Controller(threading.Thread):
    """Who has attached the program gives its map to a process with few capabilities, until that says goodbye."""

    def __init__(self, folder):
        super().__init__(daemon=True)
        self.goodbye = None
        path = ctypes.create_string_buffer(f"{PLACE}-maps/sockets".encode())
        attributes = struct.pack("QII", ctypes.addressof(path), 0, 0)
        self.map = LIBC.syscall(SYS_BPF, BPF_OBJ_GET, attributes, len(attributes))
        check(self.map >= 0, "the map of sockets")
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(f"{folder}/sock_cal_bpf_fd")
        self.listener.listen(1)
        self.listener.settimeout(20)

    def run(self):
        stream, _ = self.listener.accept()
        stream.settimeout(20)
        stream.sendmsg([b"\0" * 4], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [self.map]))])
        self.goodbye = stream.recv(4)
        stream.close()
        os.close(self.map)


@case(60, nics=FIRST)
def few_capabilities(env):
    """With --reduce-cap it has CAP_NET_RAW only, and its program, or the map of a process that has attached one."""
    process = start(env, "-R", "-r", "--json", "-p", "--chunks", 1024)
    try:
        check(process.stdout.readline().startswith("{"), "not ready")
        with open(f"/proc/{process.pid}/status") as file:
            status = dict(line.split(":\t") for line in file if ":\t" in line)
        equal((int(status["CapEff"], 16), int(status["CapPrm"], 16)), (1 << CAP_NET_RAW, 1 << CAP_NET_RAW), "capabilities")
        send(env, numbered(env, 20, PORT))
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
    finally:
        out, errors = finished(process)
    check(last(out)["rx"] >= 20, f"frames: {out}")
    check(errors.startswith("Capabilities EFF 2000 Caps INH 0 Caps Per 2000\n"), errors)
    free(env.dut)
    _, errors = xdpsock(env, "-R", "-B", "--chunks", 1024, status=2)
    check("CAP_NET_ADMIN" in errors, errors)
    xdp = Xdp(env)
    xdp.set(port=PORT)
    xdp.attach("socket")
    with tempfile.TemporaryDirectory() as folder:
        controller = Controller(folder)
        controller.start()
        process = start(env, "-R", "-r", "--json", "--verify", "--chunks", 1024, cwd=folder)
        try:
            check(process.stdout.readline().startswith("{"), "not ready")
            send(env, numbered(env, 20, PORT))
            time.sleep(0.5)
            process.send_signal(signal.SIGTERM)
        finally:
            out, _ = finished(process)
        equal(last(out)["right"], 20, f"frames: {out}")
        controller.join(20)
        equal(controller.goodbye, struct.pack("i", 1), "goodbye")
    xdp.detach()


@case(60, nics=FIRST)
def on_veth(env):
    """All of that is for any driver: on veth, receiving, sending, and sending back."""
    with env.joined() as (va, vb):
        out, errors = xdpsock(env, "-x", "-a", "-d", 1, nic=va)
        equal(errors, "", "errors")
        wanted = report("va", "xdp-drv", ("-x", "-a"))
        parts = masked(out)
        equal(parts, wanted * (len(parts) // len(wanted)), "what is printed")
        line = run("grep", "-m", "1", "virtio", "/proc/interrupts").split()[-1]
        for words in ((), ("-S",), ("-M", "-F"), ("-c", "-f", 2048, "--headroom", 64), ("-N", "-m", "-p"),
                      ("-u", "-f", 3000), ("-B",), ("-R", "-n", 2), ("-W", "FIFO", "-U", 1, "-I", line)):
            with running(env, "-r", "--verify", "--latency", *words, nic=va) as said:
                xdpsock(env, "-t", "--verify", "--latency", "-C", 100, "-b", 8, "-T", 1000, "-Q", nic=vb, alone=False)
                time.sleep(0.5)
            equal((said[-1]["right"], said[-1]["latency"]["count"]), (100, 100), f"frames by {words}: {said[-1]}")
        frames = numbered(env, 30, PORT)
        with running(env, "-l", "-p", nic=va), Capture(vb) as capture, vb.packet_socket(protocol=0) as sender:
            for frame in frames:
                sender.send(frame)
            got = gather(capture, len(frames), PORT)
        equal(sorted(got), sorted(frame[6:12] + frame[:6] + frame[12:] for frame in frames), "frames that came back")
        free(va)
        frames, _ = sent(env, "-s", 1000, "-P", "0xcafe0001", "-G", "2:0:0:0:0:8", "-H", "2:0:0:0:0:7", "-p", "-O", 1,
                         nic=va, far=vb)
        for frame in frames:
            equal(len(frame.data), 996, "length")
            equal(frame.data[:12], bytes([2, 0, 0, 0, 0, 8, 2, 0, 0, 0, 0, 7]), "MAC addresses")
            equal(frame.data[42:50], bytes.fromhex("cafe0001" * 2), "pattern")
        frames, _ = sent(env, "-V", "-J", 7, "-K", 3, "-y", "-w", "REALTIME", nic=va, far=vb)
        equal({frame.vlan for frame in frames}, {0x6007}, "VLAN tags")
        frames, _ = sent(env, "--tx-csum", "--tx-sw-csum", "-c", nic=va, far=vb)
        check(all(frame.checksum_right() for frame in frames), "checksums by software")
        # Nobody has to complete those of frames that do not leave the machine.
        frames, _ = sent(env, "--tx-csum", "-c", nic=va, far=vb)
        check(all(frame.flags & NEEDS_CSUM for frame in frames), "frames whose checksums are to be completed")
        # What it cannot do is left out, and said.
        for option in (("--tx-tstamp",), ("--launch-time", 1000)):
            sent(env, *option, nic=va, far=vb)


@case(60, nics=FIRST)
def ends(env):
    """It ends when it shall: by time, number of frames, or signals; and its program goes, even if it is killed."""
    begin = time.monotonic()
    xdpsock(env, "-N", "-n", 5, "-O", 1, "-d", 1, "-Q", mode(env))
    check(time.monotonic() - begin < 15, "it took longer than it should")
    process = start(env, "-r", "--json", "-Q", "--rx-pkt-count", 10)
    process.stdout.readline()
    send(env, numbered(env, 40, PORT))
    out, _ = finished(process)
    check(last(out)["rx"] >= 10, f"frames: {out}")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGABRT, signal.SIGKILL):
        process = start(env, "-r", "--json", "-Q", "-W", "FIFO", "-U", 1, "-p")
        check(process.stdout.readline().startswith("{"), "not ready")
        process.send_signal(number)
        finished(process, status=-9 if number == signal.SIGKILL else 0)
        free(env.dut)
    env.ping()


@case(60, nics=FIRST)
def device_goes(env):
    """A run ends, and says why, when the device goes from under it, whatever it does."""
    for words in (("-t",), ("-r",), ("-l", "-p"), ("-t", "-c", "-p")):
        process = start(env, "--json", *words)
        check(process.stdout.readline().startswith("{"), "not ready")
        time.sleep(0.5)
        env.dut.unbind()
        _, errors = finished(process, status=2)
        check("xdpsock: sockets on dut: " in errors and "may be gone" in errors, f"errors of {words}: {errors!r}")
        env.dut.bind(env.driver)
        env.dut.configure()
    env.ping()


@case(300, nics=FIRST)
def sanitized(env):
    """The programs' own code, compiled with AddressSanitizer, receives, sends, and sends back without a
    fault, and holds a veth's claims against what it does."""
    env.job["bpf"] = env.job["sanitized"]
    for name in ("xdpsock", "xskqual"):
        with open(f"{env.job['bpf']}/{name}", "rb") as file:
            check(b"__asan_report_load" in file.read(), f"{name} is not sanitized")
    # A status that is not theirs. What is shared with the kernel stays to the end.
    os.environ["ASAN_OPTIONS"] = "exitcode=99:detect_leaks=0"
    receives(env)
    forwards(env)
    counted_frames(env)
    test_samples_xskqual.veth(env)
