# SPDX-License-Identifier: GPL-2.0
"""Results as JSON, Markdown, a terminal table and the gate."""

import json
import subprocess
from statistics import median

import features
from counts import median_of
from scenarios import SIDES

CORE_LIMIT = 1.05
TOTAL_SLACK_CAP = 0.01
GROWTH_SHOWN = 5.0  # instructions per packet
DRIVER_GROUP = "module"


def spread(values):
    middle = median(values)
    return (max(values) - min(values)) / middle if middle else 0.0


def demangle(names):
    """Rust symbols readable, in one call."""
    names = list(names)
    tool = subprocess.run(
        ["c++filt", "--format=rust"], input="\n".join(names), capture_output=True,
        text=True, check=True,
    )
    return dict(zip(names, tool.stdout.split("\n")))


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
            # A driver's module goes by its side: the same name is the same row.
            group = groups.of(symbol, drivers[side])
            place = "driver" if symbol.module == drivers[side] else symbol.module
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
    result["gate"] = gate(result)
    return result, rows


def gate(result):
    """What is above the limits, as sentences; empty when it passes."""
    slack = min(result["spread"], TOTAL_SLACK_CAP)
    failures = []
    if result["ratio"]["core"] > CORE_LIMIT:
        failures.append(f"core ratio {result['ratio']['core']:.4f} > {CORE_LIMIT:.2f}")
    if result["ratio"]["total"] > 1 + slack:
        failures.append(f"total ratio {result['ratio']['total']:.4f} > {1 + slack:.4f}")
    return failures


HEAD = ("scenario", "unit", "core C", "core Rust", "ratio", "total C", "total Rust",
        "ratio", "spread", "rate", "gate")


def table(results):
    rows = [HEAD]
    for r in results:
        mark = "" if r["same_features"] and r["same_rings"] else " (*)"
        rate = r.get("rate")
        rows.append((
            r["name"] + mark, r["unit"],
            f"{r['c']['core']:.0f}", f"{r['rust']['core']:.0f}", f"{r['ratio']['core']:.3f}",
            f"{r['c']['total']:.0f}", f"{r['rust']['total']:.0f}", f"{r['ratio']['total']:.3f}",
            f"{100 * r['spread']:.2f} %",
            f"{rate['ratio']:.2f}" if rate else "-",
            "FAIL" if r["gate"] else "ok",
        ))
    return rows


def text_table(results):
    rows = table(results)
    width = [max(len(row[i]) for row in rows) for i in range(len(HEAD))]
    lines = []
    for row in rows:
        cells = [row[0].ljust(width[0])] + [c.rjust(w) for c, w in zip(row[1:], width[1:])]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def markdown_row(cells):
    return "| " + " | ".join(cells) + " |"


def markdown(report):
    results = report["scenarios"]
    rows = table(results)
    out = [
        "# virtio-net: the Rust driver beside the C driver",
        "",
        f"Guest instructions per unit (packet or MiB), {report['date']}, kernel "
        f"{report['kernel']}, {report['accel']}; `{report['command']}`. Core and total are medians over "
        "repeats, C and Rust in turn in one boot; spread is (max - min) / median of the total; rate is "
        f"Rust's packet or byte rate over C's ({report['rate_accel']}, no counting).",
        "",
        markdown_row(rows[0]),
        markdown_row(["---"] + ["---:"] * (len(HEAD) - 1)),
        *map(markdown_row, rows[1:]),
        "",
        "![where the instructions go](report.png)",
    ]
    if report["same_driver"]:
        out += ["", "**Both sides ran the same driver**: this shows the noise floor, not a comparison."]
    for r in results:
        out += ["", f"## {r['name']}", ""]
        out += [f"- above the limit: {line}" for line in r["gate"]]
        if not r["same_features"]:
            out.append(f"- (*) negotiated feature bits differ: {features.difference(r['c']['features'], r['rust']['features'])}")
        if not r["same_rings"]:
            out.append(f"- (*) ring sizes differ: C {r['c']['rings']}, Rust {r['rust']['rings']}")
        out.append(f"- {r['repeats']} of {r['repeats_run']} repeats, each {r['packets']:g} x {r['unit']}; rings of {r['c']['rings'][0]} (rx) and "
                   f"{r['c']['rings'][1]} (tx); "
                   f"negotiated by C: {features.names(features.set_bits(r['c']['features']))}")
        if r["source"]:
            out.append(f"- traffic source, already taken off: total {r['source']['total']}, "
                       f"core {r['source']['core']}")
        if rate := r.get("rate"):
            out.append(f"- rate: C {rate['c']:.0f}, Rust {rate['rust']:.0f} {rate['unit']}/s, "
                       f"ratio {rate['ratio']:.3f} (spread {100 * rate['spread']:.0f} %)")
        out += ["", "| group | C | Rust |", "| --- | ---: | ---: |"]
        names = [g for g in dict.fromkeys([*r["c"]["by_group"], *r["rust"]["by_group"]])
                 if max(r[side]["by_group"].get(g, 0) for side in SIDES) >= 0.05]
        out += [markdown_row([g, f"{r['c']['by_group'].get(g, 0):.1f}",
                              f"{r['rust']['by_group'].get(g, 0):.1f}"]) for g in names]
        if r["grown"]:
            out += ["", "Kernel symbols that cost more than with C:", "",
                    "| symbol | C | Rust |", "| --- | ---: | ---: |"]
            out += [markdown_row([f"`{g['symbol']}`", f"{g['c']:.1f}", f"{g['rust']:.1f}"])
                    for g in r["grown"]]
    return "\n".join(out) + "\n"


def write(report, out):
    (out / "report.json").write_text(json.dumps(report, indent=1) + "\n")
    (out / "report.md").write_text(markdown(report))
