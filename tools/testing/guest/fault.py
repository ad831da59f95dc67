# SPDX-License-Identifier: GPL-2.0
"""Failures on demand, on the debug kernel: the n-th allocation of an action by
the kernel's fault injection, other functions by the module vnr_fault."""

import os
import re
import socket
import time

from nic import DRIVERS, read, run, write
from vnrtest import Skip, check

DEBUGFS = "/sys/kernel/debug"
KINDS = ("failslab", "fail_page_alloc")
# What the two return for "no memory".
ALLOCATIONS = {"should_failslab": -12, "should_fail_alloc_page": 1}
KMEMLEAK = f"{DEBUGFS}/kmemleak"
# From this step on an action may repeat itself.
DISTINCT = 50
# Content of what vnr_fault forgets.
FORGOTTEN = "a5 a5 a5 a5 a5 a5 a5 a5"
# kmemleak believes in a leak only after this time.
KMEMLEAK_AGE = 5.5


def prepare():
    """Sleeping allocations and single pages can fail, too; but not those of the
    DMA checker itself, which would give up."""
    if not os.path.exists("/proc/self/fail-nth"):
        raise Skip("the kernel has no fault injection")
    ends = run("grep", "-wE", "debug_dma_map_single|debug_dma_free_pages", "/proc/kallsyms").split()
    spared = sorted(int(word, 16) for word in ends if re.fullmatch("[0-9a-f]{16}", word))
    for kind in KINDS:
        for knob, value in {"ignore-gfp-wait": "N", "task-filter": "N", "probability": 0,
                            "verbose": 0, "stacktrace-depth": 32,
                            "require-start": 0, "require-end": 2 ** 64 - 1,
                            "reject-start": spared[0], "reject-end": spared[-1]}.items():
            write(f"{DEBUGFS}/{kind}/{knob}", str(value))
    write(f"{DEBUGFS}/fail_page_alloc/min-order", "0")


class Step:
    """One run of an action: its n-th allocation failed, if `injected`."""

    def __init__(self, number, error, injected):
        self.number, self.error, self.injected = number, error, injected


def numbers(stride=1, then=1, limit=4000):
    """1, 1 + stride, ..., and from DISTINCT on in strides of `then`: what comes
    late and often, such as filling a ring, is the same each time."""
    number = 1
    while number < limit:
        yield number
        number += stride if number < DISTINCT else max(stride, then)
    check(False, f"more than {limit} steps")


def walk(action, which=None, before=lambda: None):
    """Run action with its n-th allocation failing, for each n of `which` until it
    has fewer; a Step after each. The last one is without a failure, and must
    have succeeded. before() makes ready for each."""
    fd = os.open("/proc/thread-self/fail-nth", os.O_RDWR)
    try:
        for number in which or numbers():
            before()
            error = None
            os.pwrite(fd, b"%d" % number, 0)
            try:
                action()
            except OSError as caught:
                error = caught
            injected = int(os.pread(fd, 16, 0)) == 0
            os.pwrite(fd, b"0", 0)
            if not injected:
                check(error is None, f"nothing failed, and yet: {error}")
            yield Step(number, error, injected)
            if not injected:
                return
    finally:
        os.pwrite(fd, b"0", 0)
        os.close(fd)


def text_of(driver):
    """(first, last) address of a driver's module: the size is that of all of it, not of its code
    alone, which the code of another module may follow."""
    modules = {words[0]: (int(words[5], 16), int(words[1]))
               for words in map(str.split, read("/proc/modules").splitlines())}
    if DRIVERS[driver] not in modules:
        raise AssertionError(f"{DRIVERS[driver]} is not loaded")
    start, size = modules[DRIVERS[driver]]
    return start, min([start + size, *(other for other, _ in modules.values() if other > start)])


class InDriver:
    """Context: allocations below the driver's functions fail, in any task and in
    interrupts, with a probability in percent."""

    # So many times at most, as the kernel counts down.
    MOST = 1 << 30

    def __init__(self, driver, percent):
        self.range, self.percent = text_of(driver), percent

    def __enter__(self):
        for kind in KINDS:
            for knob, value in {"require-start": self.range[0], "require-end": self.range[1],
                                "times": self.MOST, "interval": 1, "space": 0,
                                "probability": self.percent}.items():
                write(f"{DEBUGFS}/{kind}/{knob}", str(value))
        return self

    def __exit__(self, *_):
        failures = 0
        for kind in KINDS:
            write(f"{DEBUGFS}/{kind}/probability", "0")
            failures += self.MOST - int(read(f"{DEBUGFS}/{kind}/times"))
        check(failures, "nothing failed at all")


class Calls:
    """Context: chosen calls of functions fail. `functions` is {name: value to
    return}; `driver` limits them to those that its module makes (with deep, to
    those below its functions), `device` to those with that device."""

    FOLDER = "/sys/module/vnr_fault/parameters"

    def __init__(self, env, functions, driver=None, deep=False, device=None):
        self.words = [env.job["fault_module"], "functions=" + ",".join(functions),
                      "values=" + ",".join(map(str, functions.values()))]
        if driver:
            self.words += ["start=%#x" % text_of(driver)[0], "end=%#x" % text_of(driver)[1]]
        if deep:
            self.words.append("deep=1")
        if device:
            self.words.append(f"device={device}")

    def __enter__(self):
        run("insmod", *self.words)
        return self

    def arm(self, nth, every=0):
        """The n-th call from now fails, and then each `every`-th; 0: none."""
        write(f"{self.FOLDER}/every", str(every))
        write(f"{self.FOLDER}/nth", str(nth))

    def failed(self):
        return int(read(f"{self.FOLDER}/failed"))

    def walk(self, action, which=None, before=lambda: None):
        """As the function of that name, for calls."""
        for number in which or numbers():
            before()
            error = None
            self.arm(number)
            try:
                action()
            except OSError as caught:
                error = caught
            injected = self.failed() > 0
            self.arm(0)
            yield Step(number, error, injected)
            if not injected:
                check(error is None, f"nothing failed, and yet: {error}")
                return

    def __exit__(self, *_):
        run("rmmod", "vnr_fault")


def free_deferred():
    """What a process has read from a socket is freed by the processor that received it, when that
    receives again (skb_attempt_defer_free). Until then kmemleak does not find the packets that GRO has
    chained to one whose head is in a page: it looks into no pages."""
    processors = os.sched_getaffinity(0)
    for processor in processors:
        os.sched_setaffinity(0, {processor})
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            # Nobody is there to have it: discard's port.
            sender.sendto(b"", ("127.0.0.1", 9))
    os.sched_setaffinity(0, processors)


def leaks(forgotten=False):
    """What kmemleak finds now: the first object's report, or None. With `forgotten`, of those that
    vnr_fault forgets, which are of nobody's interest otherwise."""
    if not os.path.exists(KMEMLEAK):
        return None
    free_deferred()
    time.sleep(KMEMLEAK_AGE)
    # One scan takes the checksums of new objects; those that are the same at the next are believed.
    # The last few of a size may be found later only, as the allocator's arrays have their addresses.
    for _ in range(2):
        write(KMEMLEAK, "scan")
    objects = read(KMEMLEAK).split("unreferenced object")[1:]
    # What the kernel has allocated as it came up, such as for its first file system, is no driver's.
    objects = [text for text in objects if 'comm "swapper/0"' not in text and (FORGOTTEN in text) == forgotten]
    if not objects:
        return None
    # Whole, and a splat.
    for line in objects[0].splitlines():
        write("/dev/kmsg", f"<6>vnr: leaked: {line}\n")
    return f"{len(objects)} objects, the first: " + " ".join(objects[0].split())[:1500]


class NoLeaks:
    """Context: nothing that is allocated in it is lost. A scan takes as long as
    several cases: a sample leaves it to that at the end of the guest."""

    def __init__(self, env):
        self.judged = not env.quick and os.path.exists(KMEMLEAK)

    def __enter__(self):
        if self.judged:
            write(KMEMLEAK, "clear")

    def __exit__(self, kind, *_):
        if self.judged and not kind:
            found = leaks()
            check(not found, f"leaked: {found}")
