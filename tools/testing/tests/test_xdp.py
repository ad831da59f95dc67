# SPDX-License-Identifier: GPL-2.0
"""XDP: what a program wants done with a frame is done, and nothing else changes."""

import contextlib

from bpf_link import Link, Pinned
from nic import read, settle, write
from packet import EXPERIMENTAL, GSO_NONE, NEEDS_CSUM, Capture, ethernet, large_frame, udp4
from toeplitz import flow_hash
from tracing import Counted, Probed, Traced
from vnrtest import Failed, case, check, equal, wait_for
from xdp import PLACE, Xdp

ORDER = 55
PARAMS = ["", "packed=on,queues=2,hash=on", "mode=small", "mode=big", "host_mtu=9000,queue_reset=off"]
FULL_PARAMS = [*PARAMS, "queues=8", "packed=on,queues=3,iommu_platform=on", "mode=small,queues=4,packed=on",
               "mode=big,packed=on,host_mtu=9000", "ctrl_guest_offloads=off", "mode=big,ctrl_guest_offloads=off",
               "transport=legacy", "transport=mmio", "in_order=on"]
# Frames over several buffers, large ones, and all but mmio.
LONG, LARGE, PCI = "*host_mtu*", "*[mb][ei][rg]*", "?[!m]*"
# What `make test` runs of cases that do not look at how buffers lie.
PLAIN, TWO = "modern-split-mergeable-1q", "modern-packed-*"
PORT = 4001
EPERM, EBUSY, ENOLINK = 1, 16, 67


def send(env, payloads, port=PORT):
    """UDP datagrams from the peer, as they are, with whole checksums."""
    with_socket = env.peer.packet_socket(protocol=0)
    frames = [ethernet(env.dut.mac, env.peer.mac, 0x0800, udp4(env.peer.ip4, env.dut.ip4, payload,
                                                              ports=(4000, port)))
              for payload in payloads]
    with with_socket:
        for frame in frames:
            with_socket.send(frame)
    return frames


def payloads(count=64, longest=1400):
    return [bytes((index + at) % 251 for at in range(18 + index * (longest - 18) // count))
            for index in range(count)]


def returned(frame):
    """A frame as it comes back with its addresses swapped."""
    return frame[6:12] + frame[:6] + frame[12:]


def same(got, wanted):
    """All frames are there, unchanged; several queues may mix their order."""
    equal(len(got), len(wanted), "number of frames")
    for one, other in zip(sorted(got), sorted(wanted)):
        equal(one.hex(), other.hex(), "frame")


def meant(frames, port=PORT):
    return [frame.data for frame in frames if not frame.outgoing and len(frame.data) > 38
            and frame.data[36:38] == port.to_bytes(2, "big")]


@case(60, ci=True)
def passes(env):
    """What a program passes is as it was: pings, datagrams of all sizes, streams."""
    xdp = Xdp(env)
    xdp.set()
    # Of large frames, where they cannot be refused, a program for a single buffer has few.
    large = env.dut.negotiated("GUEST_TSO4") and not env.dut.negotiated("CTRL_GUEST_OFFLOADS")
    xdp.attach("pass", frags=large)
    equal(xdp.attached(), "native", "mode of the program")
    env.ping()
    env.ping(env.peer.ip6)
    env.echo("udp", env.peer.ip4, 0, 1472, 33)
    env.echo("tcp", env.peer.ip4, 1, 8192, 1021)
    env.stream("recv", env.peer.ip4, 4 << 20)
    env.stream("send", env.peer.ip6, 1 << 20)
    seen = xdp.seen()
    check(seen["frames"] > 100, f"the program saw {seen}")
    statistics = env.dut.statistics()
    check(statistics["rx_xdp_packets"] >= seen["frames"], f"{statistics}, the program saw {seen}")
    equal(statistics["rx_xdp_drops"], 0, "frames dropped")
    xdp.detach()
    equal(xdp.attached(), None, "mode without a program")
    env.ping()
    env.echo("udp", env.peer.ip4, 0, 1472, 101)


@case(60)
def drops(env):
    """What a program drops is counted once, and nothing else is."""
    xdp = Xdp(env)
    xdp.set(port=PORT)
    xdp.attach("drop")
    before = env.dut.statistics(), env.dut.counters()
    send(env, payloads())
    wait_for(lambda: xdp.seen()["frames"] == 64, "64 frames at the program")
    after = env.dut.statistics(), env.dut.counters()
    equal(after[0]["rx_xdp_drops"] - before[0]["rx_xdp_drops"], 64, "xdp_drops")
    equal(after[0]["rx_drops"] - before[0]["rx_drops"], 64, "drops")
    check(after[1]["rx_packets"] - before[1]["rx_packets"] >= 64, "packets are counted")
    env.ping()


@case(60, sample=PLAIN)
def exceptions(env):
    """What a program aborts, or gives no verdict for, is dropped and can be traced."""
    xdp = Xdp(env)
    xdp.set(port=PORT)
    with Traced("xdp/xdp_exception") as traced:
        for program in ("aborted", "nonsense"):
            traced.forget()
            xdp.attach(program, overwrite=True)
            before = env.dut.statistics()["rx_xdp_drops"]
            send(env, payloads(8))
            wait_for(lambda: env.dut.statistics()["rx_xdp_drops"] == before + 8, "8 frames dropped")
            equal(len(traced.lines()), 8, f"traced exceptions of {program}")
    env.ping()


@case(60)
def transmits(env):
    """What a program sends back arrives as it was, with the addresses swapped."""
    xdp = Xdp(env)
    xdp.set(port=PORT)
    xdp.attach("tx")
    before = env.dut.statistics()
    with Capture(env.peer) as capture:
        frames = send(env, payloads())
        got = meant(capture.frames(quiet=1))
    after = env.dut.statistics()
    equal(after["rx_xdp_tx"] - before["rx_xdp_tx"], 64, "xdp_tx")
    same(got, [returned(frame) for frame in frames])
    equal(after["tx_xdp_tx"] - before["tx_xdp_tx"], 64, "xdp_tx of transmit queues")
    equal(after["tx_xdp_tx_drops"] - before["tx_xdp_tx_drops"], 0, "xdp_tx_drops")
    env.ping()
    env.echo("tcp", env.peer.ip4, 1, 8192, 1021)


@case(60, sample=PLAIN)
def sends_in_bulk(env):
    """Frames that are sent back are given to the device together, not each under a lock of its own."""
    # What each driver calls for that.
    function = {"c": "virtio_net:virtnet_xdp_xmit", "rust": "virtio_net_rs:rust_helper___netif_tx_lock"}[env.driver]
    xdp, number = Xdp(env), 200
    xdp.set(port=PORT)
    xdp.attach("tx")
    # A poll begins late, and finds many.
    for knob, value in ("napi_defer_hard_irqs", 1000), ("gro_flush_timeout", 20_000_000):
        write(f"/sys/class/net/dut/{knob}", str(value))
    with Probed(function) as probed, Counted(probed.event) as counted, Capture(env.peer) as capture:
        frames = send(env, payloads(number))
        same(meant(capture.frames(quiet=1)), [returned(frame) for frame in frames])
        times = counted.times()[probed.event]
    check(0 < times <= number // 4, f"{function} was called {times} times for {number} frames")


@case(90)
def checksums_are_complete(env):
    """A program sees whole checksums, also of frames that come with partial ones."""
    xdp = Xdp(env)
    for frags in (False, True):
        # No frame that is to be cut into segments.
        env.peer.offload(tso=False, gso=False, tx_udp_segmentation=False)
        xdp.set()
        xdp.attach("verify", frags=frags)
        env.serve_dut()
        env.peer.knows(env.dut)
        env.echo("udp", env.dut.ip4, 0, 1472, 61, nic=env.peer)
        env.echo("tcp", env.dut.ip4, 1, 4096, 511, nic=env.peer)
        env.stream("recv", env.peer.ip4, 1 << 20)
        seen = xdp.seen()
        check(seen["right"] > 50, f"the program saw {seen}")
        equal(seen["wrong"], 0, "wrong checksums")
        xdp.detach()
        env.dut_server.kill()
        env.dut_server.wait()
        env.peer.offload(tso=True, gso=True, tx_udp_segmentation=True)


@case(90, sample=LONG)
def partial_checksums_go_on(env):
    """Frames that come with a partial checksum leave with a whole one, sent back or by another device."""
    xdp, long = Xdp(env), "host_mtu" in env.dut.label
    sent = [large_frame(env.peer, env.dut, (GSO_NONE, protocol, place), length, ports=(4000, PORT), segment=0)
            for protocol, place in ((17, 6), (6, 16))
            for length in ((19, 1400, 4000, 8900) if long else (19, 1400))]

    def but_checksums(frame, place):
        return frame[:34 + place] + frame[36 + place:]

    with env.joined() as (va, vb):
        for nic in (env.dut, env.peer, va, vb) if long else ():
            nic.ip(f"link set dev {nic.name} mtu 9000")
        for program, at in ("tx", env.peer), ("redirect", vb):
            xdp.set(port=PORT, target=int(read("/sys/class/net/va/ifindex")))
            xdp.attach(program, frags=long, overwrite=True)
            with Capture(at) as capture, env.peer.packet_socket(protocol=0, vnet_header=True) as sender:
                for header, frame in sent:
                    sender.send(header + frame)
                got = [seen for seen in capture.frames(quiet=1)
                       if not seen.outgoing and seen.ports() == (4000, PORT)]
            for seen in got:
                check(not seen.flags & NEEDS_CSUM and seen.checksum_right(), f"{program}: a wrong checksum")
            same([but_checksums(seen.data, 6 if seen.ip[1] == 17 else 16) for seen in got],
                 [but_checksums(returned(frame) if program == "tx" else frame, 6 if frame[23] == 17 else 16)
                  for _, frame in sent])
    env.ping()


def tcp_counts(env, *wanted):
    """What TCP has counted at both ends: {(role, name): count}."""
    found = {}
    for nic in (env.dut, env.peer):
        with nic.enter():
            # Of this thread's namespace; that of the process is another one.
            rows = read("/proc/thread-self/net/snmp").splitlines()
        names, values = (row.split()[1:] for row in rows if row.startswith("Tcp:"))
        found.update({(nic.role, name): int(value) for name, value in zip(names, values)
                      if name in wanted})
    return found


def errors_of(env):
    """What went wrong with TCP at both ends, and what the driver has dropped: {(role, name): count}."""
    found = {("dut", name): env.dut.statistics()[name] for name in ("rx_drops", "rx_xdp_drops")}
    return found | tcp_counts(env, "InErrs", "InCsumErrors")


@contextlib.contextmanager
def no_segment_lost(env):
    """A context: TCP repeats nothing, unless it was impatient only, as on a busy machine, and all frames of the peer
    have come."""
    def frames():
        return env.peer.counters()["tx_packets"], env.dut.counters()["rx_packets"]

    before, counts = tcp_counts(env, "RetransSegs"), frames()
    yield
    if tcp_counts(env, "RetransSegs") == before:
        return
    rests(env)
    sent, came = (now - then for now, then in zip(frames(), counts))
    check(came >= sent, f"of {sent} frames of the peer {came} have come, and TCP repeats some")


def same_counts(now, before):
    for (where, what), count in now.items():
        equal(count - before[where, what], 0, f"{what} at the {where}")


def rests(env):
    """No packet has come for longer than TCP waits before it repeats one: the last of a stream may be large."""
    seen = -1
    while seen != (seen := env.dut.counters()["rx_packets"]):
        settle(0.5)


@case(90, nics=LARGE, sample="*1q")
def large_receive(env):
    """Frames that are to be cut stay whole for a program that can have them, and only then."""
    xdp = Xdp(env)
    errors, can_refuse = errors_of(env), env.dut.negotiated("CTRL_GUEST_OFFLOADS")
    for frags in (True, False):
        rests(env)
        xdp.set()
        xdp.attach("pass", frags=frags)
        large = frags or not can_refuse
        equal(env.dut.features()["rx-gro-hw"][0], large, "rx-gro-hw with a program")
        with no_segment_lost(env) if frags else contextlib.nullcontext():
            env.stream("recv", env.peer.ip4, 8 << 20)
            env.stream("recv", env.peer.ip6, 2 << 20)
        seen = xdp.seen()
        if frags:
            check(seen["longest"] > 8192 and seen["frags"], f"the program saw {seen}")
        else:
            check(seen["longest"] <= 3520 and not seen["frags"], f"the program saw {seen}")
        xdp.detach()
        equal(env.dut.features()["rx-gro-hw"][0], True, "rx-gro-hw without a program")
        if frags:
            same_counts(errors_of(env), errors)
    now, drops = errors_of(env), "rx_xdp_drops"
    if not can_refuse:
        # Those that it could not have are counted, and come again in smaller ones.
        lost = now["dut", drops] - errors["dut", drops]
        check(lost > 0, "a program for a single buffer had all of the frames")
        for name in ("rx_drops", drops):
            errors["dut", name] += lost
    same_counts(now, errors)
    xdp.set()
    xdp.attach("pass", frags=True)
    # As many as before: where the kernel is slow, a stream has small frames at first.
    env.stream("recv", env.peer.ip4, 8 << 20)
    seen = xdp.seen()
    check(seen["longest"] > 8192, f"large frames again: the program saw {seen}")


@case(90, nics=LARGE, sample=PLAIN)
def large_after_change(env):
    """Large frames find buffers that were posted for something else: they are whole all the same."""
    xdp = Xdp(env)

    def large(step):
        xdp.attach("pass", frags=True, overwrite=True)
        before = env.dut.statistics()
        xdp.set()
        # A busy sender makes none at first.
        for sent in range(8):
            env.stream("recv", env.peer.ip4, 4 << 20)
            if sent and xdp.seen()["longest"] > 8192:
                break
        check(xdp.seen()["longest"] > 8192, f"no large frames {step}")
        equal(env.dut.statistics()["rx_xdp_drops"] - before["rx_xdp_drops"], 0, f"frames lost {step}")

    for turn in range(6):
        # Buffers become as small as these packets are.
        env.echo("udp", env.peer.ip4, 1, 1000, 2)
        rests(env)
        large("after none")
        rests(env)
        xdp.attach("pass", overwrite=True)
        env.stream("recv", env.peer.ip4, 1 << 20)
        rests(env)
        large("after a program for single buffers")
        rests(env)
        xdp.detach()
        env.stream("recv", env.peer.ip4, turn << 18)


@case(90, nics=LONG)
def jumbo(env):
    """Frames of 9000 bytes pass, are dropped, and come back whole; a program for one buffer is
    refused."""
    for nic in (env.dut, env.peer):
        nic.ip(f"link set dev {nic.name} mtu 9000")
    xdp = Xdp(env)
    try:
        xdp.attach("pass")
    except Failed:
        pass
    else:
        raise Failed("a program for frames in one buffer was taken")
    xdp.set()
    xdp.attach("pass", frags=True)
    env.ping(size=8900)
    env.echo("udp", env.peer.ip4, 3000, 8972, 331)
    env.stream("recv", env.peer.ip4, 2 << 20)
    check(xdp.seen()["frags"], "frames over several buffers")
    long = payloads(24, 8900)
    xdp.set(port=PORT)
    xdp.attach("drop", frags=True, overwrite=True)
    before = env.dut.statistics()["rx_xdp_drops"]
    send(env, long)
    wait_for(lambda: env.dut.statistics()["rx_xdp_drops"] == before + 24, "24 frames dropped")
    xdp.attach("tx", frags=True, overwrite=True)
    with Capture(env.peer) as capture:
        frames = send(env, long)
        got = meant(capture.frames(quiet=1))
    same(got, [returned(frame) for frame in frames])
    xdp.detach()
    xdp.attach("drop", frags=True)
    env.dut.ip("link set dev dut mtu 1500")
    xdp.attach("pass", overwrite=True)
    try:
        env.dut.ip("link set dev dut mtu 9000")
    except Failed:
        pass
    else:
        raise Failed("an MTU was taken whose frames the program cannot have")
    env.dut.ip("link set dev dut mtu 3000")
    env.ping(size=2900)


def adjusted(frame, head, tail):
    """What comes back of a frame whose ends a program has moved: bytes that nobody knows
    are None."""
    body = list(frame[head:] if head >= 0 else [None] * -head + list(frame))
    body = body[:tail] if tail < 0 else body + [0] * tail
    return list(frame[6:12] + frame[:6] + EXPERIMENTAL.to_bytes(2, "big")) + body[14:]


@case(120)
def adjusts(env):
    """A program moves both ends of frames."""
    xdp = Xdp(env)
    frags = "host_mtu" in env.dut.label
    if frags:
        for nic in (env.dut, env.peer):
            nic.ip(f"link set dev {nic.name} mtu 9000")
    xdp.attach("adjust", frags=frags)
    sizes = (100, 1000) if not frags else (100, 1000, 3500, 5000, 8000)
    for head, tail in ((-14, 0), (14, 0), (0, -20), (0, 64), (-40, 100), (60, -30), (-200, 0)):
        xdp.set(port=PORT, head=head, tail=tail)
        with Capture(env.peer) as capture:
            frames = send(env, [bytes((size + at) % 251 for at in range(size)) for size in sizes])
            got = [frame.data for frame in capture.frames(quiet=1) if not frame.outgoing
                   and frame.data[6:12] == frames[0][:6] and frame.ethertype == EXPERIMENTAL]
        equal(xdp.seen()["refused"], 0, f"refusals to move {head}, {tail}")
        equal(len(got), len(frames), f"frames that came back, {head}, {tail}")
        for one, frame in zip(sorted(got, key=len), frames):
            wanted = adjusted(frame, head, tail)
            equal(len(one), len(wanted), f"bytes of a frame, {head}, {tail}")
            wrong = [at for at, byte in enumerate(wanted) if byte is not None and byte != one[at]]
            equal(wrong, [], f"places of wrong bytes, {head}, {tail}, {len(one)} bytes")
    env.ping()


@case(90, nics=LARGE, sample=PLAIN)
def pulls(env):
    """A program has more of a large frame in the first buffer than there is room behind: the stack gets it as
    it was."""
    xdp = Xdp(env)
    for length in (2000, 3600, 3700):
        xdp.set(head=length)
        xdp.attach("pull", frags=True, overwrite=True)
        # A slow kernel takes its time before it sends large ones.
        env.stream("recv", env.peer.ip4, 8 << 20)
        env.echo("udp", env.peer.ip4, 0, 1472, 101)
        seen = xdp.seen()
        equal(seen["refused"], 0, f"refusals, of {seen}")
        check(seen["longest"] > 8192, f"no large frames, of {seen}")
    equal(env.dut.statistics()["rx_xdp_drops"], 0, "frames dropped")


@case(60, sample=PLAIN)
def metadata(env):
    """A program writes metadata in front of frames that it passes; they are as they were."""
    xdp = Xdp(env)
    xdp.set()
    xdp.attach("meta")
    env.ping()
    env.echo("udp", env.peer.ip4, 0, 1472, 101)
    env.stream("recv", env.peer.ip4, 1 << 20)
    seen = xdp.seen()
    check(seen["frames"] > 20, f"the program saw {seen}")
    equal(seen["refused"], 0, f"refusals, of {seen}")


@case(60, sample=PLAIN)
def redirects(env):
    """A program sends frames to another device, by its number and by a map."""
    xdp = Xdp(env)
    with env.joined() as (_, vb):
        target = int(read("/sys/class/net/va/ifindex"))
        xdp.update("devices", 0, [str(byte) for byte in target.to_bytes(4, "little")])
        for program in ("redirect", "devmap"):
            xdp.set(port=PORT, target=target)
            xdp.attach(program, overwrite=True)
            before = env.dut.statistics()
            with Capture(vb) as capture:
                frames = send(env, payloads())
                got = meant(capture.frames(quiet=1))
            same(got, frames)
            after = env.dut.statistics()
            equal(after["rx_xdp_redirects"] - before["rx_xdp_redirects"], 64, "xdp_redirects")
            equal(after["rx_xdp_drops"] - before["rx_xdp_drops"], 0, "xdp_drops")
    env.ping()


@case(60, sample=PLAIN)
def redirects_to_processor(env):
    """A program has the stack get frames on another processor."""
    xdp = Xdp(env)
    xdp.set()
    xdp.update("processors", 0, ["0", "2", "0", "0"])
    xdp.attach("cpumap")
    env.ping()
    env.echo("udp", env.peer.ip4, 0, 1472, 61)
    env.echo("tcp", env.peer.ip4, 1, 4096, 511)
    env.stream("recv", env.peer.ip4, 1 << 20)
    check(env.dut.statistics()["rx_xdp_redirects"] > 100, "redirects")


def from_elsewhere(env, xdp):
    """Frames that another device redirects here leave as they are."""
    with env.joined() as (va, vb):
        source = Xdp(env, va)
        target = int(read("/sys/class/net/dut/ifindex"))
        xdp.set(port=PORT, target=target)
        source.attach("redirect")
        before = env.dut.statistics()
        frames = [ethernet(env.peer.mac, env.dut.mac, 0x0800, udp4(env.dut.ip4, env.peer.ip4, payload,
                                                                  ports=(4000, PORT)))
                  for payload in payloads()]
        with Capture(env.peer) as capture, vb.packet_socket(protocol=0) as sender:
            for frame in frames:
                sender.send(frame)
            got = meant(capture.frames(quiet=1))
        same(got, frames)
        after = env.dut.statistics()
        equal(after["tx_xdp_tx"] - before["tx_xdp_tx"], 64, "xdp_tx of transmit queues")
        equal(after["tx_xdp_tx_drops"] - before["tx_xdp_tx_drops"], 0, "xdp_tx_drops")
        env.ping()


@case(60, sample=TWO)
def frames_from_elsewhere(env):
    """Another device's frames leave by this one while it has a program."""
    xdp = Xdp(env)
    xdp.attach("pass")
    from_elsewhere(env, xdp)


@case(60, sample=TWO)
def frames_without_program(env):
    """Another device's frames leave by this one without a program."""
    from_elsewhere(env, Xdp(env))


@case(120, sample=PLAIN, full=900)
def changes_under_traffic(env):
    """Programs are attached, replaced and taken off under traffic; what was sent arrives."""
    xdp = Xdp(env)
    turns = 2000 if env.full else 30
    env.serve_dut()
    env.peer.knows(env.dut)
    changes = None
    while changes is None or changes.poll() is None:
        streams = [env.start(env.dut, "stream", direction, env.peer.ip4, 7777, 8 << 20)
                   for direction in ("send", "recv")]
        burst = env.start(env.peer, "burst", env.dut.ip4, 7777, 20000, 200, 400)
        changes = changes or xdp.change(("pass", False), ("verify", True), ("meta", False), ("pass", True),
                                        turns=turns)
        result, good = env.finish(burst)
        for stream in streams:
            report, intact = env.finish(stream)
            check(intact, f"stream: {report}")
        check(good, f"datagrams: {result}")
    equal(changes.returncode, 0, f"status of {5 * turns} changes")
    equal(xdp.attached(), None, "mode in the end")
    env.echo("udp", env.peer.ip4, 0, 1472, 101)
    env.echo("tcp", env.peer.ip4, 1, 8192, 1021)


@case(90, sample=TWO)
def queues_change(env):
    """Queue pairs and ring sizes change while a program sends frames back."""
    xdp = Xdp(env)
    xdp.set(port=PORT)
    xdp.attach("tx")
    most = 2 if env.dut.negotiated("MQ") else 1
    for turn in range(4):
        if most > 1:
            env.dut.ethtool("-L", "combined", str(1 + turn % most))
        if env.dut.negotiated("RING_RESET"):
            env.dut.ethtool("-G", "rx", ("64", "128")[turn % 2], "tx", ("128", "64")[turn % 2])
        with Capture(env.peer) as capture:
            frames = send(env, payloads(24))
            got = meant(capture.frames(quiet=1))
        same(got, [returned(frame) for frame in frames])
        env.ping()


@case(60, sample=PLAIN)
def down_and_up(env):
    """A program stays over down and up, and goes with the driver."""
    xdp = Xdp(env)
    xdp.set(port=PORT)
    xdp.attach("tx")
    env.dut.ip("link set dev dut down")
    env.dut.ip("link set dev dut up")
    env.dut.wait_carrier()
    env.dut.addresses()
    wait_for(env.reachable, "traffic")
    with Capture(env.peer) as capture:
        frames = send(env, payloads(24))
        got = meant(capture.frames(quiet=1))
    same(got, [returned(frame) for frame in frames])
    env.dut.unbind()
    env.dut.bind(env.driver)
    env.dut.configure()
    equal(xdp.attached(), None, "mode after a new bind")
    env.ping()


def refused(action, error, what):
    try:
        action()
    except OSError as given:
        equal(given.errno, error, f"error of {what}")
    else:
        raise Failed(f"{what} was not refused")


def comes_back(env):
    with Capture(env.peer) as capture:
        frames = send(env, payloads(24))
        got = meant(capture.frames(quiet=1))
    same(got, [returned(frame) for frame in frames])


def stays_away(env):
    before = env.dut.statistics()["rx_xdp_drops"]
    send(env, payloads(24))
    wait_for(lambda: env.dut.statistics()["rx_xdp_drops"] == before + 24, "24 frames dropped")


@case(90, sample=PLAIN)
def link(env):
    """A program that the device has by a link is replaced and taken off by that alone; it goes with the
    link's last descriptor, and with the device."""
    xdp = Xdp(env)
    xdp.set(port=PORT)
    device = int(read("/sys/class/net/dut/ifindex"))
    with Pinned(f"{PLACE}/drop") as drop, Pinned(f"{PLACE}/tx") as tx:
        with Link(drop, device) as made:
            equal(xdp.attached(), "native", "mode of the program")
            stays_away(env)
            refused(lambda: Link(tx, device), EBUSY, "a second link")
            refused(lambda: made.replace(tx, old=tx), EPERM, "a change of another program")
            try:
                xdp.attach("tx", overwrite=True)
            except Failed:
                pass
            else:
                raise Failed("the link's program was replaced without it")
            stays_away(env)
            made.replace(tx, old=drop)
            comes_back(env)
            made.detach()
            equal(xdp.attached(), None, "mode once it is detached")
            env.ping()
            refused(lambda: made.replace(drop), ENOLINK, "a change of what is detached")
        with Link(tx, device):
            comes_back(env)
        wait_for(lambda: not xdp.attached(), "no program without a descriptor")
        env.ping()
        with Link(drop, device) as made:
            stays_away(env)
            env.dut.unbind()
            refused(lambda: made.replace(tx), ENOLINK, "a change where the device is gone")
            env.dut.bind(env.driver)
            env.dut.configure()
            equal(xdp.attached(), None, "mode of a new device")
            env.ping()


@case(60, nics=PCI, sample=PLAIN)
def removed_under_traffic(env):
    """The slot of a device whose program sends frames back is removed, and found again."""
    xdp = Xdp(env)
    xdp.set(port=7777)
    xdp.attach("tx", frags=True)
    env.peer.knows(env.dut)
    bursts = [env.start(env.peer, "burst", env.dut.ip4, 7777, 10000000, size, 0) for size in (64, 1400)]
    wait_for(lambda: env.dut.statistics()["rx_xdp_tx"] > 200, "frames sent back")
    env.dut.remove()
    for burst in bursts:
        burst.kill()
        burst.wait()
    env.dut.rescan(env.driver)
    equal(xdp.attached(), None, "mode of a new device")
    env.ping()


KEY = bytes((7 * i + 13) & 0xFF for i in range(40))
# enum xdp_rss_hash_type: IPv4, with ports, of UDP.
L3_IPV4, L4, L4_UDP = 1, 8, 32
FIRST = 4096
ENODATA = 61


@case(60, nics="*hash=on*")
def hashes(env):
    """A program is told the hash that the device reported, whatever it did to the frame before."""
    xdp = Xdp(env)
    env.dut.offload(rxhash=True)
    env.dut.ethtool("-X", "hkey", KEY.hex(":"))
    env.dut.ethtool("-N", "rx-flow-hash", "udp4", "sdfn")
    place = xdp.bound("hash")
    env.dut.command("bpftool", "net", "attach", "xdpdrv", "pinned", place, "dev", "dut")
    with env.peer.packet_socket(protocol=0) as sender:
        for port in range(FIRST, FIRST + 16):
            sender.send(ethernet(env.dut.mac, env.peer.mac, 0x0800,
                                 udp4(env.peer.ip4, env.dut.ip4, b"x" * 64, ports=(port, PORT))))
        sender.send(ethernet(env.dut.mac, env.peer.mac, EXPERIMENTAL, b"y" * 64))
    wait_for(lambda: env.dut.statistics()["rx_xdp_drops"] >= 17, "frames at the program")
    reports = xdp.dump("reports")
    # Of a frame without a hash.
    equal(int.from_bytes(reports[63][12:], "little"), ENODATA, "error for a frame that is not of IP")
    for at in range(16):
        report = reports[(FIRST + at) % 63]
        value, kind, ports, error = (int.from_bytes(report[i:i + 4], "little") for i in range(0, 16, 4))
        equal(error, 0, f"error for frame {at}")
        equal(ports.to_bytes(4, "little"), (FIRST + at).to_bytes(2, "big") + PORT.to_bytes(2, "big"), "ports")
        equal(value, flow_hash(KEY, env.peer.ip4, env.dut.ip4, (FIRST + at, PORT)), f"hash of frame {at}")
        equal(kind, L3_IPV4 | L4 | L4_UDP, f"kind of the hash of frame {at}")
