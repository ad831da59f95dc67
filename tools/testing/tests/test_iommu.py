# SPDX-License-Identifier: GPL-2.0
"""An IOMMU or bounce buffers between the memory and the device: what the DMA API says is used."""

import re
import socket

from genl import claims_zero_copy
from nic import run
from test_afxdp import PORT, large_mtu, ready, receive, several, transmit
from vnrtest import Skip, case, check, equal, wait_for
from xdp import Xdp
from xsk import Client, anywhere, in_place

ORDER = 58
# A device that sends 50 ms after it was told.
SLOW = "tx=timer,x-txtimer=50000000"
PARAMS = ["iommu=intel,iommu_platform=on", "iommu=intel", "iommu=swiotlb,iommu_platform=on", "iommu=swiotlb",
          f"iommu=intel,{SLOW},iommu_platform=on"]
FULL_PARAMS = [*PARAMS, "iommu=intel,packed=on,iommu_platform=on", "iommu=swiotlb,mode=small,iommu_platform=on"]
# A virtio-iommu has a driver that is built into the debug kernel; of Debian's it is a module, which would have to come
# from what it keeps waiting: the guest's root.
DEBUG_PARAMS = ["iommu=virtio,iommu_platform=on", "iommu=virtio"]
MAPPED, BYPASSED, SLOWLY = "*-iommu_platform=on", "*[lbo]", "*-tx=timer*"
EOPNOTSUPP = 95


@case(90, nics="*[lbon]")
def traffic(env):
    """Traffic of all sizes goes through, both ways."""
    env.ping()
    env.echo("udp", env.peer.ip4, 0, 1472, 97)
    env.stream("send", env.peer.ip4, 4 << 20)
    env.stream("recv", env.peer.ip4, 4 << 20)


@case(90, nics=MAPPED)
def sockets(env):
    """AF_XDP zero-copy works where the device's addresses are mapped."""
    xdp = ready(env)
    receive(env, xdp, "-z", "-p")
    for size in (64, 1514):
        transmit(env, "-z", size=size)


@case(90, nics=MAPPED)
def sockets_unaligned(env):
    """Chunks may lie across pages, but not where the kernel copies, or syncs, each page by itself. Of those whose pages
    are no neighbours for the device, the core sends none, whatever the driver."""
    words = ("-u", "-f", 3000)
    if "swiotlb" in env.dut.label or not anywhere() and env.driver == "rust":
        client = Client(env, "-z", *words, "--hold", mapped=False)
        check(f"os error {EOPNOTSUPP}" in client.error, f"bound: {client.error!r}")
        transmit(env, "-c", *words, size=1514)
        return
    receive(env, ready(env), "-z", *words, "-p", count=250)
    for _ in range(5):
        transmit(env, "-z", *words, size=1514, refused=True)


@case(90, nics="*-mergeable-*-iommu_platform=on")
def sockets_jumbo(env):
    """So do frames over several chunks."""
    large_mtu(env)
    for chunk in (4096, 2048):
        for result in receive(env, several(env), "-z", "-F", "-f", chunk, "-p", "--fill-first", longest=8972, step=911):
            in_place(result, chunk, 9014)
        transmit(env, "-z", "-F", "-f", chunk, count=60, size=9014)
    env.ping(size=8000)


@case(90, nics=SLOWLY)
def frames_of_other_pools(env):
    """A receive queue gets other memory while frames that came by it wait in the transmit ring: what the
    device reads is mapped for as long."""
    restart = env.restarter()
    xdp = Xdp(env)
    xdp.set(port=PORT)
    xdp.attach("tx")
    env.peer.knows(env.dut)
    burst = env.start(env.peer, "burst", env.dut.ip4, PORT, 10000000, 1000, 300)
    sent = lambda: env.dut.statistics()["rx_xdp_tx"]  # noqa: E731
    for turn in range(200 if env.full else 20):
        wait_for(lambda before=sent(): sent() > before + 20, f"frames sent back before restart {turn + 1}")
        try:
            restart(0)
        except OSError as error:
            # C has no queue management.
            raise Skip(f"no restart: {error}") from error
    env.stop(burst)
    env.ping()


@case(60, nics=BYPASSED)
def sockets_refused(env):
    """It is refused, with a reason, where the device does not know of what is in between."""
    client = Client(env, "-z", "--hold", mapped=False)
    check(f"os error {EOPNOTSUPP}" in client.error, f"bound: {client.error!r}")
    equal(claims_zero_copy(socket.if_nametoindex(env.dut.name)), False, "claim of zero-copy")
    if env.driver == "rust":
        check(re.search("cannot be bound for zero-copy", run("dmesg")), "no reason in the kernel log")
    equal(Client(env, "-c", "--hold", mapped=False).end()["zero_copy"], False, "copy mode")
    transmit(env, "-c")
    xdp = ready(env)
    xdp.set(port=PORT)
    receive(env, xdp, "-c", "-p")
