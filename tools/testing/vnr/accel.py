# SPDX-License-Identifier: GPL-2.0
"""KVM or TCG: a machine can have /dev/kvm and still not run a stock kernel,
so KVM is believed once a guest has started with it. The answer is kept."""

import hashlib
import os
import subprocess

from . import paths

# Without an instruction for random numbers, the first program that wants some waits for them.
TCG = ["-accel", "tcg,thread=multi", "-cpu", "qemu64,+rdrand"]
# The same, whose processors run by turns: none runs code that another one replaces meanwhile.
BY_TURNS = ["-accel", "tcg,thread=single", "-cpu", "qemu64,+rdrand"]
KVM = ["-accel", "kvm", "-cpu", "host"]
# One processor, whose instructions take two nanoseconds each of the guest's time, however
# busy the host is.
COUNTED = ["-accel", "tcg,thread=single", "-icount", "shift=1,sleep=on"]
# The usual processor has none, so that nothing uses it: it is costly to emulate.
SSE4 = ["-cpu", "qemu64,+rdrand,+ssse3,+sse4.1,+sse4.2,+popcnt"]
TRY_SECONDS = 20


def _machine_key():
    with open("/proc/cpuinfo") as file:
        cpu = sorted({line for line in file if line.startswith(("model name", "flags", "vendor"))})
    text = os.uname().release + "".join(cpu) + paths.kernel_release() + str(os.geteuid())
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _kvm_runs():
    """Does the stock kernel reach its first process under KVM?"""
    command = ["qemu-system-x86_64", *KVM, "-machine", "q35", "-m", "512M", "-nodefaults",
               "-display", "none", "-no-reboot", "-serial", "stdio", "-net", "none",
               "-kernel", str(paths.kernel_image()),
               # No root: the kernel panics once it is up, which is proof enough.
               "-append", "console=ttyS0 panic=-1 loglevel=7"]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=TRY_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    return b"Unable to mount root fs" in done.stdout


def choose(counted=False, sse4=False, by_turns=False):
    """(QEMU arguments, "kvm" or "tcg"). With `counted`, emulation has a clock that a
    busy host does not hurry; for guests of one processor. With `by_turns`, processors are
    emulated one at a time."""
    forced = os.environ.get("ACCEL")
    known = paths.CACHE / f"accel-{_machine_key()}"
    if forced in ("kvm", "tcg"):
        name = forced
    elif not os.access("/dev/kvm", os.R_OK | os.W_OK):
        # Not kept: it may be there, or allowed, another time.
        name = "tcg"
    elif known.exists():
        name = known.read_text().strip()
    else:
        print("# trying KVM by starting a guest with it", flush=True)
        name = "kvm" if _kvm_runs() else "tcg"
        paths.replace(known, name + "\n")
    if name == "kvm":
        return KVM, name
    emulated = COUNTED if counted else BY_TURNS if by_turns else TCG
    return [*emulated, *(SSE4 if sse4 else [])], name
