# SPDX-License-Identifier: GPL-2.0
"""How long is left: from what each scenario's repeats took in earlier runs."""

import json
import sys
import time
from collections import Counter
from statistics import median

# Of a repeat, both sides, while nothing is known.
GUESS = {"icount": 8.0, "tap": 10.0, "rate": 5.0, "probe": 10.0}
BOOT = "boot"
BOOT_GUESS = 20.0
SHOWN_EACH = 30  # seconds, where lines are not overwritten


class Pace:
    def __init__(self, path):
        self.path = path
        try:
            self.seconds = json.loads(path.read_text())
        except (OSError, ValueError):
            self.seconds = {}
        self.todo = Counter()  # (kind, name) -> repeats left
        self.begun = time.monotonic()
        self.shown = 0.0

    def plan(self, kind, name, repeats):
        if repeats:
            self.todo[kind, BOOT] = 1
            self.todo[kind, name] += repeats

    def done(self, kind, name, seconds):
        """One repeat was; later ones are expected to take about as long."""
        key = f"{kind}/{name}"
        known = self.seconds.get(key, seconds)
        self.seconds[key] = round((known + seconds) / 2, 2)
        self.drop(kind, name)

    def drop(self, kind, name):
        if self.todo[kind, name] > 0:
            self.todo[kind, name] -= 1

    def skip(self, kind):
        """Nothing more is to come of this kind."""
        for key in [k for k in self.todo if k[0] == kind]:
            del self.todo[key]

    def save(self):
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.path.with_suffix(".new")
        fresh.write_text(json.dumps(dict(sorted(self.seconds.items())), indent=1) + "\n")
        fresh.rename(self.path)

    def expected(self, kind, name):
        if known := self.seconds.get(f"{kind}/{name}"):
            return known
        if name == BOOT:
            return BOOT_GUESS
        alike = [s for key, s in self.seconds.items()
                 if key.startswith(f"{kind}/") and not key.endswith(f"/{BOOT}")]
        return median(alike) if alike else GUESS[kind]

    def left(self, since=0.0):
        """Seconds, when the repeat under way began `since` seconds ago."""
        whole = sum(n * self.expected(*key) for key, n in self.todo.items())
        return max(whole - since, 0.0)

    def show(self, label, at, since, last=False):
        spent = time.monotonic() - self.begun
        text = f"bench: {label}, {at}; {clock(spent)} so far, about {clock(self.left(since))} left"
        if sys.stderr.isatty():
            sys.stderr.write("\r\033[K" + text + ("\n" if last else ""))
        elif last or spent - self.shown >= SHOWN_EACH:
            self.shown = spent
            sys.stderr.write(text + "\n")
        sys.stderr.flush()


def clock(seconds):
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes}:{seconds:02}"
