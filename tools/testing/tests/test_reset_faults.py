# SPDX-License-Identifier: GPL-2.0
"""The PCI function is reset while memory is short: the interface may stay away, the next
reset brings it back, and nothing is lost but traffic."""

import os

import fault
from nic import write
from vnrtest import case, check, wait_for

ORDER = 63
KERNELS = ("debug",)
# The C driver does not hear of resets.
DRIVERS = ("rust",)
OWN_GUEST = True
PARAMS = ["device=model,queues=2"]


@case(240)
def every_allocation(env):
    """Every allocation of coming back fails once."""
    reset = os.open(os.path.realpath(f"{env.dut.device}/../reset"), os.O_WRONLY)
    env.stop_serving()
    fault.prepare()
    injected = away = 0
    with fault.NoLeaks(env):
        for step in fault.walk(lambda: os.write(reset, b"1"), fault.numbers(env.stride(8), then=16)):
            injected += step.injected
            gone = not present(env)
            away += gone
            if gone or step.number % 10 == 1:
                os.write(reset, b"1")
                check(present(env), f"it stays away after failure {step.number}")
                wait_for(env.reachable, f"traffic after failure {step.number}")
    os.close(reset)
    check(injected, "nothing failed at all")
    check(away, "it never stayed away")
    write("/dev/kmsg", f"<6>vnr: resets: {injected} failures, {away} times away\n")


def present(env):
    """Whether the stack has the interface: ethtool refuses one that is detached."""
    return "combined" in env.dut.ethtool("-l", check=False).lower()
