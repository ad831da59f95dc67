# SPDX-License-Identifier: GPL-2.0
"""samples/xskqual: which claims of a device hold, by a table for each driver; and its table of drivers."""

import fnmatch
import json
import signal
import time

from nic import run
from qualify import far_end, program, qualify, start
from vnrtest import Failed, case, check, equal
from xdp import Xdp
from xsk import can

ORDER = 58
# What runs if nothing was asked for.
UNASKED = ("drivers",)
PARAMS = ["hash=on,iommu_platform=on", "packed=on,host_mtu=9000,iommu_platform=on", "", "mode=big"]
# The host completes checksums of what it gives to the peer.
PEER = ",".join(f"guest_{name}=off" for name in ("csum", "tso4", "tso6", "ecn", "ufo", "uso4", "uso6"))
WHOLE, LONG, PLAIN, BIG = "*-mergeable-*hash*", "*host_mtu*", "modern-split-mergeable-1q", "*-big-*"

# What the tool must say, by driver and the names of its tests: the last row that fits counts.
#   works        it is claimed, and works           extra        it works without a claim
#   false        it is claimed, and does not work   none         neither
#   unmeasured   it is claimed, and cannot be measured here
EXPECTED = [
    ("*", "*", "works"),
    ("*", "metadata.timestamp", "none"),
    ("*", "metadata.vlan_tag", "none"),
    ("*", "transmit.timestamp", "none"),
    ("*", "transmit.launch_time", "none"),
    ("*", "offload", "none"),
    # Claims redirected frames only while it has a program.
    ("c", "ndo_xmit.without_program", "none"),
    # Reads the hash where the program has written.
    ("c", "metadata.hash", "false"),
    # Sends nothing for a process that polls.
    ("c", "zerocopy.busy_poll_tx", "false"),
    # Drops what the stack is to complete the checksum of.
    ("c", "zerocopy.traffic", "false"),
    # Has one chunk for a frame, and no metadata of sockets.
    ("c", "zerocopy.segs_*", "none"),
    ("c", "transmit.checksum", "none"),
]
# The MTU of the case has no frames over several buffers.
SHORT = [("*", "multibuffer.*", "unmeasured")]
# It sends nothing back to an end without a program, its times are nought, and what sockets ask for is
# done by the core.
VETH = [
    ("*", "*", "works"),
    ("*", "basic.tx", "false"),
    ("*", "multibuffer.*", "unmeasured"),
    ("*", "zerocopy.*", "none"),
    ("*", "metadata.timestamp", "false"),
    ("*", "transmit.checksum", "extra"),
    ("*", "transmit.timestamp", "extra"),
    ("*", "transmit.launch_time", "none"),
    ("*", "offload", "none"),
]


def compare(env, found, *tables):
    """All verdicts are those of the tables."""
    wrong = []
    for name, (word, reason) in found.items():
        wanted = [row[2] for table in tables for row in table
                  if fnmatch.fnmatchcase(env.driver, row[0]) and fnmatch.fnmatchcase(name, row[1])][-1]
        if word != wanted:
            wrong.append(f"{name}: {word} instead of {wanted}: {reason}")
    equal(wrong, [], "verdicts")


@case(300, nics=WHOLE)
def claims_hold(env):
    """Every claim of a device with all of the features is measured."""
    env.dut.offload(rxhash=True)
    with far_end(env, env.peer):
        found = qualify(env, env.dut, env.peer.ip4)
    check(len(found) > 30, f"{len(found)} tests")
    compare(env, found, EXPECTED, SHORT)
    env.ping()


@case(240, nics=LONG)
def long_frames(env):
    """So are those of frames over several buffers and chunks, and all others with such an MTU."""
    for nic in (env.dut, env.peer):
        nic.ip(f"link set dev {nic.name} mtu 9000")
    with far_end(env, env.peer):
        found = qualify(env, env.dut, env.peer.ip4, "multibuffer", "zerocopy", "transmit.checksum")
    equal(len(found), 15, "tests")
    # The mode without a device's help is the only one for C's sockets there.
    compare(env, found, EXPECTED, [("c", "zerocopy.*", "unmeasured"), ("c", "zerocopy.segs_*", "none"),
                                   ("c", "transmit.checksum", "extra")])


@case(120, nics=PLAIN)
def without_iommu_platform(env):
    """A claim of zero-copy mode is false where no socket can be bound so."""
    with far_end(env, env.peer):
        found = qualify(env, env.dut, env.peer.ip4, "zerocopy.rx", "zerocopy.tx", "copy")
    compare(env, found, EXPECTED, [("c", "zerocopy.*", "false"), *([] if can(env) else [("rust", "zerocopy.*", "none")])])


@case(120, nics=BIG)
def programs_that_never_run(env):
    """A claim of programs is false where they are attached and see nothing."""
    with far_end(env, env.peer):
        found = qualify(env, env.dut, env.peer.ip4, "basic", "restored")
    compare(env, found, EXPECTED, [("c", "basic.*", "false")])


@case(120, nics=WHOLE)
def times(env):
    """Times by software are claimed while they are on, and then they are there."""
    env.dut.ethtool("--set-priv-flags", "xdp-sw-time", "on", check=False)
    with far_end(env, env.peer):
        found = qualify(env, env.dut, env.peer.ip4, "metadata.timestamp", "transmit")
    names = ("metadata.timestamp", "transmit.timestamp", "transmit.launch_time")
    compare(env, found, EXPECTED, [("rust", name, "works") for name in names])


@case(200, nics=PLAIN)
def veth(env):
    """Claims of another driver: two joined devices."""
    with env.joined(far="peer") as (near, far):
        for nic, address in ((near, "198.51.100.1/24"), (far, "198.51.100.2/24")):
            nic.ip(f"addr add {address} dev {nic.name}")
        with far_end(env, far):
            found = qualify(env, near, "198.51.100.2")
        compare(env, found, VETH)
        with far_end(env, far, "--program"):
            found = qualify(env, near, "198.51.100.2", "basic")
        compare(env, found, VETH, [("*", "basic.tx", "works")])


@case(60, nics=PLAIN)
def claims_that_nobody_measures(env):
    """They are counted, and do not hold where that is asked for."""
    with far_end(env, env.peer):
        for words, status in (((), 0), (("--strict",), 1)):
            process = start(env, env.dut, env.peer.ip4, "basic.pass", "multibuffer.pass", more=words)
            output, _ = process.communicate(timeout=50)
            equal(process.returncode, status, f"status with {words}: {output}")
            check(output.endswith("; 1 of these are claimed, and were not measured\n"), output)


def refused(env, wanted, address, interface="dut"):
    """A run ends with an error that says why."""
    words = [program(env), "-i", interface, "--with", address, "--patience", "1"]
    try:
        env.dut.command(*words)
    except Failed as failure:
        check("status 2" in str(failure) and wanted in str(failure), str(failure))
    else:
        raise Failed(f"it was not refused: {wanted}")


@case(150, nics=PLAIN)
def refusals(env):
    """What cannot be done is refused, and nothing is left behind by a run that is ended."""
    refused(env, "there is no interface nothing", env.peer.ip4, "nothing")
    refused(env, "no answer of the peer", env.peer.ip4)
    xdp = Xdp(env)
    with far_end(env, env.peer):
        xdp.set()
        xdp.attach("pass")
        refused(env, "already", env.peer.ip4)
        xdp.detach()
        for number, status in ((signal.SIGINT, 130), (signal.SIGKILL, -9)):
            process = start(env, env.dut, env.peer.ip4, "basic")
            end = time.monotonic() + 20
            while not xdp.attached():
                check(time.monotonic() < end and process.poll() is None, "no program was attached")
                time.sleep(0.05)
            process.send_signal(number)
            process.communicate(timeout=20)
            equal(process.returncode, status, "status")
            equal(xdp.attached(), None, "program that is left")
    process = start(env, env.dut, env.peer.ip4, "basic")
    output, _ = process.communicate(timeout=60)
    equal(process.returncode, 2, f"status without a peer: {output}")
    env.ping()


def row(table, driver):
    found = [row for row in table["drivers"] if row["driver"] == driver]
    equal(len(found), 1, f"rows of {driver}")
    return found[0]


@case(240, nics=PLAIN)
def drivers(env):
    """The table of drivers has the one that is bound, by netlink, and others by their files."""
    name = "virtio_net_rs" if env.driver == "rust" else "virtio_net"
    words = [program(env), "drivers", *(["--module", env.job["module"]] if env.driver == "rust" else [])]
    table = json.loads(run(*words, "--only", "virtio_net", "--only", "igc", "--json", timeout=60))
    equal(table["unread"], [], "files that cannot be read")
    ours = row(table, name)
    check("dut" in ours["interfaces"], f"{ours}")
    wanted = ["basic", "redirect", "multi-buffer RX", "zero-copy"]
    wanted += ["ndo_xmit", "multi-buffer TX"] if env.driver == "rust" else []
    for column in wanted:
        equal(ours["support"][column], {"yes": True, "origin": "netlink"}, column)
    equal(ours["zc_max_segs"], 18 if env.driver == "rust" else 1, "chunks of a frame")
    # Of a driver without a device here.
    other = row(table, "igc")
    for column in ("basic", "redirect", "ndo_xmit", "zero-copy"):
        equal(other["support"][column], {"yes": True, "origin": "file"}, f"{column} of igc")
    equal(other["support"]["offload"], {"yes": False, "origin": "file"}, "offload of igc")
    equal(other["hints"]["vlan"], {"yes": False, "origin": "file"}, "VLAN hint of igc")
    equal(other["support"]["multi-buffer TX"], {"yes": True, "origin": "source"}, "multi-buffer TX of igc")
    text = run(*words, timeout=200)
    print(text)
    names = [line.split()[0] for line in text.splitlines() if line.strip()]
    check(names[0] == "driver" and {"ice", "mlx5_core", "veth", name} < set(names), text)
    check(any(line.split()[:3] == [name, "yes", "yes"] for line in text.splitlines()), text)
    text = run(*words, "--only", "virtio_net", "--markdown", timeout=60)
    check(any(line.startswith(f"| {name} | yes | yes |") for line in text.splitlines()), text)
