# SPDX-License-Identifier: GPL-2.0
"""A guest's lines, as they come, to repeats that are complete."""

import counts
import guest
from scenarios import NICS, SIDES

BY_SLOT = {nic.slot: name for name, nic in NICS.items()}


class Collector:
    """Gathers the parts of each repeat; both sides of one are handed to `keep`, as
    (name, repeat, {side: {"nic": ..., "parts": {part: ...}}})."""

    def __init__(self, parts_of, keep):
        self.parts_of, self.keep = parts_of, keep
        self.nic, self.open = {}, {}

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
        value = self.value(name, side, part, numbers)
        if part == "warm":
            return
        sides = self.open.setdefault((name, repeat), {})
        entry = sides.setdefault(side, {"parts": {}})
        entry["parts"][part] = value
        nic, parts = self.parts_of(name)
        entry["nic"] = self.nic.get((side, nic))
        if all(set(parts) == set(sides.get(s, {"parts": ()})["parts"]) for s in SIDES):
            self.keep(name, repeat, self.open.pop((name, repeat)))

    def value(self, name, side, part, numbers):
        return numbers


class CountCollector(Collector):
    """Of a guest that counts: the plugin's files belong to the lines, in their order."""

    def __init__(self, parts_of, keep, out, expected, pack):
        super().__init__(parts_of, keep)
        self.out, self.expected, self.pack = out, expected, pack
        self.number, self.tables = 0, {}

    def value(self, name, side, part, numbers):
        self.number += 1
        path = self.out / f"dump-{self.number:04}.bin"
        if part == "warm":
            path.unlink(missing_ok=True)
            return None
        done = numbers[0]
        if done != self.expected(name, part):
            raise guest.GuestError(
                f"{name}: {done} of {self.expected(name, part)} delivered, the count is void"
            )
        if side not in self.tables:
            self.tables[side] = counts.SymbolTable(self.out / f"kallsyms.{side}")
        value = {"done": done, **self.pack(self.tables[side].resolve(counts.read_dump(path)))}
        path.unlink()
        return value
