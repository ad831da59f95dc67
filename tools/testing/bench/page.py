# SPDX-License-Identifier: GPL-2.0
"""The report as one page that needs nothing else: no network, no other file."""

from html import escape
from pathlib import Path
from statistics import median
from string import Template

import about
import charts
import features
import gate
import page_parts as parts
import terminal
from page_parts import cell, number, row, table
from scenarios import SIDES

HERE = Path(__file__).resolve().parent / "page"
DOCUMENTATION = "../../Documentation/benchmarks.rst"

CAPTIONS = {
    "ratios": "What a packet costs with the Rust driver, in terms of what it costs with the C driver.",
    "instructions": "Where the instructions go. Cool colours are core: the driver's own code and the "
                    "kernel's ring, DMA, page pool, AF_XDP and XDP code. Warm colours are the rest.",
    "frame-sizes": "What longer frames change. 64 and 512 are bytes on the wire, 1500 is the largest "
                   "frame of the usual MTU.",
    "queues": "Frames go out by each queue in turn, in a guest with one processor: this shows rings and "
              "batches of their own, not processors beside each other.",
    "latency": "Frames at random times at a fixed load, the same times for both drivers. Counted from the "
               "time that a frame was meant to be sent at, on a processor that does one instruction in a "
               "nanosecond. The sender's work is in it, the same for both.",
    "memory": "What an interface takes, beside the same device unbound, before any traffic.",
}


def render(document, drawn):
    """HTML."""
    if document["comparison"] and not document["comparison"]["rows"]:
        document = {**document, "comparison": None}  # with a report that has nothing in common
    body = "\n".join(filter(None, (
        header(document), tiles(document), failures(document), overview(document, drawn),
        scaling(drawn), latency(document, drawn), bypass(document), memory(document, drawn),
        comparison(document), scenarios(document), method(document),
    )))
    return Template((HERE / "page.html").read_text()).substitute(
        date=escape(document["date"]), css=(HERE / "page.css").read_text().strip(),
        script=(HERE / "page.js").read_text().strip(), body=body)


def figure(drawn, name):
    if name not in drawn:
        return ""
    caption = CAPTIONS[name]
    return (f"<figure>{charts.inline(drawn[name], escape(caption, quote=True))}"
            f"<figcaption>{escape(caption)}</figcaption></figure>")


def header(document):
    facts = [("", document["date"]), ("kernel", document["kernel"]),
             ("driver", document["driver"]), ("QEMU", document["qemu"]), ("on", document["machine"]),
             ("by", document["command"])]
    shown = " ".join(f"<span>{escape(k)} <b>{escape(v)}</b></span>" for k, v in facts if v)
    links = [("scenarios", "all", document["scenarios"]), ("frame sizes and queues", "scaling", "scaling" in sections(document)),
             ("latency", "latency", document["latency"]), ("without the kernel", "bypass", document["bypass"]),
             ("memory", "memory", document["memory"]),
             ("comparison", "comparison", document["comparison"]), ("by scenario", "each", document["scenarios"]),
             ("method", "method", True)]
    nav = " ".join(f'<a href="#{to}">{text}</a>' for text, to, there in links if there)
    noise = ('<p class="warn">The C driver ran on both sides: this shows the noise, not a comparison.</p>'
             if document["same_driver"] else "")
    return (f'<h1>virtio-net: the Rust driver beside the C driver</h1><p class="facts">{shown}</p>{noise}'
            '<p>How many instructions a guest executes for a packet, with each of the two drivers on the same '
            'device. <b>Core</b> is what a driver answers for: its own code and the kernel\'s code for rings, '
            'DMA, page pools, XDP and AF_XDP. <b>Total</b> is everything that the guest executes. A ratio below '
            f'1 means that the Rust driver needs less.</p><nav>{nav}</nav>')


def sections(document):
    names = [r["name"] for r in document["scenarios"]]
    sizes = about.families(names, about.SIZE, about.SMALL)
    return {"scaling"} if sizes or about.families(names, about.QUEUES) else set()


def tiles(document):
    results = document["scenarios"]
    failed = [r for r in results if r["gate"]]
    shown = []
    if results:
        word = "are" if len(results) != 1 else "is"
        shown.append(("bad", f"{len(failed)} of {len(results)}", "scenarios above their bounds") if failed else
                     ("good", f"{len(results)} of {len(results)}", f"{word} within the bounds"))
        for what in ("core", "total"):
            values = sorted(r["ratio"][what] for r in results)
            extent = f"{values[0]:.2f} – {values[-1]:.2f}" if len(values) > 1 else f"{values[0]:.3f}"
            shown.append(("", extent, f"{what}, Rust / C; the median is {median(values):.2f}"))
    if void := document.get("void"):
        shown.append(("bad", str(len(void)), "repeats or guests void, and left out"))
    if found := document["comparison"]:
        worse = sum(r["verdict"] == "worse" for r in found["rows"])
        better = sum(r["verdict"] == "better" for r in found["rows"])
        shown.append(("bad" if worse else "good", f"{worse} worse, {better} better",
                      f"of {len(found['rows'])} figures, since {found['with']}"))
    return '<div class="tiles">' + "".join(
        f'<div class="tile {kind}"><strong>{escape(big)}</strong><span>{escape(small)}</span></div>'
        for kind, big, small in shown) + "</div>"


def failures(document):
    failed = [r for r in gate.failing_first(document["scenarios"]) if r["gate"]]
    out = [f'<p class="bad">Void, and left out: {escape(why)}.</p>' for why in document.get("void", ())]
    if failed:
        out.append('<h2 id="failures" class="bad">Above their bounds</h2>')
    for r in failed:
        bound = gate.limits(r)
        above = [f"{what} {r['ratio'][what]:.3f} of C’s, at most {bound[what]:.3f} is allowed"
                 for what in bound if r["ratio"][what] > bound[what]]
        sentences = "; ".join(above or r["gate"])
        out.append(f'<section class="failure"><h3>{escape(r["name"])}: {escape(sentences)}</h3>'
                   f'<p>{escape(about.of(r["name"]))}</p>{why(r)}<div class="columns">'
                   f'<div><h4>By group, Rust’s growth first</h4>{parts.groups(r, by_growth=True)}</div>'
                   f'<div><h4>Symbols that cost</h4>{parts.costly(r)}<p class="note">The driver’s own functions have no '
                   'counterparts by name in C: how much they grew is the row “driver” by group.</p></div></div></section>')
    return "\n".join(out)


def why(result):
    known = about.WHY.get(result["name"])
    return f"<p>{escape(known)}</p>" if known else ""


def overview(document, drawn):
    results = gate.failing_first(document["scenarios"])
    if not results:
        return ""
    rates = any(r.get("rate") for r in results)
    head = ('<thead><tr><th></th><th></th><th class="group" colspan="4">core</th>'
            '<th class="group" colspan="4">total</th><th></th>' + ("<th></th>" if rates else "") +
            '<th></th></tr><tr><th>scenario</th><th class="left">per</th>' +
            "<th>C</th><th>Rust</th><th>Rust / C</th><th>bound</th>" * 2 + "<th>spread</th>" +
            ("<th>rate</th>" if rates else "") + "<th></th></tr></thead>")
    rows = [overview_row(r, rates) for r in results]
    note = ("<p class=\"note\">Spread is (max − min) / median of the total over the repeats used. A total without a "
            "bound of its own may be 1 plus the spread, of which at most 1 % counts."
            + (f" Rate is the ratio of packet or byte rates by the clock ({escape(document['rate_accel'])}), which "
               "under emulation shows gross faults only." if rates else "")
            + (" (*): the two drivers negotiated different features or ring sizes."
               if any(not (r["same_features"] and r["same_rings"]) for r in results) else "")
            + " A click on a column’s head sorts.</p>")
    return (f'<h2 id="all">All scenarios</h2>{figure(drawn, "ratios")}<div class="scroll">'
            f'<table class="sortable wide">{head}<tbody>{"".join(rows)}</tbody></table></div>{note}'
            f'<h2 id="instructions">Where the instructions go</h2>{figure(drawn, "instructions")}')


def overview_row(r, rates):
    bound = gate.limits(r)
    mark = "" if r["same_features"] and r["same_rings"] else " (*)"
    cells = [cell(f'<a href="#s-{escape(r["name"])}">{escape(r["name"])}</a>{mark}'
                  f'<span class="about">{escape(about.of(r["name"]))}</span>', value=r["name"]),
             cell(r["unit"], css="left")]
    for what in ("core", "total"):
        ratio, bad = r["ratio"][what], r["ratio"][what] > bound[what]
        cells += [cell(number(r["c"][what]), value=r["c"][what]),
                  cell(number(r["rust"][what]), value=r["rust"][what]),
                  cell(f"{ratio:.3f}", css="ratio bad" if bad else "ratio",
                       style=f"--size:{min(100 * ratio / 1.25, 100):.0f}%"),
                  cell(f"{bound[what]:.3f}".rstrip("0").ljust(4, "0"), css="soft")]
    cells.append(cell(f"{100 * r['spread']:.2f} %", css="soft"))
    if rates:
        cells.append(cell(f"{r['rate']['ratio']:.2f}" if r.get("rate") else "–", css="soft"))
    cells.append(cell('<span class="mark bad">above</span>' if r["gate"] else '<span class="mark good">within</span>'))
    return row(cells, css="failed" if r["gate"] else "")


def scaling(drawn):
    pictures = figure(drawn, "frame-sizes") + figure(drawn, "queues")
    return f'<h2 id="scaling">Frame sizes and queues</h2>{pictures}' if pictures else ""


def latency(document, drawn):
    results = document["latency"]
    if not results:
        return ""
    head = ["", "load", "busy C", "Rust"] + [h for key in ("median", "99 %") for h in (f"{key} C", "Rust", "Rust / C")]
    rows = []
    for r in results:
        values = [cell(f'{escape(r["name"])}<span class="about">{escape(about.of(r["name"]))}</span>'),
                  cell(f"{1e6 / r['gap']:,.0f} k/s"),
                  *(cell(f"{100 * r[side]['busy']:.0f} %") for side in SIDES)]
        for key in ("p50", "p99"):
            values += [*(cell(number(r[side][key])) for side in SIDES), cell(f"<b>{r['ratio'][key]:.3f}</b>")]
        rows.append(row(values))
    return (f'<h2 id="latency">Latency at a fixed load</h2>{figure(drawn, "latency")}'
            f'<div class="scroll">{table(head, rows)}</div><p class="note">In nanoseconds of guest time, which are '
            'instructions. It shows the length of the way and the waiting behind other frames; it cannot show caches, '
            'interrupts of a real machine, or what a hypervisor adds.</p>')


def bypass(document):
    if not document["bypass"]:
        return ""
    head, *rows = terminal.bypass_table(document)
    lines = [row([cell(f'{escape(name)}<span class="about">{escape(about.of(name))}</span>'), *(cell(v) for v in values)])
             for name, *values in rows]
    return (f'<h2 id="bypass">Without the kernel</h2><div class="scroll">{table(["", *head[1:]], lines)}</div>'
            '<p class="note">The same device, driven by DPDK in a process that does nothing else: what a frame costs '
            'there in instructions, without the search for frames in vain. A driver in the kernel has more to do for it, and a processor that can '
            'sleep and a kernel that goes on using the device in return.</p>')


def memory(document, drawn):
    out = []
    for r in document["memory"]:
        head = ["", "C", "Rust", "page pools C", "Rust", "slab C", "Rust", "rest C", "Rust"]
        rows = []
        for state, label in (*charts.MEMORY_STATES, ("per_queue", "each further queue pair")):
            rows.append(row([cell(label)] + [
                cell(f"{value:,.0f}") for key in ("all", "page_pool", "slab", "rest") for side in SIDES
                for value in [{**r[side][state], **charts.memory_parts(r[side][state])}[key]]]))
        out.append(f'<h2 id="memory">Memory</h2>{figure(drawn, "memory")}<div class="scroll">{table(head, rows)}</div>'
                   '<p class="note">In KiB: pages less free than with the device unbound. The rest are rings, '
                   'large allocations, and what processors have of their own. Where four queue pairs take no more than one, the '
                   'driver has filled the rings of those that are not in use as well.</p>')
    return "".join(out)


def comparison(document):
    found = document["comparison"]
    if not found:
        return ""
    rows = [r for r in found["rows"] if r["verdict"] != "same"]
    order = {"worse": 0, "better": 1, "both": 2}
    words = {"worse": '<span class="mark bad">worse</span>', "better": '<span class="mark good">better</span>',
             "both": '<span class="soft">moved, and C’s with it</span>'}
    body = [row([cell(escape(r["name"])), cell(r["what"], css="left"), cell(number(r["before"])), cell(number(r["now"])),
                 cell(f"{100 * r['growth']:+.2f} %"), cell(f"{100 * r['threshold']:.2f} %", css="soft"),
                 cell(words[r["verdict"]], css="left")], css="failed" if r["verdict"] == "worse" else "")
            for r in sorted(rows, key=lambda r: order[r["verdict"]])]
    same = len(found["rows"]) - len(rows)
    notes = list(found["notes"])
    if found["same_module"]:
        notes.insert(0, "the module is the same: what differs is noise, or conditions")
    listed = table(["scenario", "", "before", "now", "growth", "told apart above", ""], body) if rows else ""
    return (f'<h2 id="comparison">Compared with the earlier report</h2><p>Each figure of the Rust driver beside that '
            f'of {escape(found["with"])}. Worse is what grew beyond the spread, both by itself and as a ratio to the '
            f'C driver. {same} of {len(found["rows"])} figures are the same within their spread.</p>'
            + "".join(f'<p class="note">Note: {escape(n)}.</p>' for n in notes)
            + f'<div class="scroll">{listed}</div>')


def scenarios(document):
    if not document["scenarios"]:
        return ""
    out = ['<h2 id="each">By scenario</h2><p class="note">Groups, modules and symbols, in instructions per packet or '
           'MiB. Functions of the drivers have no counterparts by name.</p>']
    for r in gate.failing_first(document["scenarios"]):
        css = "failed" if r["gate"] else ""
        out.append(
            f'<details id="s-{escape(r["name"])}" class="{css}"><summary><span class="name {"bad" if css else ""}">'
            f'{escape(r["name"])}</span><span class="soft">{escape(about.of(r["name"]))}</span><span class="numbers">core '
            f'{r["ratio"]["core"]:.3f}, total {r["ratio"]["total"]:.3f}</span></summary><div class="inside">'
            f'{scenario(r)}</div></details>')
    return "\n".join(out)


def scenario(r):
    facts = [f"{r['repeats']} of {r['repeats_run']} repeats were used, each of {r['packets']:,g} × {r['unit']}",
             f"rings of {r['c']['rings'][0]} (receive) and {r['c']['rings'][1]} (transmit)"]
    if r["source"]:
        facts.append(f"the traffic’s source is taken off: {number(r['source']['total'])} in total, "
                     f"{number(r['source']['core'])} of core")
    if rate := r.get("rate"):
        facts.append(f"rate {rate['c']:,.0f} with C, {rate['rust']:,.0f} with Rust ({rate['unit']}/s, "
                     f"spread {100 * rate['spread']:.0f} %)")
    if not r["same_features"]:
        facts.append("feature bits differ: " + features.difference(r["c"]["features"], r["rust"]["features"]))
    if not r["same_rings"]:
        facts.append(f"ring sizes differ: C {r['c']['rings']}, Rust {r['rust']['rings']}")
    negotiated = features.names(features.set_bits(r["c"]["features"]))
    above = "".join(f'<p class="bad">Above its bound: {escape(s)}</p>' for s in r["gate"])
    grown = ""
    if r["grown"]:
        grown = ('<h4>Symbols of the kernel that cost more than with C</h4>'
                 + parts.symbols(r["grown"], with_place=False))
    return (f'{above}<p class="note">{escape("; ".join(facts))}.</p>{parts.stack(r)}<div class="columns">'
            f'<div><h4>By group</h4>{parts.groups(r)}</div><div><h4>By module</h4>{parts.modules(r)}{grown}</div></div>'
            f'<details><summary>By symbol: the {len(r["by_symbol"])} that cost most</summary><div class="inside">'
            f'<div class="scroll">{parts.symbols(r["by_symbol"], sortable=True)}</div></div></details>'
            f'<p class="note">Negotiated by C: {escape(negotiated)}</p>')


def method(document):
    return (f'<h2 id="method">How this was counted</h2><p>A plugin of QEMU’s emulator counts every instruction that the '
            'guest executes between two marks around the traffic, with the C and the Rust driver bound to the same '
            'device in turn, in one boot; the figures are medians of the repeats, without the traffic’s source. Core '
            'counts repeat to a fraction of a percent on any machine, but for TCP, whose counts depend on how segments '
            'meet; times under emulation say little. Counts say '
            f'nothing of caches and stalls. <a href="{DOCUMENTATION}">Documentation/benchmarks.rst</a> has the '
            'whole method and its limits.</p>'
            f'<p class="note">Made from report.json, {escape(document["accel"])}. {terminal.repeats(document)}</p>')
