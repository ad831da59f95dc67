# SPDX-License-Identifier: GPL-2.0
"""The report as text for a terminal; also the cells that Markdown has."""

import os
import sys

import compare
import features
import gate
from scenarios import SIDES

HEAD = ("scenario", "unit", "core C", "core Rust", "ratio", "bound", "total C", "total Rust",
        "ratio", "bound", "spread", "rate", "gate")

COSTLY_SHOWN = 5


def red(text):
    plain = not sys.stdout.isatty() or os.environ.get("NO_COLOR")
    return text if plain else f"\033[31m{text}\033[0m"


def table(results):
    rows = []
    for r in results:
        mark = "" if r["same_features"] and r["same_rings"] else " (*)"
        rate, bound = r.get("rate"), gate.limits(r)
        rows.append((
            r["name"] + mark, r["unit"],
            f"{r['c']['core']:.0f}", f"{r['rust']['core']:.0f}", f"{r['ratio']['core']:.3f}",
            f"{bound['core']:.2f}",
            f"{r['c']['total']:.0f}", f"{r['rust']['total']:.0f}", f"{r['ratio']['total']:.3f}",
            f"{bound['total']:.3f}",
            f"{100 * r['spread']:.2f} %",
            f"{rate['ratio']:.2f}" if rate else "-",
            "FAIL" if r["gate"] else "ok",
        ))
    return rows


def aligned(rows):
    """Columns, the first to the left, the others to the right."""
    width = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join([row[0].ljust(width[0])] + [c.rjust(w) for c, w in zip(row[1:], width[1:])]).rstrip()
        for row in rows
    ]


def latency_table(results):
    return [("latency, ns", "p50 C", "p50 Rust", "ratio", "p99 C", "p99 Rust", "ratio")] + [
        (r["name"], *(cell for key in ("p50", "p99") for cell in (
            f"{r['c'][key]:.0f}", f"{r['rust'][key]:.0f}", f"{r['ratio'][key]:.3f}")))
        for r in results
    ]


def bypass_table(document):
    """What a frame costs without the kernel, beside AF_XDP without copies if that was measured."""
    totals = {r["name"]: [f"{r[side]['total']:.0f}" for side in SIDES] for r in document["scenarios"]}
    return [("instructions for a packet", "DPDK", "spread", "AF_XDP C", "Rust")] + [
        (r["name"], f"{r['total']:.0f}", f"{100 * r['spread']:.1f} %", *totals.get(r["beside"], ("", "")))
        for r in document["bypass"]
    ]


STATES = (("bound", "bound, down"), ("one", "up, 1 queue pair"), ("four", "up, 4 queue pairs"),
          ("per_queue", "each further queue pair"))


def memory_table(result):
    rows = [("memory, KiB", "C", "Rust", "page pools C", "Rust", "slab C", "Rust")]
    for state, label in STATES:
        rows.append((label, *(
            f"{result[side][state][key]:.0f}" for key in ("all", "page_pool", "slab") for side in SIDES
        )))
    return rows


def repeats(document):
    """How much of the report is of earlier runs; nothing of a report that does not say."""
    found = document.get("repeats")
    return (f"{found['now']} repeats were measured by this run, {found['before']} by earlier ones of the same module."
            if found else "")


def used(result):
    """That some repeats were not, and what all of them differ by."""
    return (f"{result['name']}: the lowest {result['repeats']} of {result['repeats_run']} repeats were used; the total "
            f"of all of them has a spread of {100 * result['spread_of_all']:.1f} %")


def remarks(result):
    """What a reader of the numbers has to know, or would like to."""
    out = []
    if not result["same_features"]:
        bits = features.difference(*(result[side]["features"] for side in SIDES))
        out.append(f"(*) {result['name']}: feature bits differ: {bits}")
    if not result["same_rings"]:
        out.append(f"(*) {result['name']}: ring sizes (rx, tx) differ: "
                   f"C {result['c']['rings']}, Rust {result['rust']['rings']}")
    if result["repeats"] < result["repeats_run"]:
        out.append(used(result))
    for grown in result["grown"]:
        out.append(f"{result['name']}: {grown['symbol']} grew: "
                   f"{grown['c']:.1f} -> {grown['rust']:.1f} per {result['unit']}")
    return out


def failures(document):
    """What is missing or above its bound, and where that goes: the last that is seen of a run."""
    out = [red(f"VOID: {why}") for why in document.get("void", ())]
    for r in gate.failing_first(document["scenarios"]):
        out += [red(f"ABOVE ITS BOUND {r['name']}: {sentence}") for sentence in r["gate"]]
        out += [f"  {row['rust'] - row['c']:+9.1f}  {row['symbol']} ({row['group']})" for row in costly(r)]
    return out


def costly(result):
    """What costs most beyond what it costs with C, the worst first."""
    return sorted(result["costly"], key=lambda row: row["c"] - row["rust"])[:COSTLY_SHOWN]


def summary(document):
    results = gate.failing_first(document["scenarios"])
    out = [""]
    if results:
        head, *lines = aligned([HEAD, *table(results)])
        out += [head] + [red(line) if r["gate"] else line for line, r in zip(lines, results)]
    for result in results:
        out += remarks(result)
    if document["latency"]:
        out += ["", *aligned(latency_table(document["latency"]))]
    if document["bypass"]:
        out += ["", *aligned(bypass_table(document))]
    for result in document["memory"]:
        out += ["", *aligned(memory_table(result))]
    if found := repeats(document):
        out += ["", found]
    if document["same_driver"]:
        out.append("The C driver ran on both sides: this is the noise, not a comparison.")
    if comparison := document.get("comparison"):
        out += ["", compare.text(comparison)]
    return "\n".join(out)
