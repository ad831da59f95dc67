#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""full-table.py - make Documentation/full-tests.rst of what the guests of full runs last found: of `make test
FULL=1` and `make test-debug FULL=1`, whole or suite by suite (build/test*/record.jsonl)."""

import collections
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))
from vnr.machine import machine  # noqa: E402
from vnr.paths import PROJECT  # noqa: E402
from vnr.record import Record  # noqa: E402

PAGE = PROJECT / "Documentation" / "full-tests.rst"
KERNELS = {"test": "stock", "test-debug": "debug"}
DRIVERS = {"c": "virtio_net", "rust": "virtio_net_rs"}
HEAD = """.. SPDX-License-Identifier: GPL-2.0

==========
Full tests
==========

``make test`` runs a covering set of device parameters, and short loops. With ``FULL=1`` a suite has all of its
parameters and its long loops, on both drivers. This page says what the last full run of each suite found, on {machine}.
It is made by

::

    {commands}
    tools/testing/full-table.py

"Expected" are failures of the C driver that ``tools/testing/expected`` and ``expected-upstream`` know and explain.
"NICs" are the sets of device parameters. A suite that is not here has not been run in full.
"""


class Suite:
    def __init__(self):
        self.days, self.kernels, self.nics, self.seconds = set(), set(), set(), 0
        self.counts = {driver: collections.Counter() for driver in (*DRIVERS, "host")}
        self.failed = []

    def add(self, guest):
        self.days.add(guest["day"])
        self.kernels.add(guest["kernel"])
        self.seconds += guest["seconds"]
        for variant, driver, status, why in guest["verdicts"]:
            self.counts[driver][status] += 1
            if driver != "host":
                self.nics.add(variant.partition("/")[2])
            if status == "fail":
                self.failed.append((f"{variant}@{driver}", why))

    def cell(self, driver):
        words = {"ok": "passed", "xfail": "expected", "skip": "skipped", "fail": "**failed**"}
        return ", ".join(f"{self.counts[driver][status]} {word}" for status, word in words.items()
                         if self.counts[driver][status]) or "not run"

    def row(self, name):
        days = sorted(self.days)
        return [name, str(len(self.nics)), self.cell("c"), self.cell("rust"), f"{self.seconds / 60:.0f}",
                days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"]


def table(rows):
    lines = [".. list-table::", "   :header-rows: 1", "   :widths: 20 8 26 26 8 12", ""]
    for row in [["Suite", "NICs", *DRIVERS.values(), "Minutes", "Day"], *rows]:
        lines += [f"   {' ' if number else '*'} - {text}" for number, text in enumerate(row)]
    return "\n".join(lines)


def main():
    parts, commands = [], []
    for folder, kernel in KERNELS.items():
        suites = collections.defaultdict(Suite)
        for guest in Record(PROJECT / "build" / folder).last.values():
            cases = [variant for variant, driver, _, _ in guest["verdicts"] if driver != "host"]
            if cases:
                suites[cases[0].partition(".")[0]].add(guest)
        if not suites:
            continue
        commands.append(f"make {folder} FULL=1 T={','.join(sorted(suites))}")
        releases = sorted({release for suite in suites.values() for release in suite.kernels})
        title = f"The {kernel} kernel, {', '.join(releases)}"
        parts += [f"{title}\n{'=' * len(title)}", table(suites[name].row(name) for name in sorted(suites))]
        parts += [f"* ``{case}``: {why}" for name in sorted(suites) for case, why in suites[name].failed]
    if not parts:
        sys.exit("no full run is known: make test FULL=1 first")
    head = HEAD.format(machine=machine(), commands="\n    ".join(commands))
    PAGE.write_text(head + "\n" + "\n\n".join(parts) + "\n")
    print(f"{PAGE.relative_to(PROJECT)}: {len(parts)} parts")


if __name__ == "__main__":
    main()
