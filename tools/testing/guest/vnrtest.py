# SPDX-License-Identifier: GPL-2.0
"""What a test file imports: how cases are declared and how they judge.

The runner imports test files too, on the host, to know the cases: keep their
top level free of anything that needs a guest."""

import threading
import time

CASES = {}
# How much longer than on an idle machine with KVM things may take; the agent sets it.
slowness = 1


class Skip(Exception):
    """The case does not apply here; the message says why."""


class Failed(AssertionError):
    """The case found something wrong; the message says what."""


class Case:
    def __init__(self, function, timeout, suite, nics, sample, ci, full):
        self.function, self.timeout, self.suite = function, timeout, suite
        self.nics, self.sample, self.ci, self.full = nics, sample, ci, full or timeout
        self.name = f"{suite}.{function.__name__}"
        self.title = (function.__doc__ or "").strip().splitlines()[0]


def case(timeout=30, nics="*", sample="*", ci=False, full=None):
    """Declare a case of at most timeout seconds (under emulation), or full if the
    whole matrix is run, for those of the suite's NICs whose label matches the glob
    `nics`, and unless the whole matrix is run, `sample` as well. With ci, `make test`
    runs it on the debug kernel too."""
    def declare(function):
        suite = function.__module__.removeprefix("test_")
        made = Case(function, timeout, suite, nics, sample, ci, full)
        CASES[made.name] = made
        return function
    return declare


def check(condition, message):
    if not condition:
        raise Failed(message)


def equal(got, wanted, what):
    if got != wanted:
        raise Failed(f"{what}: {got!r}, expected {wanted!r}")


def between(got, low, high, what):
    if not low <= got <= high:
        raise Failed(f"{what}: {got}, expected {low}..{high}")


class Background(threading.Thread):
    """What goes on beside a case. What it raises is raised where the case waits for it."""

    def __init__(self, action):
        super().__init__(daemon=True)
        self.action, self.error = action, None

    def run(self):
        try:
            self.action()
        except BaseException as error:  # pylint: disable=broad-exception-caught
            self.error = error

    def done(self, seconds=None):
        """Waits for its end; whether it came."""
        self.join(seconds)
        if self.error:
            raise self.error
        return not self.is_alive()


def wait_for(condition, what, seconds=10, step=0.05):
    """Poll until condition() is true; its value is returned. The seconds are those of a fast
    machine."""
    seconds *= slowness
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failed(f"{what}: not within {seconds} s")
        time.sleep(step)
