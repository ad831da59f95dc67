# SPDX-License-Identifier: GPL-2.0
"""coverage.py FOLDER PERCENT < EXPORT: what tests execute of a crate's functions.

EXPORT is `llvm-cov export` of a run. Prints a line for each source file below
FOLDER; fails if in one of them less than PERCENT of the lines or regions are.
Functions that derive macros of other crates make are not counted."""

import collections
import json
import pathlib
import re
import sys

# In mangled names: implementations of zerocopy's traits, and helpers of its derives.
DERIVED = re.compile(r"8zerocopy|__Zerocopy")
TESTS = re.compile(r"(^|/)(tests?|target|fuzz)/|(^|/)(tests|seed)\.rs$")
CODE = 0


def regions(export, folder):
    """file: {(first line, column, last line, column): times executed}. A function
    that is there several times is one."""
    found = collections.defaultdict(dict)
    for function in export["data"][0]["functions"]:
        if DERIVED.search(function["name"]):
            continue
        for *place, count, file, _, kind in function["regions"]:
            path = pathlib.Path(function["filenames"][file])
            if kind != CODE or not path.is_relative_to(folder):
                continue
            name = str(path.relative_to(folder))
            if not TESTS.search(name):
                place = tuple(place)
                found[name][place] = max(count, found[name].get(place, 0))
    return found


def lines(counts):
    """{line: whether it was executed}: a line is if a region that begins there was,
    or, where none begins, the innermost one around it."""
    executed = {}
    # Outer regions first, so that inner ones overrule them.
    for (first, _, last, _), count in sorted(counts.items(), key=lambda r: (r[0][0] - r[0][2])):
        for line in range(first, last + 1):
            executed[line] = count > 0
    for (first, *_), count in counts.items():
        if count:
            executed[first] = True
    return executed


def percent(part, whole):
    return 100 * part / whole if whole else 100.0


def main():
    folder, least = pathlib.Path(sys.argv[1]), float(sys.argv[2])
    found = regions(json.load(sys.stdin), folder)
    rows, total = [], [0, 0, 0, 0]
    for name, counts in sorted(found.items()):
        executed = lines(counts)
        row = [len(executed), sum(executed.values()), len(counts), sum(map(bool, counts.values()))]
        total = [sum(pair) for pair in zip(total, row)]
        rows.append((name, row))
    print(f"{folder.name:22} {'lines':>6} {'executed':>9} {'regions':>8} {'executed':>9}")
    failed = len(rows) < 8
    for name, (line, line_done, region, region_done) in rows + [("total", total)]:
        share = percent(line_done, line), percent(region_done, region)
        low = min(share) < least
        failed |= low
        print(f"{name:22} {line:6} {share[0]:7.1f} % {region:8} {share[1]:7.1f} %"
              f"{f'  below {least:g} %' if low else ''}")
    for name, counts in sorted(found.items()):
        missed = [f"{place[0]}:{place[1]}" for place, count in sorted(counts.items()) if not count]
        if missed:
            print(f"# not executed in {name}: {' '.join(missed)}")
    if len(rows) < 8:
        print(f"# only {len(rows)} files were measured")
    sys.exit(failed)


main()
