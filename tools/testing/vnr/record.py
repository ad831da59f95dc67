# SPDX-License-Identifier: GPL-2.0
"""What guests of full runs found, kept from run to run: one JSON object a line, and guest, in build/*/record.jsonl.
A run that is resumed leaves out those that ended without a failure and would run the same again."""

import datetime
import functools
import hashlib
import json
import re

from . import paths

# What a guest's verdicts depend on, beside the file of its suite: the driver, the clients, the
# environment with its pinned versions, and what the cases call.
SOURCES = ("Kbuild", "rust", "drivers", "samples", "tools/env", "tools/versions.mk", "tools/testing/guest",
           "tools/testing/model", "tools/testing/kmod", "tools/testing/vnr", "tools/testing/expected",
           "tools/testing/expected-upstream")
UNREAD = {"target", "__pycache__"}


class Record:
    def __init__(self, folder=None):
        self.path = (folder or paths.OUT) / "record.jsonl"
        self.last = {}
        for line in self.path.read_text().splitlines() if self.path.exists() else []:
            entry = json.loads(line)
            self.last[entry["guest"]] = entry

    def key(self, plan):
        """Of what the guest would run, and with what."""
        suites = {entry["case"].partition(".")[0] for entry in plan.cases}
        digest = hashlib.sha256(_sources().encode() + str(plan.kernel.release).encode())
        for suite in sorted(_with_imports(suites)):
            digest.update((paths.TESTS / f"test_{suite}.py").read_bytes())
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


def _with_imports(suites):
    """These, and those that they have something from."""
    todo, found = list(suites), set(suites)
    while todo:
        text = (paths.TESTS / f"test_{todo.pop()}.py").read_text()
        more = set(re.findall(r"^from test_(\w+) import", text, re.MULTILINE)) - found
        found |= more
        todo += more
    return found


@functools.cache
def _sources():
    """One hash of all of them."""
    digest = hashlib.sha256()
    for top in (paths.PROJECT / place for place in SOURCES):
        for file in sorted(top.rglob("*")) if top.is_dir() else [top]:
            name = file.relative_to(paths.PROJECT)
            if file.is_file() and not UNREAD & set(name.parts):
                digest.update(f"{name}\0".encode() + file.read_bytes())
    return digest.hexdigest()
