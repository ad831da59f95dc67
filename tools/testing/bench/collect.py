# SPDX-License-Identifier: GPL-2.0
"""A guest's lines, as they come, to repeats that are complete."""

import counts
from scenarios import NICS, SIDES

BY_SLOT = {nic.slot: name for name, nic in NICS.items()}


class Collector:
    """Gathers the parts of each repeat; both sides of one are handed to `keep`, as
    (name, repeat, {side: {"nic": ..., "parts": {part: ...}}}).

    `flaw` says of (name, part, numbers) why they are worth nothing, or None; a repeat that has
    such a part is handed to `void` instead, as (name, repeat, why)."""

    def __init__(self, parts_of, keep, void, flaw):
        self.parts_of, self.keep, self.void, self.flaw = parts_of, keep, void, flaw
        self.nic, self.open, self.flaws = {}, {}, {}

    def take(self, line):
        if line[0] == "nic":
            _, side, slot, driver, features, rx, tx = line
            self.nic[side, BY_SLOT[slot]] = {
                "driver": driver, "features": features, "rings": [int(rx), int(tx)]
            }
        elif line[0] == "part":
            _, name, side, repeat, part, *numbers = line
            self.part(name, side, int(repeat), part, [int(n) for n in numbers])

    def part(self, name, side, repeat, part, numbers):
        value = self.value(side, part, numbers)
        if part == "warm":
            return
        if why := self.flaw(name, part, numbers):
            self.flaws.setdefault((name, repeat), f"{side} {part}: {why}")
        sides = self.open.setdefault((name, repeat), {})
        entry = sides.setdefault(side, {"parts": {}})
        entry["parts"][part] = value
        nic, parts = self.parts_of(name)
        entry["nic"] = self.nic.get((side, nic))
        if all(set(parts) == set(sides.get(s, {"parts": ()})["parts"]) for s in SIDES):
            del self.open[name, repeat]
            if why := self.flaws.pop((name, repeat), None):
                self.void(name, repeat, why)
            else:
                self.keep(name, repeat, sides)

    def value(self, side, part, numbers):
        return numbers


class CountCollector(Collector):
    """Of a guest that counts: the plugin's files belong to the lines, in their order."""

    def __init__(self, *collector, out, pack):
        super().__init__(*collector)
        self.out, self.pack = out, pack
        self.number, self.tables = 0, {}

    def value(self, side, part, numbers):
        self.number += 1
        path = self.out / f"dump-{self.number:04}.bin"
        if part == "warm":
            path.unlink(missing_ok=True)
            return None
        if side not in self.tables:
            self.tables[side] = counts.SymbolTable(self.out / f"kallsyms.{side}")
        value = {"done": numbers[0], **self.pack(self.tables[side].resolve(counts.read_dump(path)))}
        path.unlink()
        return value
