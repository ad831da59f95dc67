# SPDX-License-Identifier: GPL-2.0
"""Events of the kernel's tracing."""

import os
import re

from nic import read, run, write
from vnrtest import Skip

PLACE = "/sys/kernel/tracing"


def mounted():
    """The kernel's files of tracing are there."""
    if not os.path.ismount(PLACE):
        run("mount", "-t", "tracefs", "tracefs", PLACE)


class Traced:
    """Context: an event ("system/name") is traced while it is open."""

    def __init__(self, event):
        self.name = os.path.basename(event)
        self.switch = f"{PLACE}/events/{event}/enable"

    def __enter__(self):
        mounted()
        self.forget()
        write(self.switch, "1")
        return self

    def forget(self):
        """What was traced so far is of no interest."""
        write(f"{PLACE}/trace", "")

    def lines(self):
        """A line for each time that it happened."""
        return [line for line in read(f"{PLACE}/trace").splitlines() if self.name in line]

    def __exit__(self, *_):
        write(self.switch, "0")


class Probed:
    """Context: a function ("module:name") is an event, `event`, while it is open."""

    def __init__(self, function):
        self.function, self.event = function, "kprobes/vnr"

    def __enter__(self):
        mounted()
        write(f"{PLACE}/kprobe_events", f"p:{self.event} {self.function}")
        return self

    def __exit__(self, *_):
        # To open it so takes all away.
        write(f"{PLACE}/kprobe_events", "")


class Counted:
    """Context: how often each of some events ("system/name") happens while it is open."""

    TRIGGER = "hist:keys=common_stacktrace:size=1024"

    def __init__(self, *events):
        self.events = events

    def __enter__(self):
        mounted()
        if "hist trigger" not in read(f"{PLACE}/README"):
            raise Skip("the kernel has no histograms of events (CONFIG_HIST_TRIGGERS)")
        for event in self.events:
            write(f"{PLACE}/events/{event}/trigger", self.TRIGGER)
        return self

    def times(self):
        """{event: how often it happened}."""
        return {event: sum(map(int, re.findall(r"(?:Hits|Dropped): (\d+)", self.places(event))))
                for event in self.events}

    def places(self, event):
        """From where it happened, most often last, as the kernel has it."""
        return read(f"{PLACE}/events/{event}/hist")

    def __exit__(self, *_):
        for event in self.events:
            write(f"{PLACE}/events/{event}/trigger", f"!{self.TRIGGER}")
