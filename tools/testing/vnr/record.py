# SPDX-License-Identifier: GPL-2.0
"""What guests of whole runs found, kept from run to run: one JSON object a line, and guest, in build/*/record.jsonl
for runs with FULL=1, and in record-usual.jsonl beside it for those without, whose guests are others. A run that is
resumed leaves out those that ended without a failure and would run the same again."""

import datetime
import hashlib
import json

from . import inputs, paths

# What expectations are in.
EXPECTED = ("tools/testing/expected", "tools/testing/expected-upstream")


class Record:
    def __init__(self, folder=None, full=True):
        self.path = (folder or paths.OUT) / ("record.jsonl" if full else "record-usual.jsonl")
        self.last = {}
        for line in self.path.read_text().splitlines() if self.path.exists() else []:
            entry = json.loads(line)
            self.last[entry["guest"]] = entry

    def key(self, plan):
        """Of what the guest would run, and with what."""
        suites = sorted({entry["case"].partition(".")[0] for entry in plan.cases})
        places = (*inputs.COMMON, *inputs.DRIVER, *EXPECTED)
        digest = hashlib.sha256("\n".join(
            [inputs.of_files(*places), plan.kernel.identity, *map(inputs.of_suite, suites)]).encode())
        for entry in plan.cases:
            digest.update(entry["id"].encode())
        return digest.hexdigest()

    def has(self, plan):
        """Whether it was run as it is now, to its end, and nothing failed."""
        entry = self.last.get(_name(plan))
        return bool(entry) and entry["key"] == self.key(plan) \
            and all(status != "fail" for _, _, status, _ in entry["verdicts"])

    def keep(self, plan, verdicts, seconds):
        name = _name(plan)
        self.last[name] = {
            "guest": name, "key": self.key(plan), "day": datetime.date.today().isoformat(),
            "kernel": plan.kernel.release, "seconds": round(seconds),
            "verdicts": [(v.variant, v.driver, v.status, v.why) for v in verdicts]}
        with self.path.open("a") as file:
            file.write(json.dumps(self.last[name]) + "\n")


def _name(plan):
    """A run of one driver is another than a run of both."""
    return "@".join([plan.name, *sorted({entry["driver"] for entry in plan.cases})])
