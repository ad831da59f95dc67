# SPDX-License-Identifier: GPL-2.0
"""The kernel's own selftests of network drivers, as its source has them: a case
for each program, whose lines are verdicts of their own."""

import os
import re
import shutil

import selftest
from nic import DRIVERS, run
from selftest import FOLDER
from vnrtest import case, check

ORDER = 80
# QEMU's device; the same, whose rings processes can have; the model with RSS and hashes; the
# model with statistics.
OWN_GUEST = True
PARAMS = ["queues=4", "queues=4,iommu_platform=on", "device=model,queues=4,rss=on,hash=on",
          "device=model,queues=4,device_stats=on"]
QEMU, XSK, HASH, STATS = "modern-*-4q", "modern-*-iommu_platform=on", "model-*-rss=on", "model-*-device_stats=on"
# The peer takes nothing but whole frames with whole checksums, as on a cable.
PEER = ",".join(f"guest_{name}=off" for name in
                ("csum", "tso4", "tso6", "ecn", "ufo", "uso4", "uso6"))
# What runs if nothing was asked for; T=upstream-netdev and FULL=1 run all.
UNASKED = ()


@case(160, nics=QEMU)
def ping(env):
    """drivers/net/ping.py: large pings and TCP, checksum offload on and off, under XDP."""
    selftest.run(env, "drivers/net/ping.py", 140)


@case(60, nics=QEMU)
def queues(env):
    """drivers/net/queues.py: queues over netlink, as their number changes."""
    selftest.run(env, "drivers/net/queues.py", 40)


@case(120, nics=QEMU)
def ring_reconfig(env):
    """drivers/net/ring_reconfig.py: numbers and sizes of rings, under traffic."""
    selftest.run(env, "drivers/net/ring_reconfig.py", 100)


@case(90, nics=QEMU)
def stats(env):
    """drivers/net/stats.py: statistics of netlink, while the NIC goes up and down."""
    selftest.run(env, "drivers/net/stats.py", 70)


@case(60, nics=QEMU)
def napi_id(env):
    """drivers/net/napi_id.py: a socket knows the NAPI that it was served by."""
    selftest.run(env, "drivers/net/napi_id.py", 40)


@case(60, nics=QEMU)
def napi_threaded(env):
    """drivers/net/napi_threaded.py: threaded NAPI survives other numbers of queues."""
    selftest.run(env, "drivers/net/napi_threaded.py", 40)


@case(90, nics=QEMU)
def netpoll_basic(env):
    """drivers/net/netpoll_basic.py: netconsole polls a NIC that is busy sending."""
    selftest.run(env, "drivers/net/netpoll_basic.py", 70)


@case(620, nics=QEMU, full=1850)
def gro(env):
    """drivers/net/gro.py: what the stack merges on receive, and what it must not."""
    # The others are about what the NIC merges: one on a host's tap merges nothing.
    chosen = ["test.sw_*"] if env.full else ["test.sw_ipv4_*", "test.sw_ipv6_*"]
    selftest.run(env, "drivers/net/gro.py", 1800 if env.full else 600,
                 *(word for pattern in chosen for word in ("-t", pattern)))


@case(60, nics=HASH)
def xdp_metadata(env):
    """drivers/net/hw/xdp_metadata.py: a program bound to the device asks for the hash."""
    env.dut.offload(rxhash=True)
    if not os.path.ismount("/sys/fs/bpf"):
        run("mount", "-t", "bpf", "bpf", "/sys/fs/bpf")
    selftest.run(env, "drivers/net/hw/xdp_metadata.py", 40)


@case(60, nics=XSK)
def xsk_reconfig(env):
    """drivers/net/hw/xsk_reconfig.py: programs and ring sizes change under a socket without frames."""
    selftest.run(env, "drivers/net/hw/xsk_reconfig.py", 40)


@case(120, nics=QEMU)
def csum(env):
    """drivers/net/hw/csum.py: checksums of every kind, right and wrong, both ways."""
    selftest.run(env, "drivers/net/hw/csum.py", 100)


@case(240, nics=STATS)
def tso(env):
    """drivers/net/hw/tso.py: large packets are cut by the device, by its own counters."""
    selftest.run(env, "drivers/net/hw/tso.py", 220)


@case(60, nics=QEMU)
def uso(env):
    """drivers/net/hw/uso.py: large datagrams are cut by the device."""
    selftest.run(env, "drivers/net/hw/uso.py", 40)


@case(60, nics=HASH)
def rss_api(env):
    """drivers/net/hw/rss_api.py: indirection, key and fields over netlink and ioctl."""
    selftest.run(env, "drivers/net/hw/rss_api.py", 40)


@case(60, nics=HASH)
def rss_drv(env):
    """drivers/net/hw/rss_drv.py: indirection tables as the number of queues changes."""
    selftest.run(env, "drivers/net/hw/rss_drv.py", 40)


@case(120, nics=HASH)
def toeplitz(env):
    """drivers/net/hw/toeplitz.py: hashes, and the queues and processors they lead to."""
    env.dut.offload(rxhash=True)
    selftest.run(env, "drivers/net/hw/toeplitz.py", 100)


@case(60, nics=QEMU)
def irq(env):
    """drivers/net/hw/irq.py: interrupts keep their processors through changes."""
    selftest.run(env, "drivers/net/hw/irq.py", 40)


@case(120, nics=QEMU)
def ethtool_std_stats(env):
    """drivers/net/hw/ethtool_std_stats.sh: standard counters of a MAC."""
    selftest.run(env, "drivers/net/hw/ethtool_std_stats.sh", 100)


@case(120, nics=QEMU)
def basic_features(env):
    """drivers/net/virtio_net/basic_features.sh: a MAC address that the device does not give."""
    env.stop_serving()
    for nic in (env.dut, env.peer):
        nic.unbind()
    # Both on the driver under test, in one namespace, under the names that they get again.
    for nic in (env.dut, env.peer):
        nic.bind(env.driver)
    root = note = None
    if DRIVERS[env.driver] != "virtio_net":
        root, note = other_driver(env.job["selftests"], DRIVERS[env.driver])
    selftest.run(env, "drivers/net/virtio_net/basic_features.sh", 100, root=root, note=note or "",
                 prepared=False)


def other_driver(selftests, name):
    """(a copy of the selftests in which virtio_net's has another driver, what was changed)."""
    root, changed = "/tmp/selftests", []
    folder = f"{root}/drivers/net/virtio_net"
    source = f"{selftests}/{FOLDER}"
    shutil.copytree(f"{source}/drivers/net/virtio_net", folder)
    for shared in ("net", "kselftest"):
        os.symlink(f"{source}/{shared}", f"{root}/{shared}")
    for file in sorted(os.listdir(folder)):
        with open(f"{folder}/{file}") as script:
            old = script.read().splitlines()
        new = [re.sub(r'(?<=")virtio_net(?=")|(?<=drivers/)virtio_net(?=/)', name, line) for line in old]
        changed += [f"{file}:{number}: {after.strip()}"
                    for number, (before, after) in enumerate(zip(old, new), 1) if before != after]
        with open(f"{folder}/{file}", "w") as script:
            script.write("\n".join(new) + "\n")
    check(changed, "no name of a driver to substitute")
    return root, "\n".join([f"{name} in place of virtio_net:", *changed])
