# SPDX-License-Identifier: GPL-2.0
"""Pieces of the page: cells, tables, bars."""

from html import escape

import charts
from scenarios import SIDES

LEFT = ("group",)  # columns of words


def number(value):
    """To be read: no more digits than it is worth."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}"


def difference(value):
    text = number(abs(value))
    return "0" if float(text.replace(",", "")) == 0 else ("+" if value > 0 else "−") + text


def cell(text, css="", value=None, style=""):
    attributes = "".join(f' {key}="{escape(str(v), quote=True)}"' for key, v in
                         (("class", css), ("data-value", value), ("style", style)) if v not in ("", None))
    return f"<td{attributes}>{text}</td>"


def row(cells, css=""):
    return f'<tr class="{css}">{"".join(cells)}</tr>' if css else f"<tr>{''.join(cells)}</tr>"


def table(head, rows, css=""):
    heads = "".join(f'<th class="left">{h}</th>' if h in LEFT else f"<th>{escape(h)}</th>" for h in head)
    attribute = f' class="{css}"' if css else ""
    return f"<table{attribute}><thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def compared(label, c, rust, more=(), alike=True):
    """A row; red where Rust needs more, if the two are `alike`."""
    grew = rust - c
    css = "bad" if alike and grew >= 1 and grew > 0.02 * max(c, 1) else ""
    return row([label, *more, cell(number(c), value=c), cell(number(rust), value=rust),
                cell(difference(grew), css=css, value=round(grew, 2))])


def pairs(result, key, least=0.05):
    """name -> (C, Rust), the larger first."""
    c, rust = (result[side][key] for side in SIDES)
    found = {n: (c.get(n, 0), rust.get(n, 0)) for n in dict.fromkeys([*c, *rust])}
    kept = {n: v for n, v in found.items() if max(v) >= least}
    return dict(sorted(kept.items(), key=lambda item: -max(item[1])))


def groups(result, by_growth=False):
    found = pairs(result, "by_group")
    if by_growth:
        found = dict(sorted(found.items(), key=lambda item: item[1][0] - item[1][1]))
    rows = [compared(cell(f'<i class="swatch" style="background:{charts.GROUPS.get(name, "#999")}"></i>'
                          f'{escape("driver" if name == "module" else name)}'), c, rust)
            for name, (c, rust) in found.items()]
    return table(["group", "C", "Rust", "Rust − C"], rows)


def modules(result):
    drivers = [result[side]["driver"] for side in SIDES]
    found = pairs(result, "by_module")
    own = [found.pop(driver, (0, 0)) for driver in dict.fromkeys(drivers)]
    both = {"the driver’s module": (max(c for c, _ in own), max(r for _, r in own))}
    rows = [compared(cell(escape(name)), c, rust) for name, (c, rust) in {**both, **found}.items()]
    return table(["module", "C", "Rust", "Rust − C"], rows)


def symbols(rows, with_place=True, sortable=False):
    head = ["symbol", *(["group"] if with_place else []), "C", "Rust", "Rust − C"]
    body = []
    for r in rows:
        more = []
        if with_place:
            place = "driver" if r["module"] == "driver" else r["group"]
            if r["module"] not in ("driver", "vmlinux", "user"):
                place += f" [{r['module']}]"
            more = [cell(escape(place), css="soft left")]
        name = cell(f"<code>{escape(r['symbol'])}</code>", css="symbol")
        body.append(compared(name, r["c"], r["rust"], more, alike=r.get("module") != "driver"))
    return table(head, body, "sortable wide" if sortable else "")


def costly(result):
    return symbols(sorted(result["costly"], key=lambda row: row["c"] - row["rust"]))


def stack(result):
    """Both sides' bars by group, and what the colours mean."""
    whole = max(result[side]["total"] for side in SIDES)
    bars, used = [], []
    for side in SIDES:
        cells = []
        for group, colour in charts.GROUPS.items():
            value = result[side]["by_group"].get(group, 0)
            if value > 0.002 * whole:
                used.append(group)
                label = "driver" if group == "module" else group
                cells.append(f'<i style="width:{100 * value / whole:.2f}%;background:{colour}" '
                             f'title="{escape(label)}: {number(value)}"></i>')
        bars.append(f"<span>{charts.SIDE_NAMES[side]}</span><div>{''.join(cells)}</div>")
    legend = "".join(f'<span><i style="background:{charts.GROUPS[g]}"></i>{"driver" if g == "module" else escape(g)}</span>'
                     for g in charts.GROUPS if g in used)
    return f'<div class="stack">{"".join(bars)}</div><div class="legend">{legend}</div>'
