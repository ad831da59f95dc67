# SPDX-License-Identifier: GPL-2.0
"""What AF_XDP sockets ask for their frames, and are told of them: checksums, and times by
software (the switch xdp-sw-time), which programs have too."""

import contextlib
import re
import socket
import struct
import time

from bind import TX_METADATA, Socket
from genl import Changes, xsk_features
from nic import run
from packet import Capture, checksum, ethernet, udp4
from vnrtest import case, check, equal, wait_for
from xdp import Xdp
from xsk import FCS, Client, adds_up, number_in

ORDER = 57
PARAMS = ["iommu_platform=on", "packed=on,iommu_platform=on"]
# The host completes checksums of what it gives to the peer.
PEER = ",".join(f"guest_{name}=off" for name in ("csum", "tso4", "tso6", "ecn", "ufo", "uso4", "uso6"))
COUNT = 100
SECOND = 1_000_000_000
EOPNOTSUPP = 95
TXMD_FLAGS_CHECKSUM = 1 << 1


def switch(env, on):
    env.dut.ethtool("--set-priv-flags", "xdp-sw-time", "on" if on else "off")
    flags = env.dut.command("ethtool", "--show-priv-flags", env.dut.name)
    check(f"xdp-sw-time: {'on' if on else 'off'}" in flags.replace("\t", " "), flags)


def told(env):
    with env.dut.enter():
        return xsk_features(socket.if_nametoindex(env.dut.name))


def send(env, *words, count=COUNT):
    """A process sends frames, and asks when that was."""
    with Client(env, "-z", "-t", "-C", count, "-G", env.peer.mac, "--tx-tstamp", *words, mapped=False) as client:
        result = client.finish(30)
    adds_up(result)
    equal(result["packets"], count, "frames sent")
    return result["times"]


def errors(env):
    return env.dut.statistics()["tx_xsk_metadata_errors"]


def checksummed(env, address, count, size, *words):
    """A socket of the stack gets the datagrams of a process whose checksums the device completes: all
    of them, unchanged, and with right checksums."""
    v6 = ":" in address
    source = env.dut.ip6 if v6 else env.dut.ip4
    with env.peer.enter():
        receiver = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_DGRAM)
        receiver.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)  # SO_RCVBUFFORCE
        receiver.bind((address, 4096))
    with receiver, Capture(env.peer) as capture:
        with Client(env, "-t", "-C", count, "-s", size + FCS, "-G", env.peer.mac, "-H", env.dut.mac,
                    "--tx-csum", "--tx-sip", source, "--tx-dip", address, *words, mapped=False) as client:
            result = client.finish(30)
        frames = [frame for frame in capture.frames() if not frame.outgoing and frame.ports() == (4096, 4096)]
        receiver.settimeout(1)
        got = []
        with contextlib.suppress(TimeoutError):
            while len(got) < count:
                got.append(number_in(receiver.recv(1 << 16)))
    adds_up(result)
    equal(len(frames), count, "frames captured")
    check(all(frame.checksum_right() for frame in frames), "a wrong checksum")
    equal(sorted(got, key=str), sorted(range(count), key=str), "datagrams that the stack took")


@case(60)
def at_any_address(env):
    """Frames, and what is asked for them, begin at odd addresses as well."""
    metadata, chunk, sock = 16, 4096, Socket(env.dut, metadata=16)
    with contextlib.closing(sock), Capture(env.peer) as capture:
        sock.bind()
        descriptors = []
        for index in range(16):
            packet = udp4(env.dut.ip4, env.peer.ip4, bytes(range(60 + index)), ports=(4096, 4096))
            pseudo = packet[12:20] + struct.pack(">HH", 17, len(packet) - 20)
            partial = struct.pack(">H", checksum(pseudo) ^ 0xFFFF)
            frame = ethernet(env.peer.mac, env.dut.mac, 0x0800, packet[:26] + partial + packet[28:])
            address = chunk * index + metadata + index
            asked = struct.pack("=QHHI", TXMD_FLAGS_CHECKSUM, 34, 6, 0)
            sock.memory[address - metadata:address + len(frame)] = asked + frame
            descriptors.append((address, len(frame), TX_METADATA))
        sock.send(descriptors)
        wait_for(lambda: len(sock.completed()) == len(descriptors), "all come back")
        frames = [frame for frame in capture.frames() if not frame.outgoing and frame.ports() == (4096, 4096)]
        equal(sorted(sock.completed()), [address for address, _, _ in descriptors], "addresses that came back")
    equal(sorted(len(frame.ip[4]) - 8 for frame in frames), list(range(60, 76)), "lengths of datagrams")
    check(all(frame.checksum_right() for frame in frames), "a wrong checksum")


@case(90)
def checksums(env):
    """The device completes UDP checksums of a process's frames, in zero-copy and copy mode."""
    for words in ("-z", "-c"):
        for address in (env.peer.ip4, env.peer.ip6):
            for size in (70, 1514):
                checksummed(env, address, 50, size, words)
    env.ping()


@case(60)
def checksums_without_times(env):
    """They are completed also where something else was asked for that is not there."""
    before = errors(env)
    for address in (env.peer.ip4, env.peer.ip6):
        checksummed(env, address, 50, 300, "-z", "--tx-tstamp")
    equal(errors(env) - before, 100, "frames without what was asked for")


@case(60)
def checksums_by_software(env):
    """The kernel completes them in copy mode, where the memory says so."""
    for address in (env.peer.ip4, env.peer.ip6):
        checksummed(env, address, 50, 300, "-c", "--tx-sw-csum")


@case(90, nics="*-mergeable-*")
def checksums_of_jumbo(env):
    """And of frames over several chunks."""
    for nic in (env.dut, env.peer):
        nic.ip(f"link set dev {nic.name} mtu 9000")
    for address in (env.peer.ip4, env.peer.ip6):
        for chunk in (4096, 2048):
            checksummed(env, address, 30, 9014, "-z", "-F", "-f", chunk)


@case(60)
def impossible_checksums(env):
    """What cannot be is not asked of the device: the frame goes without, and is counted."""
    before = errors(env)
    with Client(env, "-z", "-t", "-C", 40, "-s", 60 + FCS, "-G", env.peer.mac, "--tx-csum",
                "--tx-csum-at", 59, mapped=False) as client:
        result = client.finish(30)
    adds_up(result)
    equal(errors(env) - before, 40, "frames without what was asked for")
    env.ping()


@case(60)
def are_switched_on(env):
    """Netdev netlink tells of them while they are on, and they are not there while they are off."""
    equal(told(env), {"tx-checksum"}, "features at first")
    before = errors(env)
    equal(send(env), None, "times while there are none")
    equal(errors(env) - before, COUNT, "frames without what was asked for")
    with env.dut.enter(), Changes() as changes:
        switch(env, True)
        equal(changes.of(socket.if_nametoindex(env.dut.name)), [{"tx-checksum", "tx-timestamp", "tx-launch-time-fifo"}],
              "features that were announced")
    equal(told(env), {"tx-checksum", "tx-timestamp", "tx-launch-time-fifo"}, "features when on")
    equal(send(env)["frames"], COUNT, "frames with a time")
    switch(env, False)
    equal(told(env), {"tx-checksum"}, "features when off again")
    equal(send(env), None, "times while there are none")


@case(60)
def transmit_times(env):
    """A process is told when each of its frames was sent, in the order in which they were."""
    switch(env, True)
    before = errors(env)
    begin = time.clock_gettime_ns(time.CLOCK_TAI)
    times = send(env, "-b", 10)
    end = time.clock_gettime_ns(time.CLOCK_TAI)
    equal(times["frames"], COUNT, "frames with a time")
    equal(times["disordered"], 0, "frames out of order")
    check(begin < times["first"] <= times["last"] < end, f"{begin} to {end}: {times}")
    equal(errors(env), before, "frames without what was asked for")
    env.ping()


@case(60)
def launch_times(env):
    """Frames are sent when they shall be, not before, and the stack's are not kept."""
    switch(env, True)
    before = errors(env)
    times = send(env, "-b", 5, "--launch-time", 20000, count=50)
    equal(times["frames"], 50, "frames with a time")
    equal(times["early"], 0, "frames sent too early")
    check(times["latest"] < SECOND, f"late: {times}")
    longest = []
    for _ in range(5):
        with Client(env, "-z", "-t", "-C", 3, "-G", env.peer.mac, "--tx-tstamp", "--launch-time", 900000,
                    mapped=False) as client:
            # Goes on for longer than the frames wait.
            said = env.dut.command("ping", "-n", "-q", "-c", "30", "-i", "0.05", "-W", "2", env.peer.ip4)
            times = client.finish(30)["times"]
        equal(times["early"], 0, "frames sent too early")
        longest.append(float(re.search(r"rtt [^=]*= [^/]*/[^/]*/([^/]*)/", said)[1]))
    # A busy machine may delay some of them.
    check(min(longest) < 500, f"milliseconds that packets of the stack took beside frames that wait: {longest}")
    equal(errors(env), before, "frames without what was asked for")


@case(60)
def far_launch_times(env):
    """What would have to wait for longer than a second is sent at once, and counted."""
    switch(env, True)
    before = errors(env)
    begin = time.monotonic()
    times = send(env, "--launch-time", 60_000_000)
    check(time.monotonic() - begin < 20, "it has waited")
    equal(times["early"], COUNT, "frames sent early")
    equal(errors(env) - before, COUNT, "frames without what was asked for")


@case(60)
def waits_for_nobody(env):
    """A process that goes while its frames wait takes them along, and the next one is served."""
    switch(env, True)
    for _ in range(5):
        with Client(env, "-z", "-t", "-C", 20, "-G", env.peer.mac, "--launch-time", 900000, mapped=False) as client:
            time.sleep(0.1)
            client.kill()
    env.dut.ip("link set dev dut down")
    env.dut.ip("link set dev dut up")
    env.dut.wait_carrier()
    env.dut.addresses()
    equal(send(env)["frames"], COUNT, "frames with a time")
    env.ping()


@case(60)
def receive_times(env):
    """A program is told when a frame came."""
    xdp = Xdp(env)
    place = xdp.bound("time")
    env.dut.command("bpftool", "net", "attach", "xdpdrv", "pinned", place, "dev", "dut")
    env.ping()
    equal(struct.unpack("5Q", xdp.dump("reports")[0])[3], EOPNOTSUPP, "the error while there are none")
    xdp.detach()
    switch(env, True)
    place = xdp.bound("time")
    env.dut.command("bpftool", "net", "attach", "xdpdrv", "pinned", place, "dev", "dut")
    for _ in range(3):
        env.ping()
        before, at, after, error, frames = struct.unpack("5Q", xdp.dump("reports")[0])
        equal(error, 0, "error")
        check(frames > 0 and 0 < before <= at <= after, f"{before} <= {at} <= {after} of {frames} frames")
    run("rm", "-rf", place)
    wait_for(env.reachable, "traffic")
