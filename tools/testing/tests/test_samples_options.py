# SPDX-License-Identifier: GPL-2.0
"""samples/xdpsock: each option that its help names is used, on the device under test and on a veth; frames that
are received with it all arrive, and those that are sent are as it says."""

import re
import struct
import time

from nic import run
from packet import NEEDS_CSUM, Capture, mac_bytes
from test_samples import PORT, finished, free, last, running, sent, start, xdpsock
from vnrtest import case, check, equal
from xdp import PLACE, Xdp
from xsk import can, gather, numbered, send

ORDER = 60
# Each option has cases of suite "samples" too, of which some run if nothing was asked for.
UNASKED = ()
PARAMS = ["iommu_platform=on"]
COUNT = 40
MAC = "2:0:0:0:0:8", "2:0:0:0:0:7"

# With these all frames are received.
RECEIVED = [
    ("--rxdrop", "--poll", "--queue", 0),
    ("--no-need-wakeup", "--batch-size", 16),
    ("--busy-poll",),
    ("--copy", "--frame-size", 2048),
    ("--unaligned", "--frame-size", 3000, "--headroom", 64),
    ("--xdp-skb", "--quiet"),
    ("--xdp-native", "--extra-stats", "--app-stats"),
    ("--frags", "--chunks", 512),
    ("--shared-umem", "--rxdrop"),
    ("--reduce-cap", "--chunks", 1024),
    ("--policy", "FIFO", "--schpri", 1, "--interval", 2),
    ("--fill-first",),
]


def size(frames):
    """They are long, with that content and those addresses."""
    for frame in frames:
        equal((len(frame.data), frame.data[:12], frame.data[42:50]),
              (996, mac_bytes(MAC[0]) + mac_bytes(MAC[1]), bytes.fromhex("cafe0001" * 2)), "length, addresses, pattern")


def tagged(frames):
    equal({frame.vlan for frame in frames}, {0x6007}, "VLAN tags")


def stamped(clock):
    """They are numbered, and stamped by that clock."""
    def look(frames):
        numbers = [struct.unpack_from(">3I", frame.data, 46) for frame in frames]
        equal([number for number, _, _ in numbers], list(range(COUNT)), "numbers")
        now = time.clock_gettime(clock)
        check(all(-1 <= now - seconds < 60 for _, seconds, _ in numbers), f"times of {numbers[0]} at {now}")
    return look


def version_6(frames):
    equal({frame.data[12:14] for frame in frames}, {b"\x86\xdd"}, "type")


def right(frames):
    check(all(frame.checksum_right() for frame in frames), "UDP checksums")


def right_or_partial(frames):
    """On their way to another end on the same machine nobody need complete them."""
    check(all(frame.flags & NEEDS_CSUM or frame.checksum_right() for frame in frames), "UDP checksums")


# What frames that are sent with these are like.
SENT = [
    (("--tx-pkt-size", 1000, "--tx-pkt-pattern", "0xcafe0001", "--tx-dmac", MAC[0], "--tx-smac", MAC[1],
      "--poll", "--retries", 1), size),
    (("--tx-vlan", "--tx-vlan-id", 7, "--tx-vlan-pri", 3), tagged),
    (("--tstamp", "--clock", "REALTIME"), stamped(time.CLOCK_REALTIME)),
    (("--tstamp", "--clock", "TAI"), stamped(time.CLOCK_TAI)),
    (("--tx-cycle", 1000, "--batch-size", 8), right),
    (("--tx-sip", "fd00::1", "--tx-dip", "fd00::2"), version_6),
    (("--tx-port", 5000), right),
    (("--tx-csum", "--copy"), right_or_partial),
    (("--tx-csum", "--tx-csum-at", 34, "--copy"), right_or_partial),
    (("--tx-csum", "--tx-sw-csum", "--copy"), right),
    (("--tx-tstamp", "--latency"), right),
    (("--launch-time", 1000), right),
    (("--no-program", "--frags", "--tx-pkt-size", 1500), right),
    (("--shared-umem",), right),
]


def named(env):
    """The options of its help, but for the help itself."""
    text = run(f"{env.job['bpf']}/xdpsock", "--help")
    found = set(re.findall(r"^ +(?:-\w, )?(--[a-z0-9-]+)", text, re.M))
    check(len(found) > 45, f"options of {text}")
    return found - {"--help"}


def every_option(env, nic, far, zero_copy):
    """Each of them on one interface, whose other end is `far`."""
    used = {"--interface"}

    def using(words):
        used.update(word for word in words if str(word).startswith("--"))
        return words

    def receive(*words):
        """What a process says at its end that another, at the other end, has sent frames to."""
        using(words)
        with running(env, "--verify", "--latency", *words, nic=nic) as said:
            xdpsock(env, "--txonly", "--verify", "--latency", "--tx-pkt-count", COUNT, "--batch-size", 8,
                    "--tx-cycle", 1000, "--tx-dmac", env.dut.mac, "--quiet", "--no-program", "--copy", nic=far,
                    alone=False)
            time.sleep(0.5)
        return said[-1]

    interrupt = run("grep", "-m", "1", "virtio", "/proc/interrupts").split()[-1]
    for words in [*RECEIVED, ("--irq-string", interrupt), *([("--zero-copy",)] if zero_copy else [])]:
        end = receive(*words)
        equal((end["right"], end["again"], end["latency"]["count"]), (COUNT, 0, COUNT), f"received with {words}: {end}")
        free(nic)
    if not zero_copy:
        _, errors = xdpsock(env, *using(("--zero-copy",)), nic=nic, status=2)
        check("zero-copy" in errors, errors)
    using(("--txonly", "--verify", "--latency", "--tx-pkt-count", "--json"))

    # Whose program is there already; who does nothing; who gives chunks twice.
    xdp = Xdp(env, nic)
    xdp.set(port=4096)
    xdp.attach("socket")
    equal(receive("--map", f"{PLACE}-maps/sockets")["right"], COUNT, "received by a map")
    xdp.detach()
    equal(receive("--hold")["right"], 0, "received by who does nothing")
    check("right" in receive("--twice"), "it comes to its end")
    free(nic)

    process = start(env, *using(("--rx-pkt-count", 10)), "--json", "--quiet", nic=nic)
    process.stdout.readline()
    xdpsock(env, "-t", "-C", COUNT, "-G", env.dut.mac, "-Q", "--no-program", "-c", nic=far, alone=False)
    check(last(finished(process)[0])["rx"] >= 10, "frames until its end")
    free(nic)

    for words, look in SENT:
        if "--tx-sw-csum" in words and nic is env.dut and env.driver == "c":
            # Frames in copy mode are pages of the process there, which the core does not write to.
            _, errors = xdpsock(env, "-t", *using(words), nic=nic, status=2)
            check("Operation not supported" in errors, errors)
            continue
        look(sent(env, *using(words), count=COUNT, nic=nic, far=far)[0])
        free(nic)
    out, _ = xdpsock(env, "--txonly", *using(("--duration", 1)), "--quiet", "--json", nic=nic)
    check(last(out)["tx"] > 0, f"sent in a second: {out}")

    frames = numbered(env, COUNT, PORT)
    with running(env, *using(("--l2fwd",)), nic=nic), Capture(far) as capture:
        send(env, frames, gap=0.05, nic=far)
        got = gather(capture, COUNT, PORT)
    equal(sorted(got), sorted(frame[6:12] + frame[:6] + frame[12:] for frame in frames), "frames that came back")
    free(nic)
    equal(named(env) - used, set(), "options that were not used")


@case(240)
def on_device(env):
    """On the device under test."""
    env.peer.ip("link set dev peer promisc on")
    every_option(env, env.dut, env.peer, can(env))


@case(240)
def on_veth(env):
    """On a veth."""
    with env.joined() as (va, vb):
        every_option(env, va, vb, False)
