# SPDX-License-Identifier: GPL-2.0
"""How long cases and guests took in earlier runs, in the cache: a run starts those guests first that take
longest, so that none is alone in the end."""

import json

from . import paths

# What is not known yet, in seconds: a case of the usual kind, one of suites with a guest of their own or on
# the debug kernel, and a guest's start and end.
USUAL, LONG, BOOT = 6, 20, 25


class Durations:
    def __init__(self, accelerator, path=None):
        self.path = path or paths.CACHE / f"seconds-{accelerator}.json"
        self.cases, self.guests = self._read()

    def _read(self):
        known = json.loads(self.path.read_text()) if self.path.exists() else {}
        return known.get("cases", {}), known.get("guests", {})

    def of(self, plan):
        """Seconds that a guest may take."""
        usual = LONG if plan.own_guest or plan.kernel.suffix else USUAL
        return BOOT + sum(self.cases.get(entry["id"], usual) for entry in plan.cases)

    def keep(self, plan, verdicts, seconds):
        """Keeps what a guest took, beside what other runs have kept meanwhile."""
        self.cases, self.guests = self._read()
        self.cases.update({verdict.id: round(verdict.seconds, 1) for verdict in verdicts if verdict.seconds})
        # Guests that suites share have the same name on both kernels.
        self.guests[f"{plan.name} on {plan.kernel.name}"] = [round(seconds), len(plan.cases)]
        paths.replace(self.path, json.dumps({"guests": self.guests, "cases": self.cases}, indent=0) + "\n")
