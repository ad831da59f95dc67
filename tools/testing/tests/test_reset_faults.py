# SPDX-License-Identifier: GPL-2.0
"""The PCI function is reset while memory is short: the interface may stay away, the next
reset brings it back, and nothing is lost but traffic."""

import contextlib
import os

import fault
from bind import CHUNK, METADATA, USE_SG, Socket
from bpf_link import Map
from nic import write
from test_afxdp import PORT, ready
from test_xdp import same
from vnrtest import case, check, wait_for
from xdp import PLACE
from xsk import numbered, pinned, send

ORDER = 63
KERNELS = ("debug",)
# The C driver does not hear of resets.
DRIVERS = ("rust",)
OWN_GUEST = True
PARAMS = ["device=model,queues=2", "device=model,iommu_platform=on"]


@case(240, nics="*-2q")
def every_allocation(env):
    """Every allocation of coming back fails once."""
    def works(step, reset):
        if step.number % 10 == 1:
            reset()
            wait_for(env.reachable, f"traffic after failure {step.number}")

    walk(env, works)


@case(300, nics="*-1q-iommu_platform=on")
def with_socket(env):
    """The same while a process has the queues: once the interface is there, it receives and sends again."""
    xdp, frames = ready(env), numbered(env, 4, PORT)
    with Map(f"{PLACE}-maps/sockets") as sockets, contextlib.ExitStack() as stack:
        bound = []

        def fresh():
            stack.close()
            bound.clear()
            wait_for(lambda: pinned() == 0, "the memory of sockets is free")
            bound.append(stack.enter_context(contextlib.closing(Socket(env.dut, metadata=METADATA))))
            bound[0].bind(USE_SG)
            bound[0].fill([CHUNK * index for index in range(8, 56)])
            sockets.update(0, bound[0].socket.fileno())

        def works(step, _reset):
            told = f"after failure {step.number}"
            wait_for(env.reachable, f"traffic {told}")
            xdp.set(port=PORT)
            send(env, frames)
            wait_for(lambda: xdp.seen()["frames"] == len(frames), f"frames at the program {told}")
            [process] = bound
            wait_for(lambda: len(process.received()) == len(frames), f"frames at the process {told}")
            same([data for _, data in process.received()], frames)
            process.send([(CHUNK * index + METADATA, 60, 0) for index in range(4)])
            wait_for(lambda: len(process.completed()) == 4, f"frames that are sent {told}")

        walk(env, works, fresh)


def walk(env, works, fresh=lambda: None):
    """Resets the function until every allocation has failed once, and once more where it stayed away."""
    function = os.open(os.path.realpath(f"{env.dut.device}/../reset"), os.O_WRONLY)

    def reset():
        os.write(function, b"1")

    env.stop_serving()
    fault.prepare()
    injected = away = 0
    with fault.NoLeaks(env):
        for step in fault.walk(reset, fault.numbers(env.stride(8), then=16), fresh):
            injected += step.injected
            if not present(env):
                away += 1
                reset()
                check(present(env), f"it stays away after failure {step.number}")
                wait_for(env.reachable, f"traffic after failure {step.number}")
            works(step, reset)
    os.close(function)
    check(injected, "nothing failed at all")
    check(away, "it never stayed away")
    write("/dev/kmsg", f"<6>vnr: resets: {injected} failures, {away} times away\n")


def present(env):
    """Whether the stack has the interface: ethtool refuses one that is detached."""
    return "combined" in env.dut.ethtool("-l", check=False).lower()
