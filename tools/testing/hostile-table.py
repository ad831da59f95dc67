#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""hostile-table.py [test] [test-debug] - make Documentation/hostile-devices.rst of
what the last runs of the suite "hostile" saw: of `make test T=hostile`, of `make
test-debug T=hostile`, or of both (build/test*/observations.json). What is in both
is taken from the one that is named last."""

import importlib
import json
import re
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PROJECT / "tools/testing"))
sys.dont_write_bytecode = True
machine = importlib.import_module("vnr.machine").machine
RUNS = sys.argv[1:] or ["test"]
PAGE = PROJECT / "Documentation" / "hostile-devices.rst"
HEAD = """.. SPDX-License-Identifier: GPL-2.0

===============
Hostile devices
===============

What both drivers make of a device that lies. Each row is a case of the suite ``hostile``: the device model
(``tools/testing/model``) tells one lie under traffic, the case looks at what arrived, at the driver's counters and at
the kernel log, ends the lie, unbinds and unloads the driver, and has it work with the device that is honest again.

This page is made from the observations of the runs, by

::

    {commands}
    tools/testing/hostile-table.py {folders}

Runs: {runs}, on {machine}.

"Goes on" is traffic without anything being done; "recovers" is traffic after unbinding, unloading, loading and
binding. A queue that is given up by the kernel's ring code (``id … out of range``, ``is not a head``) stands still
until it is bound again, for both drivers alike.
"""


DRIVERS = {"c": "virtio_net", "rust": "virtio_net_rs"}


def titles():
    """{case: what the device does}, from the docstrings of the suite."""
    sys.path[:0] = [str(PROJECT / "tools/testing/guest"), str(PROJECT / "tools/testing/tests")]
    importlib.import_module("test_hostile")  # declares its cases
    from vnrtest import CASES
    return {name.split(".")[1]: case.title for name, case in CASES.items() if case.suite == "hostile"}


def cell(entry):
    if not entry:
        return "not run"
    notes = [re.sub(r"\bvirtio\d+: |\[ *\d+\.\d+\] | \(see \S+\)", "", note) for note in entry["notes"]]
    notes = [note.replace("*", "\\*").replace("|", "\\|").replace("`", "'") for note in notes]
    text = "; ".join(notes) or "nothing seen"
    return text if entry["status"] in ("ok", "skip") else f"**fails**: {text}"


def table(rows, widths):
    lines = [".. list-table::", "   :header-rows: 1", f"   :widths: {widths}", ""]
    for row in rows:
        for number, text in enumerate(row):
            lines.append(f"   {'*' if number == 0 else ' '} - {text}")
    return "\n".join(lines)


def main():
    seen = {}
    for run in RUNS:
        file = PROJECT / "build" / run / "observations.json"
        if not file.exists():
            sys.exit(f"{file.relative_to(PROJECT)} is missing: run make {run} T=hostile first")
        for name, entry in json.loads(file.read_text()).items():
            match = re.fullmatch(r"hostile\.(\w+)/([^\s+]+)(?:\+debug)?@(c|rust)", name)
            if match:
                seen.setdefault((match[1], match[2]), {})[match[3]] = entry
    if not seen:
        sys.exit("no run of the suite hostile is known")
    known = titles()
    order = {name: number for number, name in enumerate(known)}
    rows = [("The device", "NIC", "C driver (virtio_net)", "this driver (virtio_net_rs)")]
    for (case, nic), entries in sorted(seen.items(), key=lambda item: (order.get(item[0][0], 999), item[0][1])):
        if case in known:
            rows.append((known[case], nic.removeprefix("model-"), cell(entries.get("c")),
                         cell(entries.get("rust"))))
    runs = sorted({f"{entry['day']}, kernel {entry['kernel']} ({DRIVERS[driver]})" for entries in seen.values()
                   for driver, entry in entries.items()})
    commands = "\n    ".join(f"make {run} T=hostile" for run in RUNS)
    head = HEAD.format(commands=commands, folders=" ".join(RUNS), runs="; ".join(runs), machine=machine())
    PAGE.write_text(f"{head}\n{table(rows, '28 16 28 28')}\n")
    print(f"{PAGE.relative_to(PROJECT)}: {len(rows) - 1} rows")


if __name__ == "__main__":
    main()
