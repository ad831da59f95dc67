# SPDX-License-Identifier: GPL-2.0
"""Verdicts of all cases, what was expected of them, and how they are shown."""

import datetime
import fnmatch
import json
import sys
import threading
from dataclasses import dataclass

from . import paths


@dataclass
class Result:
    variant: str        # suite.case/parameters
    driver: str         # "c", "rust" or "host"
    status: str         # "ok", "fail", "skip"
    why: str = ""
    seconds: float = 0.0
    found: tuple = ()   # status and reason as they came, before they are judged

    @property
    def id(self):
        return f"{self.variant}@{self.driver}"


class Expectations:
    """tools/testing/expected: lines "DRIVER STATUS VARIANT-GLOB  reason".

    "c fail": C is known to fail, so its failure is not counted as one.
    "rust skip", "c skip": the only skips that are allowed for a driver."""

    def __init__(self, path=paths.TESTING / "expected"):
        self.rules = []
        for number, line in enumerate(path.read_text().splitlines(), 1):
            line = line.split("#", 1)[0].strip()
            if not line:
                continue
            parts = line.split(None, 3)
            if len(parts) != 4 or parts[0] not in ("c", "rust", "host") \
                    or parts[1] not in ("fail", "flaky", "skip") \
                    or (parts[0] != "c" and parts[1] != "skip"):
                sys.exit(f"{path}:{number}: expected 'c fail|flaky|skip GLOB reason' or "
                         "'rust|host skip GLOB reason'")
            self.rules.append(parts)

    def find(self, result, *kinds):
        for driver, kind, glob, reason in self.rules:
            if driver == result.driver and kind in kinds \
                    and fnmatch.fnmatchcase(result.variant, glob):
                return reason
        return None


class Results:
    def __init__(self):
        # Guests run side by side, each in a thread.
        self.lock = threading.Lock()
        self.all = []
        self.observations = {}
        self.expected = Expectations()

    def observe(self, case, kernel, notes):
        """What a case saw, in words, on the kernel of that release."""
        self.observations[case] = kernel, notes

    def add(self, result):
        """Judge a verdict against what is expected, and show it; returns what it became."""
        result.found = result.status, result.why
        if result.status == "fail":
            reason = self.expected.find(result, "fail", "flaky")
            if reason:
                result.status = "xfail"
                result.why = f"{reason} ({result.why})"
        elif result.status == "skip":
            if not self.expected.find(result, "skip"):
                result.status = "fail"
                result.why = f"skipped, which tools/testing/expected does not allow: {result.why}"
        elif self.expected.find(result, "fail"):
            result.status = "fail"
            result.why = "passed, but tools/testing/expected says that it fails: update that file"
        return self.append(result)

    def append(self, result):
        """Take a verdict that was judged elsewhere, and show it."""
        with self.lock:
            self.all.append(result)
            print(self._line(len(self.all), result), flush=True)
        return result

    def write_observations(self, path):
        """Add this run's to those of runs before, each with its day."""
        if not self.observations:
            return
        known = json.loads(path.read_text()) if path.exists() else {}
        day = datetime.date.today().isoformat()
        verdicts = {result.id: result for result in self.all}
        # Who was ended before it could tell of what it saw is in the table with the reason.
        suites = {case.partition(".")[0] for case in self.observations}
        kernel, _ = next(iter(self.observations.values()))
        silent = {result.id: (kernel, [result.found[1]]) for result in self.all
                  if result.variant.partition(".")[0] in suites and result.found and result.found[0] == "fail"
                  and result.id not in self.observations}
        for case, (kernel, notes) in {**silent, **self.observations}.items():
            verdict = verdicts.get(case)
            if verdict and "kernel log:" in verdict.why:
                notes = [*notes, verdict.why.partition(" (see ")[0]]
            known[case] = {"day": day, "kernel": kernel, "notes": notes,
                           "status": verdict.status if verdict else "fail"}
        path.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")

    def count(self, *statuses):
        return sum(r.status in statuses for r in self.all)

    @staticmethod
    def _line(number, result):
        word = "not ok" if result.status == "fail" else "ok"
        tail = {"skip": f" # SKIP {result.why}", "xfail": f" # XFAIL {result.why}"}
        why = f"# {result.why}\n" if result.status == "fail" else ""
        return f"{why}{word} {number} {result.id}{tail.get(result.status, '')}"

    def ktap(self):
        """All verdicts as one KTAP document."""
        return "\n".join(["KTAP version 1", f"1..{len(self.all)}",
                          *(self._line(n, r) for n, r in enumerate(self.all, 1))]) + "\n"

    def seconds(self):
        """How long each case took, the longest first."""
        ordered = sorted(self.all, key=lambda r: r.seconds, reverse=True)
        return "".join(f"{r.seconds:6.1f} {r.id}\n" for r in ordered if r.seconds)

    def table(self):
        """Cases by driver, side by side."""
        words = {"ok": "pass", "fail": "FAIL", "skip": "skip", "xfail": "xfail"}
        rows = {}
        for result in self.all:
            if result.driver != "host":
                rows.setdefault(result.variant, {})[result.driver] = words[result.status]
        if not rows:
            return ""
        width = max(len(variant) for variant in rows)
        lines = [f"{'case / device parameters':{width}}  {'C':6} Rust"]
        for variant, row in rows.items():
            lines.append(f"{variant:{width}}  {row.get('c', '-'):6} {row.get('rust', '-')}")
        return "\n".join(lines)

    def matrix(self):
        """Device parameters by driver: passed of run, for the matrix suite."""
        rows = {}
        for result in self.all:
            if result.driver != "host" and result.variant.startswith("matrix."):
                label = result.variant.split("/", 1)[1]
                cell = rows.setdefault(label, {}).setdefault(result.driver, [0, 0])
                cell[0] += result.status != "fail"
                cell[1] += 1
        if not rows:
            return ""
        width = max(len(label) for label in rows)
        lines = [f"{'device parameters':{width}}  {'C':6} Rust"]
        for label, row in sorted(rows.items()):
            cells = ["{}/{}".format(*row[d]) if d in row else "-" for d in ("c", "rust")]
            lines.append(f"{label:{width}}  {cells[0]:6} {cells[1]}")
        return "\n".join(lines)

    def last_line(self):
        return (f"{self.count('ok', 'xfail')} passed, {self.count('fail')} failed, "
                f"{self.count('skip')} skipped")
