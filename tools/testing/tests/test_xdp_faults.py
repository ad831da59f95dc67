# SPDX-License-Identifier: GPL-2.0
"""Each allocation, ring operation and DMA mapping of attaching a program, and of binding an AF_XDP
socket, fails once: an error comes back or the work is done without it, traffic goes on as before,
and the next attempt works."""

import contextlib
import socket

import fault
from bind import METADATA, USE_SG, Program, Socket
from packet import Capture
from test_afxdp import transmit
from test_faults import ADDS, MAPS, dma_device, now_and_then, steps
from test_xdp import PORT, meant, payloads, same, send
from test_xdp_tools import pairs
from vnrtest import case, check, equal, wait_for
from xdp import PLACE, Xdp, little
from xsk import pinned

ORDER = 64
KERNELS = ("debug",)
OWN_GUEST = True
PARAMS = ["iommu_platform=on", "packed=on,queues=2,mode=small,iommu_platform=on", "queue_reset=off,iommu_platform=on"]
# Where single queues can be reset: elsewhere the whole device is, for a socket.
BY_QUEUES = "*-iommu_platform=on"


def attached(env):
    return "xdp" in env.dut.link()


def passes(env, step):
    if now_and_then(env, step):
        wait_for(env.reachable, f"traffic after failure {step.number}", 10)


def walk_attach(env, what, walk, quick, needed=True):
    """After a failure there is no program, and it can be attached; afterwards it can be detached."""
    env.stop_serving()
    fault.prepare()
    Xdp(env).set()
    program = Program(f"{PLACE}/pass", env.dut)

    def failed(step):
        check(not attached(env), f"a program after failure {step.number}: {step.error}")
        passes(env, step)
        program.attach()
        program.detach()

    def worked(step):
        check(attached(env), f"no program after failure {step.number}, but no error")
        passes(env, step)
        program.detach()

    with fault.NoLeaks(env):
        steps(env, what, walk(program.attach, fault.numbers(env.stride(quick), 16)), failed, worked, needed)
    check(not attached(env), "a program is left")
    wait_for(env.reachable, "traffic in the end", 10)


@case(240, nics=BY_QUEUES)
def attach_allocations(env):
    """Every allocation of attaching a program fails once."""
    walk_attach(env, "allocations of attaching", fault.walk, 8)


@case(240, nics=BY_QUEUES)
def attach_ring_adds(env):
    """Every buffer that is posted for a program is refused once."""
    with fault.Calls(env, ADDS, env.driver) as calls:
        walk_attach(env, "ring additions of attaching", calls.walk, 32, needed=False)


@case(240, nics=BY_QUEUES)
def attach_dma_maps(env):
    """Every DMA mapping for a program fails once."""
    with fault.Calls(env, MAPS, device=dma_device(env)) as calls:
        walk_attach(env, "DMA mappings of attaching", calls.walk, 32, needed=False)


def walk_bind(env, what, walk, quick):
    """After a failure no memory is pinned for the device, and another socket can be bound. It has all that needs
    memory: frames over several chunks and metadata, for which C has nothing."""
    env.stop_serving()
    fault.prepare()
    sockets = []
    several = USE_SG if env.driver == "rust" and "-mergeable-" in env.dut.label else 0

    def fresh():
        while sockets:
            sockets.pop().close()
        wait_for(lambda: pinned() == 0, "the memory of sockets is free", 10)
        sockets.append(Socket(env.dut, metadata=METADATA))

    def failed(step):
        passes(env, step)
        fresh()
        sockets[-1].bind(several)

    def worked(step):
        passes(env, step)

    with fault.NoLeaks(env):
        steps(env, what, walk(lambda: sockets[-1].bind(several), fault.numbers(env.stride(quick), 16), fresh),
              failed, worked)
        sockets.pop().close()
        wait_for(lambda: pinned() == 0, "the memory of sockets is free", 10)
    equal(sockets, [], "sockets")
    wait_for(env.reachable, "traffic in the end", 10)


@case(240)
def bind_allocations(env):
    """Every allocation of binding a socket fails once."""
    walk_bind(env, "allocations of binding a socket", fault.walk, 8)


@case(240)
def bind_ring_adds(env):
    """Every buffer that is posted for a socket is refused once."""
    with fault.Calls(env, ADDS, env.driver) as calls:
        walk_bind(env, "ring additions of binding a socket", calls.walk, 32)


@case(240)
def bind_dma_maps(env):
    """Every DMA mapping of a socket's memory fails once."""
    with fault.Calls(env, MAPS, device=dma_device(env)) as calls:
        walk_bind(env, "DMA mappings of binding a socket", calls.walk, 32)


@case(120, nics=BY_QUEUES)
def sends_refused(env):
    """The ring refuses every fifth frame of a socket once: all the same each is sent once, and none is said to
    have been that was not."""
    sends = {name: error for name, error in ADDS.items() if "outbuf" in name}
    with fault.NoLeaks(env), fault.Calls(env, sends, env.driver) as calls:
        calls.arm(5, every=5)
        transmit(env, "-z", count=1000)
        failed = calls.failed()
        calls.arm(0)
        check(failed >= 100, f"{failed} frames were refused")
    env.ping()


@case(120, nics=BY_QUEUES)
def broadcast_half_way(env):
    """A frame is for three devices, and there is no memory for the third one's: the first has it all the same,
    and what comes later is everybody's."""
    letters = "abc"
    xdp = Xdp(env)
    xdp.set(port=PORT)
    with pairs(env, *letters) as ends:
        for key, letter in enumerate(letters):
            xdp.update("devices", key, little(socket.if_nametoindex(f"v{letter}"), 4))
        xdp.attach("broadcast")
        before = env.dut.statistics()["rx_xdp_drops"]
        with fault.Calls(env, {"xdpf_clone": 0}) as calls, Capture(ends[0]) as capture:
            calls.arm(2)
            frames = send(env, payloads(1))
            same(meant(capture.frames(quiet=1)), frames)
            equal(calls.failed(), 1, "frames that there was no memory for")
            calls.arm(0)
        equal(env.dut.statistics()["rx_xdp_drops"] - before, 1, "frames dropped")
        with contextlib.ExitStack() as stack:
            captures = [stack.enter_context(Capture(end)) for end in ends]
            frames = send(env, payloads())
            for capture in captures:
                same(meant(capture.frames(quiet=1)), frames)
    env.ping()
