# SPDX-License-Identifier: GPL-2.0
"""The kernel's own selftests of network drivers, as its source has them: a case
for each program, whose lines are verdicts of their own."""

import os
import re
import shutil
import socket

import selftest
from nic import DRIVERS, run, write
from selftest import FOLDER
from vnrtest import case, check, equal

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
    # Its kernel configuration has this built in, with what merges packets inside it.
    run("modprobe", "pppoe")
    # The others are about what the NIC merges: one on a host's tap merges nothing.
    chosen = ["test.sw_*"] if env.full else ["test.sw_ipv4_*", "test.sw_ipv6_*"]
    selftest.run(env, "drivers/net/gro.py", 1800 if env.full else 600,
                 *(word for pattern in chosen for word in ("-t", pattern)))


# Of xdp.py, one for each thing that a program does; the others repeat it with the other protocol,
# or for each of 18 sizes, at three seconds each.
XDP = ("pass_mb.ipv6", "drop_sb.ipv4", "tx_mb.ipv4", "adjst_head_shrnk_data.ipv4", "qstats.tx_ipv6",
       "update_mb_to_sb")


@case(150, nics=QEMU, full=1250)
def xdp(env):
    """drivers/net/xdp.py: what programs do with datagrams, and how that is counted."""
    selftest.run(env, "drivers/net/xdp.py", 1200 if env.full else 120,
                 *(word for name in ([] if env.full else XDP) for word in ("-t", f"test_xdp_native_{name}")),
                 # Its receivers wait for two seconds, in which the far end is to start and send.
                 late=("UDP packet exchange failed", "Data exchange failed"))


FEATURES = ("XDP_PASS", "XDP_DROP", "XDP_ABORTED", "XDP_TX", "XDP_REDIRECT", "XDP_NDO_XMIT")


@case(240, nics=QEMU)
def xdp_features(env):
    """bpf/xdp_features: what the driver claims of XDP is what the far end finds."""
    selftest.features(env, FEATURES, 60)


PROXIED = 8080
# Of the stack: no connection is known before the cookie has come back, which it then asks for.
PROXY = f"""
table inet proxy {{
    chain first {{
        type filter hook prerouting priority raw;
        tcp dport {PROXIED} tcp flags & (fin | syn | rst | ack) == syn notrack
    }}
    chain then {{
        type filter hook input priority filter;
        tcp dport {PROXIED} ct state invalid,untracked synproxy mss 1460 wscale 7 timestamp sack-perm
        ct state invalid drop
    }}
}}
"""


@case(90, nics=QEMU)
def xdp_synproxy(env):
    """bpf/xdp_synproxy: a program answers who wants to connect, and the stack has those that come again."""
    def synacks(*options):
        said = run(selftest.place(env, "bpf/xdp_synproxy"), "--iface", env.dut.name, "--single", *options)
        found = re.fullmatch(r"Total SYNACKs generated: (\d+)", said.strip())
        check(found, f"it says {said}")
        return int(found[1])

    env.stop_serving()
    run("modprobe", "nf_conntrack")
    run("nft", "-f", "-", text=PROXY)
    for knob, value in (("ipv4/tcp_syncookies", "2"), ("ipv4/tcp_timestamps", "1"),
                        ("netfilter/nf_conntrack_tcp_loose", "0")):
        write(f"/proc/sys/net/{knob}", value)
    try:
        equal(synacks("--ports", str(PROXIED), "--mss4", "1460", "--mss6", "1440", "--wscale", "7", "--ttl", "64"),
              0, "answers at first")
        equal(env.dut.link()["xdp"]["mode"], 1, "mode of the program (native)")
        before, made = env.dut.statistics()["tx_xdp_tx"], 0
        for family, address in ((socket.AF_INET, env.dut.ip4), (socket.AF_INET6, env.dut.ip6)):
            with socket.create_server((address, PROXIED), family=family) as server:
                server.settimeout(30)
                for _ in range(4):
                    connect(env, server, address)
                    made += 1
        total = synacks()
        # A first packet may be sent again.
        check(total >= made, f"{total} answers for {made} connections")
        equal(env.dut.statistics()["tx_xdp_tx"] - before, total, "answers that the driver has sent")
    finally:
        run("nft", "delete", "table", "inet", "proxy")
        write("/proc/sys/net/ipv4/tcp_syncookies", "1")


def connect(env, server, address):
    """The peer connects, and both ends say something."""
    with env.peer.enter():
        far = socket.create_connection((address, PROXIED), 30)
    with far, server.accept()[0] as near:
        near.settimeout(30)
        for one, other, text in ((far, near, b"there" * 2000), (near, far, b"back" * 2000)):
            one.sendall(text)
            got = b""
            while len(got) < len(text):
                part = other.recv(1 << 16)
                check(part, f"an end after {len(got)} bytes")
                got += part
            equal(got, text, "what was said")


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
    source = os.path.join(selftests, FOLDER)
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
