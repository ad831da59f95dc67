# SPDX-License-Identifier: GPL-2.0
"""For the developer's loop: costs by symbol, and by instruction of a driver."""

import re
import subprocess

from counts import median_of
from results import demangle

FUNCTION = re.compile(r"^([0-9a-f]+) <(.+)>:$")
INSTRUCTION = re.compile(r"^\s+([0-9a-f]+):\t(.*)$")
# Functions below this share of their module are left out of the annotation.
ANNOTATE_SHARE = 0.01


def row_text(row):
    place = row["group"] if row["module"] == "vmlinux" else f"{row['group']} [{row['module']}]"
    return (f"{row['c']:10.1f} {row['rust']:10.1f} {row['rust'] - row['c']:+10.1f}  "
            f"{row['symbol']}  ({place})")


def listing(scenario, rows):
    """The .symbols.txt: differences first, then the drivers, then everything."""
    head = f"{'C':>10} {'Rust':>10} {'Rust-C':>10}  symbol"
    out = [f"{scenario.name}: instructions per {scenario.unit}", "", "Differences", head]
    out += [row_text(r) for r in rows if r["module"] != "driver" and abs(r["rust"] - r["c"]) >= 0.5]
    for side in ("c", "rust"):
        own = sorted((r for r in rows if r["module"] == "driver" and abs(r[side]) >= 0.05),
                     key=lambda r: -r[side])
        out += ["", f"Functions of the {side} driver: {sum(r[side] for r in own):.1f}"]
        out += [f"{r[side]:10.1f}  {r['symbol']}" for r in own]
    out += ["", "All", head]
    out += [row_text(r) for r in sorted(rows, key=lambda r: -max(r["c"], r["rust"]))]
    return "\n".join(out) + "\n"


def annotate(costs, driver, module):
    """The driver's disassembly with executions per unit of each instruction."""
    by_place = median_of([c.by_place for c in costs])
    functions = {}
    for (symbol, offset), count in by_place.items():
        if symbol.module == driver:
            functions.setdefault(symbol, {})[offset] = count
    whole = sum(sum(f.values()) for f in functions.values())
    code = disassemble(module)
    names = demangle({s.name for s in functions})
    out = [f"{driver}: {whole:.1f} instructions per unit"]
    for symbol, hits in sorted(functions.items(), key=lambda item: -sum(item[1].values())):
        if sum(hits.values()) < ANNOTATE_SHARE * whole:
            continue
        out += ["", f"{names[symbol.name]}: {sum(hits.values()):.1f}"]
        for offset, text in code.get(symbol.name, [(o, "?") for o in sorted(hits)]):
            count = hits.get(offset)
            out.append(f"{'' if count is None else format(count, '.2f'):>10}  {offset:5x}  {text}")
    return "\n".join(out) + "\n"


def disassemble(module):
    """Function name -> [(offset, text with relocations)]."""
    listing_text = subprocess.run(
        ["objdump", "-dr", "--no-show-raw-insn", str(module)],
        capture_output=True, text=True, check=True,
    ).stdout
    code, current, start = {}, None, 0
    for line in listing_text.splitlines():
        if match := FUNCTION.match(line):
            start, current = int(match[1], 16), code.setdefault(match[2], [])
        elif current is not None and "R_X86_64" in line:
            if current:
                offset, text = current[-1]
                current[-1] = (offset, f"{text}  # {line.split()[-1]}")
        elif current is not None and (match := INSTRUCTION.match(line)):
            current.append((int(match[1], 16) - start, match[2].strip()))
    return code
