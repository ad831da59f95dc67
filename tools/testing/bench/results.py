# SPDX-License-Identifier: GPL-2.0
"""One scenario's result, from what its repeats cost."""

import re
import subprocess
from statistics import median

import gate
from counts import median_of
from scenarios import SIDES

GROWTH_SHOWN = 5.0  # instructions per packet
COSTLY_SHOWN = 12
CRATE_HASH = re.compile(r"\[[0-9a-f]{8,16}\]")


def spread(values):
    middle = median(values)
    return (max(values) - min(values)) / middle if middle else 0.0


def demangle(names):
    """Rust symbols readable, in one call, and without the crates' hashes, which every build changes."""
    names = list(names)
    tool = subprocess.run(
        ["c++filt", "--format=rust"], input="\n".join(names), capture_output=True,
        text=True, check=True,
    )
    return dict(zip(names, CRATE_HASH.sub("", tool.stdout).split("\n")))


def side_result(costs, nic):
    """One driver's figures over its repeats."""
    totals, cores = [c.total for c in costs], [c.core for c in costs]
    modules = median_of([c.by_module for c in costs])
    groups = median_of([c.by_group for c in costs])
    return {
        "driver": nic["driver"],
        "total": round(median(totals), 2),
        "core": round(median(cores), 2),
        "by_module": {m: round(v, 2) for m, v in modules.most_common() if abs(v) >= 0.01},
        "by_group": {g: round(v, 2) for g, v in groups.most_common()},
        "totals": [round(t, 2) for t in totals],
        "cores": [round(c, 2) for c in cores],
        "spread": {"total": round(spread(totals), 5), "core": round(spread(cores), 5)},
        "noisiest": noisiest(costs),
        "features": nic["features"],
        "rings": nic["rings"],
    }


def noisiest(costs, shown=6):
    """The symbols that vary most between repeats, with max - min: what to blame."""
    symbols = set().union(*(c.by_symbol for c in costs))
    ranges = []
    for symbol in symbols:
        values = [c.by_symbol.get(symbol, 0.0) for c in costs]
        ranges.append((round(max(values) - min(values), 2), symbol.name))
    return dict((name, width) for width, name in sorted(ranges, reverse=True)[:shown])


def symbol_rows(costs, drivers, groups):
    """(name, module, group, C, Rust) with the larger differences first."""
    typical = {side: median_of([c.by_symbol for c in costs[side]]) for side in SIDES}
    merged = {}
    for side in SIDES:
        for symbol, count in typical[side].items():
            # A driver's module goes by its side: the same name is the same row. A NIC beside
            # the measured one may have the other side's.
            group = groups.of(symbol, drivers[side])
            place = "driver" if symbol.module in drivers.values() else symbol.module
            row = merged.setdefault((symbol.name, place, group), dict.fromkeys(SIDES, 0.0))
            row[side] += count
    names = demangle({name for name, _, _ in merged})
    rows = [
        {"symbol": names[name], "module": place, "group": group, **row}
        for (name, place, group), row in merged.items()
        if max(abs(row[side]) for side in SIDES) >= 0.05
    ]
    return sorted(rows, key=lambda r: -abs(r["rust"] - r["c"]))


def scenario_result(scenario, costs, source, units, nics, drivers, groups):
    sides = {side: side_result(costs[side], nics[side]) for side in SIDES}
    ratio = {
        key: round(sides["rust"][key] / sides["c"][key], 4) for key in ("core", "total")
    }
    rows = symbol_rows(costs, drivers, groups)
    # Per MiB the same small change is worth what 700 packets are.
    threshold = GROWTH_SHOWN * (1 if scenario.unit == "packet" else 700)
    grown = [
        {key: round(r[key], 2) if key in SIDES else r[key] for key in ("symbol", "group", *SIDES)}
        for r in rows
        if r["module"] != "driver" and r["rust"] - r["c"] > threshold
    ]
    result = {
        "name": scenario.name,
        "unit": scenario.unit,
        "packets": units,
        "repeats": len(costs["c"]),
        **sides,
        "ratio": ratio,
        "spread": max(sides[side]["spread"]["total"] for side in SIDES),
        "same_features": len({nics[side]["features"] for side in SIDES}) == 1,
        "same_rings": len({tuple(nics[side]["rings"]) for side in SIDES}) == 1,
        "source": source,
        "grown": grown,
        "by_symbol": [
            {k: round(v, 2) if k in SIDES else v for k, v in row.items()}
            for row in sorted(rows, key=lambda r: -max(r["c"], r["rust"]))[:60]
        ],
    }
    result["bound"] = gate.limits(result)
    result["gate"] = gate.failures(result)
    result["costly"] = costly(rows, groups.core) if result["gate"] else []
    return result, rows


def costly(rows, core):
    """Where a scenario above its bound spends more than C: the kernel's symbols by what they
    grew, and the driver's functions, which have no counterpart by name, by what they cost."""
    own = [r for r in rows if r["module"] == "driver" and r["rust"] >= 1]
    grown = [r for r in rows if r["module"] != "driver" and r["rust"] - r["c"] >= 1]
    own.sort(key=lambda r: -r["rust"])
    grown.sort(key=lambda r: (r["group"] not in core, r["c"] - r["rust"]))
    return [
        {k: round(v, 2) if k in SIDES else v for k, v in row.items()}
        for row in own[:COSTLY_SHOWN] + grown[:COSTLY_SHOWN]
    ]
