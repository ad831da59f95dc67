# SPDX-License-Identifier: GPL-2.0
"""A trial of a driver with a device that lies: what was told, what the driver
counted and said, what became of the traffic, and whether it recovers."""

import contextlib
import itertools
import os
import re
import time

from nic import DRIVERS, write
from vnrtest import Background, Failed, check, wait_for

# Frames of one trial.
FRAMES = 60
COUNTERS = ("rx_errors", "rx_dropped", "rx_length_errors", "rx_frame_errors", "tx_errors", "tx_dropped")
# Longer than a driver may wait for an answer of the device (ours: 5 s).
PATIENCE = 9
AUTOPROBE = "/sys/bus/virtio/drivers_autoprobe"
runs = itertools.count(1)


class Hang(Failed):
    """Something does not end. The guest is of no more use."""


def in_time(what, seconds, action):
    """Run action in a thread; Hang if it takes longer, with where it is."""
    thread = Background(action)
    thread.start()
    if not thread.done(seconds):
        with open(f"/proc/self/task/{thread.native_id}/stack") as file:
            where = [line.split()[-1].split("+")[0] for line in file][:3]
        raise Hang(f"{what} does not end within {seconds} s (in {', '.join(where) or 'the kernel'})")


class Log:
    """Lines of the kernel log that come after the beginning: the log may forget what was before."""

    def __init__(self):
        self.lines = []
        self.file = open("/dev/kmsg", "rb", buffering=0)
        os.set_blocking(self.file.fileno(), False)
        self.file.seek(0, os.SEEK_END)

    def _next(self):
        while True:
            with contextlib.suppress(BrokenPipeError):
                return self.file.read(8192)
            # Some have been forgotten since the last look.

    def new(self, pattern):
        """Those so far that match."""
        while record := self._next():
            # Numbers, a semicolon, the line, and then what else is known of it.
            text = record.decode(errors="replace").partition(";")[2]
            self.lines.append(text.partition("\n")[0])
        return [line for line in self.lines if re.search(pattern, line)]


class Trial:
    """One lie, from the first frame to the last. `notes` say in words what was seen."""

    # What virtio's ring code, or a driver, says of a device that is given up.
    GIVEN_UP = r"id \d+ (out of range|is not a head)|the device is given up|marked broken"

    def __init__(self, env):
        self.env, self.model = env, env.model
        self.log, self.before = Log(), env.dut.counters()
        self.told_before = self.model.told()
        self.sent = self.received = self.changed = 0
        self.notes = []

    # Traffic

    def receive(self, frames=FRAMES, lost=0, **template):
        """The model sends counted datagrams to the server of the device under test; so many may be lost."""
        run = next(runs) * 1000 + int(time.monotonic()) % 1000
        number = self.model.generate(count=frames, run=run, **{"size": 300, **template})
        end = time.monotonic() + 2
        while not self.model.generators()[number]["done"] and time.monotonic() < end:
            time.sleep(0.05)
        self.sent += frames * template.get("segments", 1)
        received, _, changed = self.model.wait_received(run, self.sent - lost, 2)
        if lost:
            # Those that are not should have come by now as well.
            time.sleep(0.2)
            received, _, changed = self.model.received(run)
        self.received += received
        self.changed += changed

    def send(self, frames=200, lie=None):
        """The device under test sends datagrams that the model swallows, until it has told `lie`: 64
        together, so that there are several in the ring, or alone if that is all."""
        env = self.env
        self.model.forward("sink")
        env.dut.knows(env.peer)
        env.dut.offload(tx_udp_segmentation=False)
        before = env.dut.counters()["tx_packets"] + frames // 2
        sender = env.start(env.dut, "burst", env.peer.ip4, 7777, frames, 200, 500, 200)
        # A queue that a lie has stopped sends no more.
        with contextlib.suppress(Failed):
            wait_for(lambda: env.dut.counters()["tx_packets"] > before or self.given_up()
                     or lie and self.told(lie), "frames are sent", 4)
        time.sleep(0.6)
        sender.kill()
        sender.wait()
        self.model.forward("switch")

    # What was seen

    def told(self, lie):
        return self.model.told().get(lie, 0) - self.told_before.get(lie, 0)

    def counted(self):
        """What the driver's error counters rose by: {name: number}."""
        now = self.env.dut.counters()
        rose = {name: now[name] - self.before[name] for name in COUNTERS}
        return {name: value for name, value in rose.items() if value}

    def given_up(self):
        """What was said of a broken device or queue."""
        return self.log.new(self.GIVEN_UP)

    def note(self, text):
        self.notes.append(text)

    def alive(self):
        """Whether traffic passes without anything being done."""
        self.model.honest()
        return any(self.env.reachable() for _ in range(2))

    def describe(self):
        """The note of what traffic and counters tell."""
        if self.sent:
            self.note(f"{self.received} of {self.sent} frames delivered"
                      + (f", {self.changed} of them changed" if self.changed else ""))
        counted = self.counted()
        if counted:
            self.note(", ".join(f"{name} +{value}" for name, value in counted.items()))

    # Afterwards

    def recover(self):
        """Unbind, unload, load, bind to a device that is honest now: traffic passes."""
        env, name = self.env, DRIVERS[self.env.driver]
        self.model.honest()
        # Where a lie may have pulled it out.
        env.link(True)
        own = [nic for nic in (env.dut, env.peer) if nic is env.dut or nic.driver() == name]
        for nic in own:
            in_time("unbinding", PATIENCE, nic.unbind)
        in_time("unloading", PATIENCE, lambda: env.modules.unload(env.driver))
        # Loaded, it would take the NICs of other cases too.
        write(AUTOPROBE, "0")
        try:
            env.modules.load(env.driver)
        finally:
            write(AUTOPROBE, "1")
        for nic in reversed(own):
            nic.bind(env.driver)
            nic.configure()
        check(any(env.reachable() for _ in range(3)), "no traffic after unloading and loading")


def end_guest():
    """A hang in the kernel holds locks for ever: nothing more can be learnt here."""
    write("/proc/sysrq-trigger", "b")
