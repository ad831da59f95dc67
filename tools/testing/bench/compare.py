# SPDX-License-Identifier: GPL-2.0
"""What got worse from one report to another, beyond what repeats differ by.

Two reports may come of different kernels or versions of QEMU. So what grew beyond the spread is
not worse if the C driver grew likewise: if it did beyond its own, and the ratio of both did not.
"""

import json
import sys
from dataclasses import dataclass

LATEST = "latest.json"
KINDS = ("scenarios", "latency", "memory")
# What is never told apart, however alike the repeats were.
FLOOR = {"core": 0.001, "total": 0.002, "p50": 0.002, "p99": 0.01, "one queue": 0.02,
         "four queues": 0.02}


@dataclass(frozen=True)
class Measure:
    rust: float
    c: float
    spread: float  # of Rust's repeats
    spread_c: float
    unit: str


def measures(document):
    """(name, what) -> Measure, for all that a report has."""
    found = {}
    for r in document["scenarios"]:
        for what in ("core", "total"):
            found[r["name"], what] = Measure(
                r["rust"][what], r["c"][what], r["rust"]["spread"][what],
                r["c"]["spread"][what], f"instructions/{r['unit']}")
    for r in document.get("latency", []):
        for what in ("p50", "p99"):
            found[r["name"], what] = Measure(
                r["rust"][what], r["c"][what], r["rust"]["spread"][what],
                r["c"]["spread"][what], r["unit"])
    for r in document.get("memory", []):
        for state, what in (("one", "one queue"), ("four", "four queues")):
            rust, c = (r[side][state]["all"] for side in ("rust", "c"))
            found[r["name"], what] = Measure(
                rust, c, r["rust"]["spread"][state], r["c"]["spread"][state], r["unit"])
    return found


def verdict(what, old, new):
    """("worse" | "better" | "same" | "both", growth, its threshold)"""
    if not old.rust or not old.c or not new.c:
        return "same", 0.0, 0.0
    threshold = max(old.spread, new.spread, FLOOR[what])
    of_ratio = max(threshold, old.spread_c, new.spread_c)
    growth = new.rust / old.rust - 1
    growth_of_c = new.c / old.c - 1
    of_c = max(old.spread_c, new.spread_c, FLOOR[what])
    ratio_growth = (new.rust / new.c) / (old.rust / old.c) - 1
    if growth > threshold:
        return ("both" if ratio_growth <= of_ratio and growth_of_c > of_c else "worse"), growth, threshold
    if growth < -threshold:
        return ("both" if ratio_growth >= -of_ratio and growth_of_c < -of_c else "better"), growth, threshold
    return "same", growth, threshold


def is_kept(result, document, earlier, its_document):
    """Whether a result was not measured by this run but is that earlier one: kept from a run that ended. One that
    was broken off has left what it measured too, which is of another module then, and new."""
    return not result.get("fresh", True) and \
        earlier.get("module", its_document.get("module")) == document.get("module")


def compare(old, new):
    """Of what both have, in the order of the new one."""
    before, rows, notes = measures(old), [], []
    origin = {r["name"]: r for kind in KINDS for r in old.get(kind, [])}
    later = {r["name"]: r for kind in KINDS for r in new.get(kind, [])}
    reused = [name for name, r in later.items() if name in origin and is_kept(r, new, origin[name], old)]
    if reused:
        notes.append(f"not measured again, and so not compared: {', '.join(reused)}")
    for (name, what), now in measures(new).items():
        then = before.get((name, what))
        if not then or name in reused:
            continue
        if then.unit != now.unit:
            notes.append(f"{name}: counted by {then.unit} before, by {now.unit} now")
            continue
        word, growth, threshold = verdict(what, then, now)
        rows.append({
            "name": name, "what": what, "unit": now.unit, "verdict": word,
            "before": then.rust, "now": now.rust, "growth": round(growth, 5),
            "threshold": round(threshold, 5),
            "c_before": then.c, "c_now": now.c, "date": origin[name].get("date", old["date"]),
            "same_module": new.get("module") is not None and
                origin[name].get("module", old.get("module")) == new["module"],
        })
    for key in ("kernel", "qemu"):
        if old.get(key) and old[key] != new.get(key):
            notes.append(f"{key}: {old[key]} before, {new.get(key)} now")
    used = sorted({row["date"] for row in rows})
    return {
        "with": " to ".join(dict.fromkeys((used[0], used[-1]))) if used else old["date"],
        "same_module": bool(rows) and all(row["same_module"] for row in rows),
        "rows": rows, "notes": notes,
    }


def of(comparison, *verdicts):
    return [row for row in comparison["rows"] if row["verdict"] in verdicts]


def line(row):
    words = {"worse": "worse", "better": "better", "both": "moved, and C's with it"}
    return (f"{row['name']} {row['what']}: {row['before']:.0f} -> {row['now']:.0f} {row['unit']} "
            f"({100 * row['growth']:+.2f} %, told apart above {100 * row['threshold']:.2f} %): "
            f"{words.get(row['verdict'], 'same')}")


def text(comparison):
    """The comparison for a terminal."""
    rows = comparison["rows"]
    if not rows:
        return "Nothing in common with the earlier report."
    worse = of(comparison, "worse")
    out = [f"Compared with {comparison['with']}: {len(rows)} figures, {len(worse)} worse, "
           f"{len(of(comparison, 'better'))} better, {len(of(comparison, 'both'))} moved with C's."]
    if comparison["same_module"]:
        out.append("The module is the same: what differs is noise, or conditions.")
    out += [f"  {line(row)}" for row in (*worse, *of(comparison, "better", "both"))]
    return "\n".join(out + [f"  note: {note}" for note in comparison["notes"]])


# The latest result of each scenario, whatever else its run had.

def latest(folder):
    try:
        return json.loads((folder / LATEST).read_text())
    except (OSError, ValueError):
        return None


def remember(folder, document):
    """With each scenario's date and module, as runs need not have the same scenarios."""
    old = latest(folder) or {}
    merged = {k: v for k, v in document.items() if k != "comparison"}
    origin = {key: document[key] for key in ("date", "module")}
    for kind in KINDS:
        by_name = {r["name"]: r for r in old.get(kind, [])}
        by_name.update((r["name"], {**r, **origin}) for r in document[kind]
                       if r["name"] not in by_name or not is_kept(r, document, by_name[r["name"]], old))
        merged[kind] = list(by_name.values())
    fresh = folder / (LATEST + ".new")
    fresh.write_text(json.dumps(merged, indent=1) + "\n")
    fresh.rename(folder / LATEST)


def main(old_path, new_path=None, default=None):
    """Status: 0 nothing got worse, 1 something did or stayed void, 2 nothing can be compared."""
    documents = []
    for path in (old_path, new_path or default):
        try:
            with open(path) as file:
                document = json.load(file)
            document["scenarios"], document["date"]
            if document.get("same_driver"):
                raise ValueError("it has the C driver on both sides")
            documents.append(document)
        except (OSError, ValueError, KeyError, TypeError) as error:
            print(f"bench: {path} is no report: {error}", file=sys.stderr)
            return 2
    comparison = compare(*documents)
    print(text(comparison))
    old, new = ({r["name"] for kind in KINDS for r in document.get(kind, [])} for document in documents)
    if old - new:
        print(f"Only in the earlier report: {', '.join(sorted(old - new))}")
    lost = documents[1].get("void", ())
    for why in lost:
        print(f"Void in the later one: {why}")
    if not comparison["rows"]:
        return 2
    return 1 if lost or of(comparison, "worse") else 0
