# SPDX-License-Identifier: GPL-2.0
"""The kernel's own tests of AF_XDP, as its source has them: a process sends frames from one NIC to
the other, both on the driver under test, and says of each test whether they arrived. A case for
each mode, whose tests are verdicts of their own."""

import selftest
from nic import write
from vnrtest import case, wait_for

ORDER = 81
# A bridge would drop its frames, as they come from a multicast address. A hub would give them in
# another order when the receiver's ring has run dry; a cable has the sender wait. QEMU's packed
# rings do not go on after that if there are event indices, whichever the driver.
CABLE = "wire=cable,iommu_platform=on"
PACKED = f"{CABLE},packed=on,event_idx=off"
PARAMS = [CABLE, PACKED, "device=model,iommu_platform=on"]
FULL_PARAMS = [*PARAMS, f"{CABLE},in_order=on,queue_reset=off", f"{CABLE},mode=small", f"{PACKED},queue_reset=off"]
CPUS = 1
# It wants 4096 frames within 3 seconds.
COUNTED = True
OWN_GUEST = True
KERNELS = ("stock",)
# What runs if nothing was asked for: none, as all take more than ten minutes, and the model's cases
# fail on a busy host. T=xskxceiver and FULL=1 run all.
UNASKED = ()
# Two NICs on a cable, and one whose frames come back.
TWO, LOOP = "*-cable-*", "model-*"
# Of 2 MiB, for memory whose frames may lie anywhere; each end has two.
HUGE_PAGES = 16


def pair(env):
    """Both NICs on the driver under test, in one namespace, silent but for the program."""
    env.stop_serving()
    write("/proc/sys/vm/nr_hugepages", str(HUGE_PAGES))
    for nic in (env.dut, env.peer):
        nic.unbind()
    for nic in (env.dut, env.peer):
        nic.bind(env.driver)
        nic.namespace = None
        name = wait_for(nic.netdev, f"{nic.role}: a network device")
        write(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6", "1")
        # The frames are for a multicast address.
        nic.ip(f"link set dev {name} name {nic.name} promisc on up")
    for nic in (env.dut, env.peer):
        nic.wait_carrier()


def tests(env, mode, *more, kind="", far=None):
    selftest.run(env, "bpf/xskxceiver", 300, "-i", env.dut.name, "-i", (far or env.peer).name, "-m", mode, *more,
                 prepared=False, name=f"xskxceiver-{mode}{kind}")


def zero_copy(env):
    """The program ends at once without, and says nothing of its tests."""
    if env.driver == "c":
        env.need("RING_RESET", why="the driver has no zero-copy where queues cannot be reset")


@case(330, TWO)
def skb(env):
    """The stack's own, without the driver's XDP."""
    pair(env)
    tests(env, "skb")


@case(330, TWO)
def drv(env):
    """XDP by the driver, frames copied."""
    pair(env)
    tests(env, "drv")


@case(330, TWO)
def zc(env):
    """Zero-copy."""
    zero_copy(env)
    pair(env)
    tests(env, "zc")


@case(330, TWO)
def zc_busy(env):
    """The same where the process polls the queues, and interrupts are put off."""
    zero_copy(env)
    pair(env)
    for nic in (env.dut, env.peer):
        for knob, value in (("napi_defer_hard_irqs", 2), ("gro_flush_timeout", 200000)):
            write(f"/sys/class/net/{nic.name}/{knob}", str(value))
    tests(env, "zc", "-b", kind="-busy")


def loop(env, mode):
    """One NIC for both ends, whose frames come back to it as through a plug: what the program is made for."""
    pair(env)
    if env.driver == "c":
        # Its header for frames of processes may be where the model has no memory.
        env.model.holes_are_zeros()
    env.model.forward("loop")
    tests(env, mode, kind="-loop", far=env.dut)


@case(330, LOOP)
def loop_drv(env):
    """A NIC in loopback, frames copied."""
    loop(env, "drv")


@case(330, LOOP)
def loop_zc(env):
    """A NIC in loopback, zero-copy."""
    loop(env, "zc")
