# SPDX-License-Identifier: GPL-2.0
"""The report as a page of the documentation, which --publish writes."""

import about
import gate
import pace
import terminal

HEAD = ("scenario", "per", "core C", "core Rust", "ratio", "bound", "total C", "total Rust", "ratio",
        "bound", "spread", "rate")


def table(rows):
    """A simple table; the first row is its head."""
    width = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    rule = "  ".join("=" * w for w in width)
    head, *lines = terminal.aligned(rows)
    return [rule, head, rule, *lines, rule]


def section(title, mark):
    return ["", title, mark * len(title), ""]


def render(document):
    results = gate.failing_first(document["scenarios"])
    failing = [r["name"] for r in results if r["gate"]]
    command = document["command"]
    title = f"Benchmark of {document['date'][:10]}"
    out = [
        ".. SPDX-License-Identifier: GPL-2.0", "", "=" * len(title), title, "=" * len(title), "",
        "What the Rust driver costs beside the C driver; Documentation/benchmarks.rst says how it is counted. This page",
        "is made by", "", "::", "", f"    {command}", "    tools/testing/bench.sh --publish", "",
        f"Run: {document['date']}, kernel {document['kernel']}, QEMU {document['qemu'] or 'unknown'}, driver "
        f"{document['driver'] or 'unknown'}, on {document['machine'] or 'an unknown machine'}"
        + (f", in {pace.clock(document['seconds'])}." if document.get("seconds") else "."),
        *section("Instructions", "="),
        *(line for why in document.get("void", ()) for line in (f"Void, and left out: {why}.", "")),
        f"{len(results) - len(failing)} of {len(results)} scenarios are within their bounds"
        + (f"; above them: {', '.join(failing)}." if failing else "."),
        "Rate is by the clock, Rust / C, and says little under emulation.", "",
        *table([HEAD, *(row[:-1] for row in terminal.table(results))]),
    ]
    for r in results:
        if r["gate"]:
            out += ["", f"{r['name']}: {'; '.join(r['gate'])}.", *filter(None, [about.WHY.get(r["name"])]), "",
                    "What costs most there, beyond what it costs with C:", "",
                    *table([("symbol", "group", "C", "Rust")] + [
                        (f"``{row['symbol']}``", row["group"], f"{row['c']:.1f}", f"{row['rust']:.1f}")
                        for row in terminal.costly(r)])]
    if any(not (r["same_features"] and r["same_rings"]) for r in results):
        out += ["", "(*): the two drivers negotiated different features or ring sizes."]
    for r in results:
        if r["repeats"] < r["repeats_run"]:
            out += ["", f"{terminal.used(r)}."]
    out += ["", "The scenarios:", ""]
    for r in results:
        out += [r["name"], f"    {about.of(r['name']) or '(no description)'}; of the driver's own code "
                           f"{gate.own(r, 'c'):.0f} with C, {gate.own(r):.0f} with Rust"]
    if document["latency"]:
        out += section("Latency at a fixed load", "=")
        out += table(terminal.latency_table(document["latency"]))
    if document["bypass"]:
        out += section("Without the kernel", "=")
        out += table(terminal.bypass_table(document))
    for result in document["memory"]:
        out += section("Memory", "=") + table(terminal.memory_table(result))
    if (comparison := document["comparison"]) and comparison["rows"]:
        worse = [r for r in comparison["rows"] if r["verdict"] == "worse"]
        out += section("Since the report before", "=")
        out += [f"Compared with {comparison['with']}: {len(worse)} of {len(comparison['rows'])} figures are worse."]
        if comparison["same_module"]:
            out += ["The module is the same: what differs is noise, or conditions."]
    if found := terminal.repeats(document):
        out += ["", found]
    return "\n".join(out) + "\n"
