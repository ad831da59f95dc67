# SPDX-License-Identifier: GPL-2.0
"""What is expected of each line of the kernel's own selftests, on both drivers:
the table tools/testing/expected-upstream."""

import fnmatch
import sys
from dataclasses import dataclass

from . import paths
from .results import Result

STATUSES = {"pass": "ok", "fail": "xfail", "xfail": "xfail", "skip": "skip"}
TABLE = paths.TESTING / "expected-upstream"


@dataclass
class Row:
    glob: str           # PROGRAM.LINE, or PROGRAM where it does nothing; a glob both
    nics: str           # the labels of those that it is for, a glob
    kernel: str         # "stock", "debug" or "any"
    wanted: dict        # (status, what is said of it) by driver, "c" and "rust"
    reason: str

    def is_for(self, kernel, program, label):
        return self.kernel in ("any", kernel) and fnmatch.fnmatchcase(program, self.glob.split(".")[0]) \
            and fnmatch.fnmatchcase(label, self.nics)

    def allows(self, driver, status, why):
        return any(status == wanted and said in why for wanted, said in self.wanted[driver])


def _wanted(cell):
    """Of "pass/fail:too_few_frames" ((status, what it must say), ...)."""
    words = [word.partition(":") for word in cell.split("/")]
    return tuple((status, said.replace("_", " ")) for status, _, said in words)


def read(path=TABLE):
    """Rows "LINE-GLOB[/NIC-GLOB] KERNEL C OURS [reason]"; a reason is a must where one is not to pass."""
    rows = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        parts = line.split("#", 1)[0].split(None, 4)
        if not parts:
            continue
        wanted = [_wanted(cell) for cell in parts[2:4]]
        reason = parts[4].strip() if len(parts) > 4 else ""
        if len(wanted) != 2 or parts[1] not in ("stock", "debug", "any") \
                or not all(status in STATUSES for words in wanted for status, _ in words) \
                or (not reason and wanted != [(("pass", ""),)] * 2):
            sys.exit(f"{path}:{number}: expected 'LINE[/NIC] stock|debug|any C OURS reason', where C and "
                     f"OURS are {', '.join(STATUSES)} or several with '/', each perhaps with ':TEXT'")
        glob, _, nics = parts[0].partition("/")
        rows.append(Row(glob, nics or "*", parts[1], dict(zip(("c", "rust"), wanted)), reason))
    return rows


def judge(entry, kernel, report, rows):
    """Results of a program's lines, in order. `entry` is the case that ran it; the first
    row that fits a line holds, and a row that no line fitted is a failure."""
    suite, _, rest = entry["variant"].partition(".")
    driver, label = entry["driver"], rest.partition("/")[2]
    own = [row for row in rows if row.is_for(kernel, report["program"], label)]
    results, met = [], set()
    # Two lines of one name (tso.py has such) are told apart by a number.
    seen = {}
    for name, status, why in report["lines"]:
        seen[name] = seen.get(name, 0) + 1
        if seen[name] > 1:
            name = f"{name}:{seen[name]}"
        index = next((i for i, row in enumerate(own) if fnmatch.fnmatchcase(name, row.glob)), None)
        result = Result(f"{suite}.{name}/{label}", driver, "fail")
        if index is None:
            result.why = f"{status.upper()}, and {TABLE.name} has no row for it: {why}"
        else:
            met.add(index)
            row = own[index]
            if row.allows(driver, status, why):
                result.status = STATUSES[status]
                if status != "pass":
                    result.why = f"{row.reason} ({why})" if why else row.reason
            else:
                wanted = "/".join(word + (said and f" with {said!r}") for word, said in row.wanted[driver])
                result.why = f"{status.upper()}, but {TABLE.name} says {wanted}: {why}"
        results.append(result)
    if not report["chosen"]:
        results += [Result(f"{suite}.{row.glob}/{label}", driver, "fail",
                           f"no such line came, but {TABLE.name} has a row for it")
                    for index, row in enumerate(own) if index not in met]
    return results
