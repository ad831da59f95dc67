# SPDX-License-Identifier: GPL-2.0
"""Verdicts on the C driver that earlier runs have found, in the cache. It does not change with our
driver, so that a plain `make test` takes them from there for cases that would be the same again; FULL=1,
T=, DRIVER= and PARAMS= run them. What was expected is looked at anew."""

import datetime
import hashlib
import json

from . import inputs, paths
from .results import Result


class Known:
    """The verdicts that there are, by KVM or by emulation."""

    def __init__(self, accelerator, path=None):
        self.accelerator = accelerator
        self.path = path or paths.CACHE / "verdicts-c.json"
        self.found = json.loads(self.path.read_text()) if self.path.exists() else {}

    def _key(self, plan, entry):
        """Of a case on a NIC, and of all that its verdict comes from."""
        text = [inputs.of_files(*inputs.COMMON), inputs.of_suite(entry["case"].partition(".")[0]),
                plan.kernel.identity, self.accelerator, entry["id"]]
        return hashlib.sha256("\n".join(text).encode()).hexdigest()

    def take(self, plans, results):
        """Gives `results` what is known of the cases of `plans`; returns plans of the rest."""
        days, count = set(), 0
        for plan in plans:
            rest = []
            for entry in plan.cases:
                known = self.found.get(self._key(plan, entry)) if _is_c(entry) else None
                if not known:
                    rest.append(entry)
                    continue
                days.add(known["day"])
                count += 1
                results.add(Result(entry["variant"], "c", known["status"], known["why"]))
            plan.cases = rest
        if count:
            print(f"# {count} verdicts on the C driver, whose cases are as they were, are of {min(days)}"
                  f"{f' to {max(days)}' if len(days) > 1 else ''}: FULL=1 or T= runs them again", flush=True)
        return [plan for plan in plans if plan.cases]

    def keep(self, plan, verdicts):
        """Keeps those of a guest that were as expected."""
        entries = {entry["id"]: entry for entry in plan.cases}
        for verdict in verdicts:
            entry = entries.get(verdict.id)
            if entry and _is_c(entry) and verdict.status != "fail":
                status, why = verdict.found
                self.found[self._key(plan, entry)] = {"case": verdict.id, "status": status, "why": why,
                                                 "day": datetime.date.today().isoformat()}
        # The last of each case.
        latest = {known["case"]: (key, known) for key, known in self.found.items()}
        paths.replace(self.path, json.dumps(dict(latest.values()), indent=0) + "\n")


def _is_c(entry):
    return entry["driver"] == "c"
