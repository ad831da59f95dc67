# SPDX-License-Identifier: GPL-2.0
"""Events of the kernel's tracing."""

import os

from nic import read, run, write

PLACE = "/sys/kernel/tracing"


class Traced:
    """Context: an event ("system/name") is traced while it is open."""

    def __init__(self, event):
        self.name = os.path.basename(event)
        self.switch = f"{PLACE}/events/{event}/enable"

    def __enter__(self):
        if not os.path.ismount(PLACE):
            run("mount", "-t", "tracefs", "tracefs", PLACE)
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
