# SPDX-License-Identifier: GPL-2.0
"""The pictures, as SVG that takes the colours of the page that it is in."""

import io
import re

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

import about
import gate
from scenarios import SIDES

# Cool colours make up core; first what the driver itself does.
GROUPS = {
    "module": "#1f5fa8",
    "virtio_ring": "#4c94d3",
    "dma": "#8fc3ea",
    "page_pool": "#2a9d8f",
    "xsk": "#6d55b3",
    "xdp": "#a78bdc",
    "skb/slab": "#d9822b",
    "net-core": "#e6b450",
    "other": "#b9ab92",
    "user": "#cfc7b8",
    "source": "#ddd8cc",
}
SIDE_COLOURS = {"c": "#868e99", "rust": "#c4571b"}
SIDE_NAMES = {"c": "C", "rust": "Rust"}
BAD = "#cf2e2e"
# Stand for the page's own, in SVG that is part of it.
TEXT, LINE, BACK = "#111213", "#c1c2c3", "#fefdfc"
PAGE_COLOURS = {TEXT: "currentColor", LINE: "var(--line)", BACK: "var(--back)"}
WIDTH = 9.0
NAMES = ("ratios", "instructions", "frame-sizes", "queues", "latency", "memory")

STYLE = {
    "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 9, "text.color": TEXT,
    "axes.edgecolor": LINE, "axes.labelcolor": TEXT, "xtick.color": LINE, "ytick.color": LINE,
    "xtick.labelcolor": TEXT, "ytick.labelcolor": TEXT, "axes.spines.top": False,
    "axes.spines.right": False, "axes.grid": True, "axes.axisbelow": True, "grid.color": LINE,
    "grid.linewidth": 0.5, "axes.titlesize": 9, "legend.frameon": False,
}


def draw(document):
    """Name -> SVG, for what the document has."""
    results = document["scenarios"]
    names = {r["name"]: r for r in results}
    pictures = {}
    with plt.rc_context(STYLE):
        if results:
            pictures["ratios"] = svg("ratios", ratios(gate.failing_first(results)))
            chosen = [names[n] for n in about.leading(list(names))]
            pictures["instructions"] = svg("instructions", instructions(chosen))
        sizes = about.families(names, about.SIZE, about.SMALL)
        queues = about.families(names, about.QUEUES)
        if sizes:
            pictures["frame-sizes"] = svg("frame-sizes", scaling(names, sizes, "bytes of a frame"))
        if queues:
            pictures["queues"] = svg("queues", scaling(names, queues, "queues"))
        if document["latency"]:
            pictures["latency"] = svg("latency", latency(document["latency"]))
        if document["memory"]:
            pictures["memory"] = svg("memory", memory(document["memory"][0]))
    return pictures


def svg(name, figure):
    file = io.StringIO()
    with plt.rc_context({"svg.hashsalt": name}):
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    plt.close(figure)
    text = file.getvalue()
    text = text[text.index("<svg"):]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.S)
    # Several in one page: each name is had once.
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'(url\(|href=")#', rf"\1#{name}-", text)
    text = re.sub(r' (width|height)="[\d.]+pt"', "", text, count=2)
    return text


def standalone(text):
    """A file of its own, to be seen on any ground."""
    head = text.index(">") + 1
    return text[:head] + '<rect width="100%" height="100%" fill="white"/>' + text[head:]


def inline(text, label):
    """Part of a page, with its colours."""
    for colour, own in PAGE_COLOURS.items():
        text = text.replace(colour, own)
    text = re.sub(r' (xmlns(:xlink)?|version)="[^"]*"', "", text)
    return text.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)


def horizontal(rows, size, margin=0.9):
    height = rows * size + margin
    figure, axis = plt.subplots(figsize=(WIDTH, height), layout="constrained")
    axis.grid(axis="y", visible=False)
    axis.invert_yaxis()
    axis.tick_params(axis="y", length=0)
    axis.spines["left"].set_visible(False)
    return figure, axis


def ratios(results):
    """A dot for core, a ring for total, and a mark where core's bound is."""
    figure, axis = horizontal(len(results), 0.26)
    for y, r in enumerate(results):
        bound, bad = gate.limits(r), bool(r["gate"])
        colour = BAD if bad else SIDE_COLOURS["rust"]
        core, total = r["ratio"]["core"], r["ratio"]["total"]
        axis.plot([core, total], [y, y], color=LINE, lw=1.5, zorder=1)
        axis.plot(total, y, "o", ms=6, mfc=BACK, mec=colour, mew=1.4, zorder=2)
        axis.plot(core, y, "o", ms=6, color=colour, zorder=3)
        axis.plot(bound["core"], y, "|", ms=11, mew=1.8, color=TEXT, zorder=2)
    axis.axvline(1, color=SIDE_COLOURS["c"], lw=1.2)
    axis.set_yticks(range(len(results)), [r["name"] for r in results])
    axis.set_ylim(len(results) - 0.4, -0.6)
    low = min(min(r["ratio"].values()) for r in results)
    high = max(max(r["ratio"].values()) for r in results)
    axis.set_xlim(min(0.4, low - 0.05), max(1.12, high + 0.05))
    axis.set_xlabel("Rust / C, instructions; left of 1 is less work than the C driver's")
    handles = [
        plt.Line2D([], [], marker="o", ls="", color=SIDE_COLOURS["rust"], label="core"),
        plt.Line2D([], [], marker="o", ls="", mfc=BACK, mec=SIDE_COLOURS["rust"], mew=1.4, label="total"),
        plt.Line2D([], [], marker="|", ls="", ms=11, mew=1.8, color=TEXT, label="bound of core"),
    ]
    if any(r["gate"] for r in results):
        handles.append(plt.Line2D([], [], marker="o", ls="", color=BAD, label="above its bound"))
    figure.legend(handles=handles, loc="outside upper right", ncols=len(handles), fontsize=8)
    return figure


def used_groups(results):
    return [g for g in GROUPS if any(
        r[side]["by_group"].get(g, 0) > 0.004 * r[side]["total"] for r in results for side in SIDES)]


def instructions(results):
    """Both drivers' bars by group, each pair with C's total as its unit."""
    groups = used_groups(results)
    figure, axis = horizontal(len(results), 0.5)
    for row, r in enumerate(results):
        for at, side in ((-0.2, "c"), (0.2, "rust")):
            left = 0.0
            for group in groups:
                # Differences of runs can leave a hair below zero.
                width = max(r[side]["by_group"].get(group, 0.0), 0.0) / r["c"]["total"]
                axis.barh(row + at, width, 0.34, left=left, color=GROUPS[group], linewidth=0)
                left += width
            axis.text(left + 0.008, row + at, f"{SIDE_NAMES[side]} {r[side]['total']:,.0f}",
                      va="center", fontsize=7.5)
    axis.set_yticks(range(len(results)), [f"{r['name']}" for r in results])
    axis.set_ylim(len(results) - 0.5, -0.5)
    axis.set_xlim(0, 1.12 * max(1, *(r["ratio"]["total"] for r in results)))
    axis.xaxis.set_major_formatter(lambda x, _: f"{100 * x:.0f} %")
    axis.set_xlabel("of C's total; the numbers are instructions for a packet (TCP: for a MiB)")
    handles = [plt.Rectangle((0, 0), 1, 1, color=GROUPS[g], label="driver" if g == "module" else g)
               for g in groups]
    figure.legend(handles=handles, loc="outside upper center", ncols=min(len(handles), 10), fontsize=8,
                  handlelength=1, columnspacing=1.2)
    return figure


def scaling(names, families, label):
    """For each family, both drivers' core and total by its number."""
    columns = 3
    rows = -(-len(families) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(WIDTH, 2.4 * rows + 0.4), squeeze=False,
                                layout="constrained")
    for axis, (base, members) in zip(axes.flat, families.items()):
        for side in SIDES:
            for what, style in (("total", "-"), ("core", "--")):
                axis.plot(range(len(members)), [names[n][side][what] for _, n in members], style,
                          marker="o", ms=4, color=SIDE_COLOURS[side])
        axis.set_xticks(range(len(members)), [f"{x}\n(C copies)" if n.endswith("@c-copy") else str(x) for x, n in members])
        axis.set_xlim(-0.3, len(members) - 0.7)
        axis.set_ylim(0, None)
        axis.set_title(base)
        axis.set_xlabel(label)
    for axis in list(axes.flat)[len(families):]:
        axis.set_visible(False)
    axes[0][0].set_ylabel("instructions / packet")
    handles = [plt.Line2D([], [], color=SIDE_COLOURS[s], ls=ls, label=f"{SIDE_NAMES[s]}, {what}")
               for s in SIDES for what, ls in (("total", "-"), ("core", "--"))]
    figure.legend(handles=handles, loc="outside upper right", ncols=4, fontsize=8)
    return figure


def latency(results):
    """From the median to where 99 of 100 frames are."""
    figure, axis = horizontal(len(results), 0.6)
    for row, r in enumerate(results):
        for at, side in ((-0.18, "c"), (0.18, "rust")):
            p50, p90, p99 = (r[side][key] / 1000 for key in ("p50", "p90", "p99"))
            axis.plot([p50, p99], [row + at] * 2, color=SIDE_COLOURS[side], lw=5, alpha=0.45,
                      solid_capstyle="butt")
            axis.plot(p50, row + at, "o", ms=7, color=SIDE_COLOURS[side])
            axis.plot([p90, p99], [row + at] * 2, "|", ms=10, mew=1.8, ls="", color=SIDE_COLOURS[side])
    axis.set_yticks(range(len(results)), [r["name"] for r in results])
    axis.set_ylim(len(results) - 0.5, -0.5)
    axis.set_xlim(0, None)
    axis.set_xlabel("thousand instructions of guest time; dot: median, marks: 90 % and 99 % of the frames")
    handles = [plt.Line2D([], [], color=SIDE_COLOURS[s], lw=5, label=SIDE_NAMES[s]) for s in SIDES]
    figure.legend(handles=handles, loc="outside upper right", ncols=2, fontsize=8)
    return figure


MEMORY = {"page_pool": "#2a9d8f", "slab": "#d9822b", "percpu": "#a78bdc", "rest": "#b9ab92"}
MEMORY_STATES = (("bound", "bound, down"), ("one", "up, 1 queue pair"), ("four", "up, 4 queue pairs"))


def memory_parts(state):
    """KiB by kind; what is left are rings and other whole pages."""
    parts = {key: state[key] for key in ("page_pool", "slab", "percpu")}
    parts["rest"] = state["all"] - sum(parts.values())
    return parts


def memory(result):
    figure, axis = horizontal(len(MEMORY_STATES), 0.6)
    for row, (state, _) in enumerate(MEMORY_STATES):
        for at, side in ((-0.2, "c"), (0.2, "rust")):
            left = 0.0
            for key, value in memory_parts(result[side][state]).items():
                axis.barh(row + at, max(value, 0), 0.34, left=left, color=MEMORY[key], linewidth=0)
                left += max(value, 0)
            axis.text(left, row + at, f" {SIDE_NAMES[side]} {result[side][state]['all']:,.0f}",
                      va="center", fontsize=7.5)
    axis.set_yticks(range(len(MEMORY_STATES)), [label for _, label in MEMORY_STATES])
    axis.set_ylim(len(MEMORY_STATES) - 0.5, -0.5)
    axis.margins(x=0.1)
    axis.set_xlabel("KiB more than with the device unbound")
    labels = {"page_pool": "page pools", "rest": "rings and other pages", "percpu": "per processor"}
    handles = [plt.Rectangle((0, 0), 1, 1, color=c, label=labels.get(k, k)) for k, c in MEMORY.items()]
    figure.legend(handles=handles, loc="outside upper right", ncols=4, fontsize=8, handlelength=1)
    return figure
