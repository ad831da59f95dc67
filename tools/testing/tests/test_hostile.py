# SPDX-License-Identifier: GPL-2.0
"""A device that lies, one lie at a time and many at random, under traffic. The
frame is dropped and counted, or the device given up once; the driver can be
unbound and unloaded, and works with an honest device again. What happened is
kept for Documentation/hostile-devices.rst (tools/testing/hostile-table.py)."""

import contextlib
import random
import re
import time

import test_tunnel_receive
from hostile import FRAMES, Hang, Trial, end_guest, in_time, PATIENCE
from nic import run, settle
from test_hash import KEY
from test_suspend import function_reset
from toeplitz import accept_only_hash
from vnrtest import Background, CASES, Failed, Skip, case, check, equal, wait_for
from xdp import Xdp
from xsk import Client, adds_up, pinned

ORDER = 90
OWN_GUEST = True
PARAMS = ["device=model", "device=model,packed=on,mode=small",
          "device=model,device_stats=on,queues=2", "device=model,iommu_platform=on", "device=model,mode=big",
          f"device=model,queues=2,host_mtu=1500,rss=on,hash=on,{test_tunnel_receive.BITS}"]
# What C makes of lies does not change with our sources: by T=hostile and FULL=1 only.
DRIVERS_UNASKED = ("rust",)
FIRST, SECOND = "model-split-mergeable-1q", "model-packed-small-1q"
KEEPS_STATISTICS = "model-split-mergeable-2q-device_stats=on"
BIG = "model-split-big-1q"
# A device of many features.
RICH = "*host_mtu=1500*"
FOR_SOCKETS = "model-split-mergeable-1q-iommu_platform=on"
# A port that only processes with AF_XDP sockets get frames of.
PORT = 4001
# A frame that takes two chunks of such a process.
LONG = 5000
TIMES = 10
# What must follow from a lie about a received frame: the counter that rises for
# each, or None where the driver cannot know; and whether that frame is lost.
FRAME_LIES = {
    "used_len_huge": ("rx_length_errors", "A used length beyond the buffer."),
    "used_len_short": ("rx_length_errors", "A used length that ends within the virtio header."),
    "used_len_zero": ("rx_length_errors", "A used length of zero."),
    "frame_runt": ("rx_length_errors", "A frame shorter than its Ethernet header."),
    "num_buffers_zero": ("rx_length_errors", "A frame over no buffers."),
    "num_buffers_huge": ("rx_length_errors", "A frame over more buffers than there are."),
    "num_buffers_one_more": (None, "A frame over one buffer more than it fills."),
    "csum_start": ("rx_frame_errors", "A partial checksum that starts beyond the frame."),
    "csum_offset": ("rx_frame_errors", "A partial checksum stored beyond the frame."),
    "gso_type": ("rx_frame_errors", "A GSO type that does not exist."),
    "gso_size_zero": ("rx_frame_errors", "A GSO frame with segments of no payload."),
    "gso_short_frame": ("rx_frame_errors", "A GSO frame without room for its headers."),
    "tunnel_offsets": ("rx_frame_errors", "Tunnel headers beyond the frame."),
    "hdr_len": (None, "A header length beyond the frame, which is a hint only."),
    "header_flags": ("rx_frame_errors", "All bits of the header's flags."),
    "header_random": (None, "The whole virtio header at random."),
    "header_random_inside": (None, "The virtio header at random, but for the number of buffers."),
}
# Of devices that have the fields.
RICH_LIES = ("tunnel_offsets",)
# Buffers of a later frame are taken for a part of this one.
SWALLOWS = ("num_buffers_huge", "num_buffers_one_more", "header_random")
# What is left of a frame over several buffers is taken for a frame, without a header.
LEAVES = ("used_len_huge", "used_len_short", "used_len_zero", "num_buffers_zero")
RING_LIES = {
    "used_id_beyond": "A used id beyond the ring.",
    "used_id_other": "A used id that was never made available.",
    "used_id_repeat": "The id of the buffer before.",
    "used_index_jump": "A used index that runs ahead of what was written.",
    "used_index_jump_far": "A used index that runs ahead by more than the ring.",
}


def trial(env, body):
    """Run body(trial); then the driver must recover. What was seen is observed."""
    made, wrong = Trial(env), None
    try:
        try:
            body(made)
        except Skip as skip:
            made.note(f"does not apply: {skip}")
            raise
        except Hang:
            raise
        except Failed as failed:
            made.note(f"not as it should be: {failed}")
            wrong = failed
        made.recover()
        made.note("recovers")
    except Hang as hang:
        made.note(f"hangs for ever: {hang}")
        env.observe(made.notes)
        end_guest()
        raise
    except Failed as failed:
        made.note(f"does not recover: {failed}")
        wrong = wrong or failed
    finally:
        env.observe(made.notes)
    if wrong:
        raise wrong


def declare(name, doc, body, timeout=60, nics=FIRST):
    """A case made from a table."""
    def function(env):
        trial(env, lambda made: body(env, made))
    function.__name__, function.__doc__, function.__module__ = name, doc, __name__
    case(timeout, nics)(function)


@contextlib.contextmanager
def bound(env, *words):
    """A process has the queue, zero-copy, but for frames over several chunks (-F) with C, which has no other
    way for them than to copy. At its end all of its memory is free again."""
    frags, xdp = "-F" in words, Xdp(env)
    xdp.set(port=PORT)
    if frags:
        env.dut.ip(f"link set dev {env.dut.name} mtu 9000")
    xdp.attach("socket", frags=frags, overwrite=True)
    copies = frags and env.driver == "c"
    with Client(env, "-c" if copies else "-z", "-p", "-G", env.peer.mac, *words) as client:
        equal(client.zero_copy, not copies, "zero-copy")
        yield client
    # Others may look at it until the kernel's next grace periods.
    wait_for(lambda: pinned() == 0, "the memory of the socket is free", 40)


def frame_lie(name, counter, program=None, words=None):
    """TIMES frames of FRAMES are lied about; before the stack a program sees them, or they come in
    memory of a process."""
    def body(env, made):
        env.serve_dut()
        if words:
            with bound(env, *words):
                lied(env, made)
            return
        if program:
            xdp = Xdp(env)
            xdp.set()
            xdp.attach(program, frags=True)
        lied(env, made)

    def lied(env, made):
        made.model.lie(name, next=TIMES, queue=0)
        made.receive(lost=TIMES)
        told = made.told(name)
        made.describe()
        equal(told, TIMES, f"times that the model told {name}")
        check(not made.given_up(), f"given up: {made.given_up()}")
        equal(made.changed, 0, "datagrams changed")
        if counter:
            counted, lost = made.counted().get(counter, 0), made.sent - made.received
            if name in SWALLOWS:
                check(counted >= 1, f"{counter} did not rise")
            else:
                equal(counted, told, f"{counter}, and lies")
                # A neighbour's solicitation may be among the frames that were lied about.
                check(told - 2 <= lost <= told, f"{lost} datagrams lost, by {told} lies")
        elif name not in SWALLOWS:
            check(made.received >= made.sent - told, f"{made.received} of {made.sent} delivered")
        check(made.alive(), "no traffic after the lie")
        made.note("goes on")
    return body


for _name, (_counter, _doc) in FRAME_LIES.items():
    declare(_name, _doc, frame_lie(_name, _counter), nics=RICH if _name in RICH_LIES else FIRST)
for _name in ("used_len_huge", "used_len_short", "frame_runt"):
    declare(f"{_name}_small", FRAME_LIES[_name][1], frame_lie(_name, FRAME_LIES[_name][0]),
            nics=SECOND)
for _name in ("used_len_huge", "used_len_short", "used_len_zero", "frame_runt", "csum_start", "gso_type",
              "header_random"):
    declare(f"{_name}_big", f"{FRAME_LIES[_name][1][:-1]}, in buffers for the largest packet.",
            frame_lie(_name, FRAME_LIES[_name][0]), nics=BIG)
    declare(f"{_name}_big_verified", f"{FRAME_LIES[_name][1][:-1]}, in such buffers, before a program.",
            frame_lie(_name, FRAME_LIES[_name][0], "verify"), nics=BIG)
# A program reads each frame to its end.
for _name in ("used_len_huge", "used_len_short", "used_len_zero", "frame_runt", "num_buffers_zero",
              "num_buffers_huge", "num_buffers_one_more", "csum_start", "csum_offset", "gso_type",
              "gso_size_zero", "header_flags", "header_random", "header_random_inside"):
    declare(f"{_name}_verified", f"{FRAME_LIES[_name][1][:-1]}, before a program that reads all of it.",
            frame_lie(_name, FRAME_LIES[_name][0], "verify"))
for _name in ("used_len_huge", "used_len_short", "frame_runt"):
    declare(f"{_name}_small_verified", f"{FRAME_LIES[_name][1][:-1]}, before a program that reads all of it.",
            frame_lie(_name, FRAME_LIES[_name][0], "verify"), nics=SECOND)


for _name in ("used_len_huge", "used_len_short", "used_len_zero", "frame_runt", "num_buffers_zero",
              "num_buffers_huge", "num_buffers_one_more", "csum_start", "csum_offset", "gso_type",
              "gso_size_zero", "header_flags", "header_random", "header_random_inside"):
    declare(f"{_name}_socket", f"{FRAME_LIES[_name][1][:-1]}, in memory of a process.",
            frame_lie(_name, FRAME_LIES[_name][0], words=("-r",)), nics=FOR_SOCKETS)


def chunks_lie(name, counter):
    """TIMES of FRAMES over several chunks are lied about, or parts of them; first of those that a program passes
    to the stack, then of those for a process."""
    def body(env, made):
        env.serve_dut()
        with bound(env, "-r", "-F") as client:
            made.model.lie(name, next=TIMES, queue=0)
            made.receive(lost=TIMES, size=LONG)
            made.describe()
            in_bounds(made, made.sent - made.received, TIMES)
            equal(made.changed, 0, "datagrams changed")
            before = made.counted().get(counter, 0)
            made.model.honest()
            made.model.lie(name, next=TIMES, queue=0)
            made.model.wait_generated(made.model.generate(count=FRAMES, size=LONG, destination_port=PORT))
            settle(0.3)
            check(made.alive(), "no traffic after the lie")
            result = client.end()
            adds_up(result)
            made.note(f"{result['rx']} of {FRAMES} frames delivered to the process")
            in_bounds(made, FRAMES - result["rx"], 2 * TIMES, before)
            check(not made.given_up(), f"given up: {made.given_up()}")
        check(made.alive(), "no traffic after the process")
        made.note("goes on")

    def in_bounds(made, lost, told, before=0):
        equal(made.told(name), told, f"times that the model told {name}")
        counted = made.counted().get(counter, 0) - before
        if name in (*SWALLOWS, *LEAVES):
            check(counted >= 1 or not counter, f"{counter} did not rise")
            return
        if counter:
            equal(counted, TIMES, f"{counter}, and lies")
        # A neighbour's solicitation may be among the frames that were lied about.
        check(lost <= TIMES, f"{lost} frames lost, by {TIMES} lies")
    return body


for _name in ("used_len_huge", "used_len_short", "used_len_zero", "num_buffers_zero", "num_buffers_huge",
              "num_buffers_one_more", "csum_start", "gso_type", "header_random", "header_random_inside"):
    declare(f"{_name}_chunks", f"{FRAME_LIES[_name][1][:-1]}, of frames over several chunks of a process.",
            chunks_lie(_name, FRAME_LIES[_name][0]), nics=FOR_SOCKETS)


def hash_type(env, made):
    """The hash of such a packet is not for the stack."""
    env.serve_dut()
    env.dut.offload(rxhash=True)
    with env.dut.packet_socket(0x0800) as capture:
        accept_only_hash(capture, 1)
        made.model.lie("hash_type", next=TIMES)
        made.receive()
        settle(0.3)
        capture.setblocking(False)
        count = 0
        with contextlib.suppress(BlockingIOError):
            while capture.recv(2048):
                count += 1
    made.describe()
    made.note(f"{count} packets with that value as their hash")
    equal(made.told("hash_type"), TIMES, "times that it was told")
    equal((made.received, made.changed), (made.sent, 0), "datagrams received and changed")
    equal(made.counted(), {}, "errors")
    equal(count, 0, "packets with that value as their hash")
    check(made.alive(), "no traffic after the lie")
    made.note("goes on")


declare("hash_type", "A hash report of no known type.", hash_type, nics=RICH)


def ring_lie(name, direction, words=None, sent=200, size=300):
    """The kernel's ring code gives the queue up, and says so once."""
    def body(env, made):
        env.serve_dut()
        with bound(env, *words) if words else contextlib.nullcontext():
            lied(env, made)

    def lied(env, made):
        if direction == "rx":
            made.receive(10, size=size)
        made.model.lie(name, next=1, queue=int(direction == "tx"))
        if direction == "rx":
            made.receive(size=size)
        else:
            made.send(sent, name)
            # The receive queue's poll looks at what was sent.
            made.receive(20)
        told, said = made.told(name), made.given_up()
        made.describe()
        check(told >= 1, f"the model did not tell {name}")
        check(len(said) <= 1, f"said more than once: {said}")
        alive = made.alive()
        if said:
            made.note(f"queue given up ({said[0].split(':', 1)[-1].strip()})")
        # A packed ring has no index: a gap looks like a device that has not come so far.
        check(said or alive or (name == "used_index_jump" and "packed" in env.dut.label),
              "no traffic, and nothing was said")
        equal(made.changed, 0, "datagrams changed")
        made.note("goes on" if alive else "no traffic until bound again")
    return body


for _name, _doc in RING_LIES.items():
    declare(f"{_name}_rx", f"{_doc[:-1]}, on the receive queue.", ring_lie(_name, "rx"))
    declare(f"{_name}_tx", f"{_doc[:-1]}, on the transmit queue.", ring_lie(_name, "tx"))
    if _name != "used_index_jump_far":
        declare(f"{_name}_packed", f"{_doc[:-1]}, on a packed ring.", ring_lie(_name, "rx"),
                nics=SECOND)
    declare(f"{_name}_rx_socket", f"{_doc[:-1]}, on the receive queue of a process.",
            ring_lie(_name, "rx", ("-r",)), nics=FOR_SOCKETS)
    declare(f"{_name}_tx_socket", f"{_doc[:-1]}, on the transmit queue of a process that sends.",
            ring_lie(_name, "tx", ("-t", "-T", 500)), nics=FOR_SOCKETS)
for _name in ("used_id_beyond", "used_id_repeat", "used_index_jump"):
    _doc = RING_LIES[_name]
    declare(f"{_name}_rx_chunks", f"{_doc[:-1]}, on the receive queue of a process with frames over several chunks.",
            ring_lie(_name, "rx", ("-r", "-F"), size=LONG), nics=FOR_SOCKETS)
    declare(f"{_name}_tx_chunks", f"{_doc[:-1]}, on the transmit queue of a process that sends such frames.",
            ring_lie(_name, "tx", ("-t", "-T", 500, "-F", "-s", LONG)), nics=FOR_SOCKETS)


for _suffix, _nics in (("alone", FIRST), ("alone_packed", SECOND)):
    declare(f"used_id_beyond_tx_{_suffix}", "A used id beyond the ring for the only packet in the transmit queue.",
            ring_lie("used_id_beyond", "tx", sent=1), nics=_nics)


def promiscuous(env, on):
    env.dut.ip(f"link set dev dut promisc {'on' if on else 'off'}", check=False)


def control_lie(name):
    """The command fails, or is late; nothing else does."""
    def body(env, made):
        env.serve_dut()
        made.model.lie(name, next=2)
        start = time.monotonic()
        in_time("a change of the receive mode", PATIENCE, lambda: promiscuous(env, True))
        # The stack sets the mode later, in a thread of its own.
        wait_for(lambda: made.told(name) == 2 or made.given_up(), f"{name} was told", 12)
        made.receive()
        made.describe()
        said = made.given_up()
        if name == "ctrl_reply_never":
            equal(len(said), 1, f"lines about a device given up: {said}")
            made.note(f"given up after {time.monotonic() - start:.0f} s ({said[0].split(':', 1)[-1].strip()})")
            return
        check(not said, f"given up: {said}")
        equal(made.received, made.sent, "datagrams received beside it")
        in_time("another change", PATIENCE, lambda: promiscuous(env, False))
        refused = made.log.new("(?i)refuses|failed to|fail to")
        made.note("command done later" if name == "ctrl_reply_late" else
                  f"refusal reported ({refused[0].split(':', 1)[-1].strip()})" if refused else
                  "nothing reported")
        check(refused or name == "ctrl_reply_late", "the refusal was not reported")
        check(made.alive(), "no traffic after the lie")
        made.note("goes on")
    return body


for _name, _doc in (("ctrl_reply_short", "A command that is used without an answer in it."),
                    ("ctrl_reply_late", "A command that is answered half a second late."),
                    ("ctrl_reply_wrong", "A command that is done and said to have failed."),
                    ("ctrl_reply_garbage", "An answer that is neither yes nor no."),
                    ("ctrl_reply_never", "A command that is never answered.")):
    declare(_name, _doc, control_lie(_name))


def interrupts(env, made):
    """At each turn of the model."""
    env.serve_dut()
    for name in ("config_interrupt", "interrupt_spurious"):
        made.model.lie(name, next=300)
        made.receive()
        wait_for(lambda n=name: made.told(n) > 20, f"{name} was told")
    made.describe()
    equal((made.received, made.changed), (made.sent, 0), "datagrams received and changed")
    check(made.alive(), "no traffic after the lie")
    made.note("goes on")


declare("interrupts_for_nothing", "Interrupts of queues and configuration for nothing.", interrupts)


def link_flap(env, made):
    env.serve_dut()
    made.model.lie("link_flap", next=101)
    made.receive(200)
    wait_for(lambda: made.told("link_flap") > 50, "the link flapped")
    made.model.honest()
    made.describe()
    env.link(True)
    env.dut.wait_carrier(True)
    check(made.alive(), "no traffic after the lie")
    made.note("goes on")


declare("link_flaps", "A storm of link changes.", link_flap)


def absurd(env, made):
    """Numbers that no device has, before and while it is bound."""
    for words in ({"mtu": 0, "pairs": 0}, {"mtu": 65535, "pairs": 65535}, {"speed": 0xffffffff, "duplex": 77}):
        made.model.ask("config", times=50, **words)
        check(made.alive(), f"no traffic after {words}")
    made.note("goes on while it is bound")
    for words, pairs in (({"mtu": 0}, 2), ({"mtu": 67}, 2), ({"pairs": 0}, 1), ({"pairs": 65535}, 1),
                         ({"pairs": 32768}, 1)):
        said = ", ".join(f"{name} {value}" for name, value in words.items())
        env.dut.unbind()
        made.model.ask("config", **words)
        in_time(f"binding with {said}", 20, lambda: env.dut.bind(env.driver))
        env.dut.configure()
        equal(env.dut.channels() or 1, pairs, f"queue pairs in use with {said}")
        equal(env.dut.negotiated("MTU"), "mtu" not in words, f"MTU taken with {said}")
        check(made.alive(), f"no traffic with {said}")
        made.note(f"{said}: not believed")
    # Its queues are not where it says.
    for pairs in (1, 3):
        env.dut.unbind()
        made.model.ask("config", pairs=pairs)
        refuses(env, made, f"pairs {pairs}")
    # Nobody has reset a device that was refused.
    made.model.ask("config", pairs=2)


def refuses(env, made, said):
    """The driver does not take the device, and says so in time."""
    def bind():
        try:
            env.dut.bind(env.driver)
        except Failed:
            return
        raise Failed(f"bound with {said}")

    in_time(f"binding with {said}", 20, bind)
    made.note(f"{said}: refused")


declare("absurd_configuration", "Configurations that cannot be, in a storm and as it is bound.", absurd, timeout=120,
        nics=RICH)


def changes_meanwhile(env, made):
    """What was looked at before features were negotiated is looked at again."""
    for name in ("mtu_changes", "hashing_changes"):
        env.dut.unbind()
        made.model.lie(name, next=1)
        refuses(env, made, name)
        equal(made.told(name), 1, f"times that {name} was told")
        made.model.honest()


declare("configuration_changes", "A configuration that is another one when it is read again.", changes_meanwhile,
        nics=RICH)


def refused_at_bind(env, made):
    """Hashing, then the number of queue pairs as well."""
    for times, pairs, words in ((1, 2, "refuses to hash packets"), (2, 1, "refuses 2 queue pairs; using one")):
        env.dut.unbind()
        made.model.lie("ctrl_refused", next=times)
        in_time("binding", 20, lambda: env.dut.bind(env.driver))
        env.dut.configure()
        equal(made.told("ctrl_refused"), times if times == 1 else 3, "commands refused")
        equal(env.dut.channels(), pairs, "queue pairs in use")
        if env.driver == "rust":
            equal(len(made.log.new(words)), 1, f"lines of {words!r}")
        check(made.alive(), f"no traffic on {pairs} queue pairs")
        made.note(f"{times} commands refused: {pairs} queue pairs")


declare("commands_refused_at_bind", "Commands that are not carried out while it is bound.", refused_at_bind, nics=RICH)


def refused_after_reset(env, made):
    """Hashing, by a device that has taken it before: packets come as it likes."""
    made.model.lie("ctrl_refused", next=1)
    function_reset(env)
    wait_for(lambda: made.told("ctrl_refused") == 1, "ctrl_refused was told")
    wait_for(made.alive, "traffic after the reset")
    equal(env.dut.channels(), 2, "queue pairs in use")
    equal(len(made.log.new("refuses to hash packets")), 1, "lines that say so")
    made.note("goes on without")


declare("hashing_refused_after_reset", "Hashing, which it refuses after a reset of its PCI function.",
        refused_after_reset, nics=RICH)

SETTINGS = {"-C": ("-c", "rx-usecs", "33"), "-X": ("-x", "hkey", KEY.hex(":")), "-K": ("-k", "rx-gro-hw", "off"),
            "-L": ("-l", "combined", "1")}


def refused(env, made):
    """Whoever wants something is told so, and it is as it was."""
    for command, (show, *words) in SETTINGS.items():
        before = env.dut.ethtool(show)
        told = made.told("ctrl_refused")
        made.model.lie("ctrl_refused", next=1)
        try:
            env.dut.ethtool(command, *words)
            check(command == "-K", f"ethtool {command} was not refused")
        except Failed as failed:
            check("Invalid argument" in str(failed) or command == "-K", str(failed))
        equal(made.told("ctrl_refused"), told + 1, f"commands refused of {command}")
        # The core remembers what was wanted of a feature.
        equal(re.sub(r" \[requested \w+\]", "", env.dut.ethtool(show)), before, f"ethtool {show}")
        check(made.alive(), f"no traffic after {command}")
        if command == "-K":
            # Which is why it does not ask for it again, unless something else was wanted meanwhile.
            env.dut.ethtool("-K", "rx-gro-hw", "on", check=False)
        env.dut.ethtool(command, *words)
        check(env.dut.ethtool(show) != before, f"ethtool {command} has no effect")
        made.note(f"ethtool {command}: an error, and all as before")
    check(made.alive(), "no traffic afterwards")


def done_and_refused(env, made):
    """Fewer queue pairs, which the device uses and says that it does not."""
    made.model.lie("ctrl_reply_wrong", next=1)
    try:
        env.dut.ethtool("-L", "combined", "1")
        raise Failed("ethtool -L was not refused")
    except Failed as failed:
        check("Invalid argument" in str(failed), str(failed))
    equal(made.told("ctrl_reply_wrong"), 1, "times that ctrl_reply_wrong was told")
    equal(env.dut.channels(), 2, "queue pairs in use")
    equal(env.model.port()["control"]["pairs"], 2, "queue pairs that the device uses")
    check(made.alive(), "no traffic afterwards")
    made.note("an error, and all as before")


declare("fewer_pairs_refused", "Fewer queue pairs, which it uses although it says that it does not.",
        done_and_refused, nics=KEEPS_STATISTICS)
declare("commands_refused", "A command that a user wants is not carried out.", refused, nics=RICH)


def unanswered(env, made):
    """Who waits for the answer has an error in time, and those after it at once."""
    made.model.lie("ctrl_reply_never", next=1)

    def fails(limit, *words):
        start = time.monotonic()
        try:
            env.dut.ethtool(*words)
            raise Failed(f"ethtool {words[0]} succeeded")
        except Failed as failed:
            check("ethtool" in str(failed) and "succeeded" not in str(failed), str(failed))
        took = time.monotonic() - start
        check(took < limit, f"ethtool {words[0]} failed after {took:.1f} s")

    in_time("ethtool -L", PATIENCE, lambda: fails(PATIENCE, "-L", "combined", "1"))
    said = made.given_up()
    equal(len(said), 1, f"lines about a device given up: {said}")
    made.note(f"ethtool -L: an error after some seconds, given up ({said[0].split(':', 1)[-1].strip()})")
    for words in (("-L", "combined", "1"), ("-C", "rx-usecs", "33"), ("-X", "hkey", KEY.hex(":"))):
        in_time(f"ethtool {words[0]}", PATIENCE, lambda words=words: fails(1.5, *words))
    equal(len(made.given_up()), 1, "lines about a device given up")
    made.note("the next ones fail at once")


declare("command_never_answered", "A command that a user waits for is never answered.", unanswered, nics=RICH)


def stopped(name):
    """Nothing can be known, but that nothing moves."""
    def body(env, made):
        env.serve_dut()
        made.model.lie(name, next=1)
        if name == "tx_queue_stop":
            made.send(2000)
        else:
            made.receive()
        made.describe()
        equal(made.told(name), 1, f"times that {name} was told")
        if name == "tx_queue_stop" and env.driver == "rust":
            # The watchdog of the stack notices.
            wait_for(lambda: made.log.new("transmit queue 0 was reset"), "the queue was reset", 20)
            wait_for(made.alive, "traffic afterwards")
            made.note("the queue is reset")
        made.note("goes on" if made.alive() else "no traffic until bound again")
    return body


for _name, _doc in (("rx_queue_stop", "A receive queue that takes no more buffers."),
                    ("tx_queue_stop", "A transmit queue that is no longer looked at."),
                    ("interrupt_lost", "An interrupt that does not come.")):
    declare(_name, _doc, stopped(_name))


def breaks_down(times):
    """It gets the reset, and traffic goes on; one that needs another at once is given up."""
    def body(env, made):
        env.serve_dut()
        for turn in range(times):
            made.model.lie("needs_reset", next=1)
            wait_for(lambda told=turn + 1: made.told("needs_reset") == told, "needs_reset was told")
            # The reset comes by a thread.
            wait_for(lambda: made.log.new("needs a reset"), "it was noticed")
            if turn == 0:
                wait_for(made.alive, "traffic after the reset")
                made.note("reset, and goes on")
        said = made.log.new("needs a reset")
        if times > 1:
            wait_for(lambda: made.log.new("and is given up"), "it is given up")
            settle(0.5)
            said = made.log.new("and is given up")
            check(not made.alive(), "it goes on")
            made.note("given up when it needs another at once")
        equal(len(said), 1, f"lines that say so: {said}")
        made.receive()
        made.describe()
        equal((made.received, made.changed), (made.sent if times == 1 else 0, 0), "datagrams received and changed")
    return body


def is_back(made):
    """Traffic goes on after a reset that was told of once, and none is lost."""
    wait_for(made.alive, "traffic after the reset", 15)
    equal(len(made.log.new("needs a reset")), 1, "lines that say so")
    made.receive()
    made.describe()
    equal((made.received, made.changed), (made.sent, 0), "datagrams received and changed")


def breaks_down_while_down(env, made):
    """Nobody hears of it before the interface goes up, which has commands for the device."""
    env.serve_dut()
    env.dut.ip("link set dev dut down")
    made.model.lie("needs_reset", next=1)
    wait_for(lambda: made.told("needs_reset") == 1, "needs_reset was told")
    in_time("going up", PATIENCE, lambda: env.dut.ip("link set dev dut up"))
    wait_for(env.dut.carrier, "the link")
    env.dut.addresses()
    is_back(made)
    made.note("reset, and goes on")


def healed(env, made):
    """One that was given up is reset by somebody else; then it needs a reset again."""
    breaks_down(2)(env, made)
    before = len(made.log.new("the device needs a reset$"))
    function_reset(env)
    wait_for(made.alive, "traffic after a reset of the function")
    made.model.lie("needs_reset", next=1)
    wait_for(lambda: len(made.log.new("the device needs a reset$")) > before, "it was noticed")
    wait_for(made.alive, "traffic after the reset")
    made.note("after a reset of the function, reset, and goes on")


def others_wait():
    """How long somebody waits who makes a network device, in seconds."""
    start = time.monotonic()
    run("ip", "link", "add", "vnr-dummy", "type", "dummy")
    took = time.monotonic() - start
    run("ip", "link", "del", "vnr-dummy")
    return took


def breaks_down_for_long(env, made):
    """Its reset takes four seconds, for which nobody else has to wait."""
    env.serve_dut()
    made.model.lie("reset_refused", next=1)
    made.model.lie("needs_reset", next=1)
    wait_for(lambda: made.told("reset_refused") == 1, "reset_refused was told")
    in_time("making another network device", PATIENCE, lambda: check_below(others_wait(), 2))
    is_back(made)
    made.note("reset when the device is ready for it, and goes on")


def check_below(seconds, most):
    check(seconds < most, f"somebody else waits {seconds:.1f} s")


def breaks_down_and_is_slow(env, made):
    """What it has to be told again takes half a second a piece."""
    run("modprobe", "8021q")
    run("ip", "-batch", "-", text="".join(f"link add link dut name dut.{number} type vlan id {number}\n"
                                          for number in range(100, 150)))
    made.model.lie("ctrl_reply_late", probability=1)
    made.model.lie("needs_reset", next=1)
    wait_for(lambda: made.log.new("needs a reset"), "it was noticed")
    in_time("making another network device", 30, lambda: check_below(others_wait(), 15))
    wait_for(lambda: made.log.new("did not come back|not take its VLANs again"), "it is given up")
    equal(len(made.given_up()), 1, f"lines that say so: {made.given_up()}")
    made.note("given up when it takes too long to tell it all again")


def breaks_down_in_a_command(env, made):
    """Who waits for the answer to a command, which does not come any more, does not keep others waiting."""
    env.serve_dut()
    run("modprobe", "8021q")
    made.model.lie("ctrl_reply_never", next=1)
    waiting = Background(lambda: run("ip", "link", "add", "link", "dut", "name", "dut.100", "type", "vlan",
                                     "id", "100", check=False))
    start = time.monotonic()
    waiting.start()
    wait_for(lambda: made.told("ctrl_reply_never") == 1, "ctrl_reply_never was told")
    made.model.lie("needs_reset", next=1)
    wait_for(lambda: made.told("needs_reset") == 1, "needs_reset was told")
    in_time("making another network device", PATIENCE, others_wait)
    check(waiting.done(10), "the command has ended")
    # Who is not told waits for as long as the driver has patience with a command, which is five seconds.
    took = time.monotonic() - start
    check(took < 5, f"the command and who came after it took {took:.1f} s")
    is_back(made)
    made.note("reset, and goes on; the command fails at once")


declare("needs_reset", "The device says that it needs a reset.", breaks_down(1))
declare("needs_reset_again", "It says so again at once.", breaks_down(2))
declare("needs_reset_down", "It says so while the interface is down.", breaks_down_while_down)
declare("needs_reset_long", "It says so, and the reset takes four seconds.", breaks_down_for_long)
declare("needs_reset_in_a_command", "It says so instead of answering a command.", breaks_down_in_a_command)
declare("needs_reset_slow", "It says so, and then answers slowly.", breaks_down_and_is_slow)
declare("needs_reset_healed", "It says so after it was given up and its PCI function was reset.", healed)


def hardware_packets(env):
    """(what the driver shows, what the device counted) of received frames."""
    shown = env.dut.statistics()
    return shown["rx_hw_packets"], sum(queue["packets"] for queue in env.model.port()["stats"]["rx"])


def statistics(env, made):
    """Of all queues for ethtool, of each for the netdev family."""
    env.serve_dut()
    hardware_packets(env)
    made.model.lie("stats_garbage", probability=1)
    for _ in range(TIMES):
        in_time("ethtool -S", PATIENCE, env.dut.statistics)
        in_time("reading the queues' counters", PATIENCE, env.dut.queue_counters)
    told, said = made.told("stats_garbage"), made.log.new("(?i)statistics")
    made.receive()
    made.describe()
    check(told >= TIMES, f"stats_garbage was told {told} times")
    check(not made.given_up(), f"given up: {made.given_up()}")
    check(len(said) == 1, f"lines that report it: {said}")
    made.note(f"reported once ({said[0].split(':', 1)[-1].strip()})")
    equal((made.received, made.changed), (made.sent, 0), "datagrams received and changed")
    check(made.alive(), "no traffic after the lie")
    settle()
    shown, counted = hardware_packets(env)
    check(abs(shown - counted) <= 3, f"{shown} packets shown afterwards, {counted} at the model")
    made.note("goes on")


declare("stats_garbage", "Statistics with types, queues and lengths at random.", statistics,
        nics=KEEPS_STATISTICS)


@case(60, FIRST)
def features_refused(env):
    """The feature bits that the driver accepted are refused."""
    def body(made):
        env.dut.unbind()
        made.model.lie("features_refused", next=1)
        try:
            env.dut.bind(env.driver)
            check(False, "bound, although the features were refused")
        except Failed:
            pass
        equal(made.told("features_refused"), 1, "times that it was told")
        made.note("probe fails")
    trial(env, body)


@case(60, FIRST)
def reset_refused(env):
    """A device reset that does not happen for four seconds."""
    def body(made):
        made.model.lie("reset_refused", next=1)
        start = time.monotonic()
        # The bus's own code polls the device, for any driver, and without an end.
        in_time("unbinding", 20, env.dut.unbind)
        took = time.monotonic() - start
        equal(made.told("reset_refused"), 1, "times that it was told")
        check(took > 3, f"unbound after {took:.1f} s, before the device was reset")
        made.note(f"the bus waits for the device ({took:.0f} s)")
    trial(env, body)


@case(60, FIRST)
def queue_reset_refused(env):
    """A queue reset that does not happen for four seconds."""
    def body(made):
        made.model.lie("queue_reset_refused", next=1)
        start = time.monotonic()
        try:
            in_time("ethtool -G", 20, lambda: env.dut.ethtool("-G", "rx", "128"))
        except Failed as failed:
            if "not supported" not in str(failed):
                raise
            raise Skip("the driver resets no single queue") from failed
        took = time.monotonic() - start
        equal(made.told("queue_reset_refused"), 1, "times that it was told")
        check(took > 3, f"resized after {took:.1f} s, before the queue was reset")
        made.note(f"the bus waits for the device ({took:.0f} s)")
        check(made.alive(), "no traffic afterwards")
    trial(env, body)


# What ends traffic for good would hide all others; hangs of the bus are no driver's.
ALONE = ("reset_refused", "queue_reset_refused", "features_refused", "ctrl_reply_never",
         "rx_queue_stop", "tx_queue_stop", "needs_reset", "interrupt_lost", "stats_garbage")


@case(240, "*-1q")
def everything_at_random(env):
    """Rounds of several lies at once, chosen by a seed that the run prints."""
    at_random(env)


@case(240, "*-1q")
def everything_at_random_verified(env):
    """The same, before a program that reads all of each frame."""
    at_random(env, "verify")


@case(240, FOR_SOCKETS)
def everything_at_random_socket(env):
    """The same, in memory of a process that sends all back."""
    at_random(env, words=("-l",))


@case(240, FOR_SOCKETS)
def everything_at_random_chunks(env):
    """The same, of frames over several chunks."""
    at_random(env, words=("-l", "-F"), size=LONG)


def at_random(env, program=None, words=None, size=300):
    """Lies of all kinds in rounds; before the stack a program sees the frames, or they come in memory
    of a process."""
    seed = env.job["seed"]
    chosen = random.Random(seed)
    names = [name for name in env.control.ask(model={"cmd": "lies"}) if name not in ALONE]
    rounds, told = 20 if env.full else 4, {}

    def body(made):
        made.note(f"seed {seed}")
        env.model.ask("seed", seed=seed)
        for _ in range(rounds):
            lies = chosen.sample(names, 6)
            env.serve_dut()
            if program:
                xdp = Xdp(env)
                xdp.set()
                xdp.attach(program, frags=True)
            for name in lies:
                made.model.lie(name, probability=0.05)
            with bound(env, *words) if words else contextlib.nullcontext():
                sender = env.start(env.dut, "burst", env.peer.ip4, 7777, 100000, 300, 300)
                if words:
                    made.model.generate(count=300, size=size, destination_port=PORT)
                made.receive(300, size=size)
                sender.kill()
                sender.wait()
            told.update((name, made.told(name)) for name in lies)
            env.dut_server.kill()
            env.dut_server.wait()
            made.recover()
        made.note(f"{rounds} rounds, {sum(told.values())} lies of {sum(map(bool, told.values()))} kinds")
        check(sum(told.values()) > 20, f"only {told} were told")
    trial(env, body)


# A run of everything leaves variants of most lies out, which T=hostile tells: before a program, in buffers for
# the largest packet, and in memory of a process.
VARIANTS = ("_verified", "_big", "_socket", "_chunks")
ALWAYS = ("everything_", "used_len_huge", "num_buffers_huge", "csum_start", "header_random", "used_id_beyond",
          "used_index_jump")
UNASKED = [one.function.__name__ for one in CASES.values() if one.suite == "hostile"
           and (one.function.__name__.startswith(ALWAYS) or not one.function.__name__.endswith(VARIANTS))]
