# SPDX-License-Identifier: GPL-2.0
"""The report as Markdown."""

import about
import compare
import features
import gate
import terminal
from scenarios import SIDES


def row(cells):
    return "| " + " | ".join(cells) + " |"


def table(rows):
    head, *body = rows
    return [row(head), row(["---"] + ["---:"] * (len(head) - 1)), *map(row, body)]


def render(document, drawn):
    results = gate.failing_first(document["scenarios"])
    failing = [r for r in results if r["gate"]]
    out = [
        "# virtio-net: the Rust driver beside the C driver",
        "",
        f"Guest instructions per unit (packet or MiB), {document['date']}, kernel "
        f"{document['kernel']}, {document['accel']}; `{document['command']}`. Core and total are medians over "
        "repeats, C and Rust in turn in one boot; spread is (max - min) / median of the total; bound is the highest "
        "ratio that passes; rate is Rust's packet or byte rate over C's "
        f"({document['rate_accel']}, no counting).",
    ]
    if results:
        out += ["", f"**{len(failing)} of {len(results)} scenarios above their bounds**"
                    + (": " + ", ".join(r["name"] for r in failing) if failing else "") + "."]
        out += ["", *table([terminal.HEAD, *terminal.table(results)])]
    out += [line for why in document.get("void", ()) for line in ("", f"**Void, and left out**: {why}.")]
    if found := terminal.repeats(document):
        out += ["", found]
    if document["same_driver"]:
        out += ["", "**Both sides ran the same driver**: this shows the noise floor, not a comparison."]
    out += [line for name in drawn for line in ("", f"![{name.replace('-', ' ')}]({name}.svg)")]
    if document["latency"]:
        out += ["", "## Latency", "", *table(terminal.latency_table(document["latency"]))]
    if document["bypass"]:
        out += ["", "## Without the kernel", "", *table(terminal.bypass_table(document))]
    for result in document["memory"]:
        out += ["", "## Memory", "", *table(terminal.memory_table(result))]
    if comparison := document["comparison"]:
        out += ["", "## Compared with the earlier report", "", *comparison_lines(comparison)]
    for result in results:
        out += scenario(result)
    return "\n".join(out) + "\n"


def comparison_lines(comparison):
    first, *others = compare.text(comparison).split("\n")
    return [first, *(f"- {line.strip()}" for line in others)]


def scenario(r):
    out = ["", f"## {r['name']}", ""]
    out += [f"- above the limit: {line}" for line in r["gate"]]
    if r["gate"] and r["name"] in about.WHY:
        out.append(f"- {about.WHY[r['name']]}")
    if not r["same_features"]:
        out.append(f"- (*) negotiated feature bits differ: {features.difference(r['c']['features'], r['rust']['features'])}")
    if not r["same_rings"]:
        out.append(f"- (*) ring sizes differ: C {r['c']['rings']}, Rust {r['rust']['rings']}")
    out.append(f"- {r['repeats']} of {r['repeats_run']} repeats, each {r['packets']:g} x {r['unit']}; rings of {r['c']['rings'][0]} (rx) and "
               f"{r['c']['rings'][1]} (tx); "
               f"negotiated by C: {features.names(features.set_bits(r['c']['features']))}")
    most = gate.bound_of(r["name"]).own
    out.append(f"- of the driver's own code: C {gate.own(r, 'c'):.1f}, Rust {gate.own(r):.1f}"
               + (f", at most {most}" if most else ""))
    if r["source"]:
        out.append(f"- traffic source, already taken off: total {r['source']['total']}, "
                   f"core {r['source']['core']}")
    if rate := r.get("rate"):
        out.append(f"- rate: C {rate['c']:.0f}, Rust {rate['rust']:.0f} {rate['unit']}/s, "
                   f"ratio {rate['ratio']:.3f} (spread {100 * rate['spread']:.0f} %)")
    names = [g for g in dict.fromkeys([*r["c"]["by_group"], *r["rust"]["by_group"]])
             if max(r[side]["by_group"].get(g, 0) for side in SIDES) >= 0.05]
    out += ["", *table([("group", "C", "Rust")] + [
        (g, *(f"{r[side]['by_group'].get(g, 0):.1f}" for side in SIDES)) for g in names])]
    for title, rows in (("Where it costs more than its bound allows", r["costly"]),
                        ("Kernel symbols that cost more than with C", r["grown"])):
        if rows:
            out += ["", f"{title}:", "", *table([("symbol", "C", "Rust")] + [
                (f"`{g['symbol']}`", f"{g['c']:.1f}", f"{g['rust']:.1f}") for g in rows])]
    return out
