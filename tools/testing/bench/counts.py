# SPDX-License-Identifier: GPL-2.0
"""From instruction counts by address to instructions per unit by symbol."""

import struct
from bisect import bisect_right
from collections import Counter, defaultdict, namedtuple
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from statistics import median

# nth: which one of that name in that module, by address; so a symbol is the same in every
# boot, wherever its module lies.
Symbol = namedtuple("Symbol", "name module nth")
USER = Symbol("[user]", "user", 0)
UNKNOWN = Symbol("[unknown]", "unknown", 0)
# Far behind all functions is what the kernel has compiled itself: programs.
BPF, LONGEST = Symbol("[bpf]", "bpf", 0), 1 << 16
CORE_END = "end-of-core"
SYMBOLS_FILE = Path(__file__).resolve().parent / "core-symbols"


class SymbolTable:
    """The guest's /proc/kallsyms, as its drivers were loaded."""

    def __init__(self, path):
        entries = []
        for line in Path(path).read_text().splitlines():
            fields = line.split()
            module = fields[3].strip("[]") if len(fields) > 3 else "vmlinux"
            entries.append((int(fields[0], 16), fields[2], module))
        entries.sort()
        self.starts = [e[0] for e in entries]
        self.symbols, seen = [], Counter()
        for _, name, module in entries:
            self.symbols.append(Symbol(name, module, seen[name, module]))
            seen[name, module] += 1

    def find(self, address):
        """The symbol, and the offset in it."""
        if address == 0:
            return USER, 0
        at = bisect_right(self.starts, address) - 1
        if at < 0:
            return UNKNOWN, 0
        offset = address - self.starts[at]
        return (self.symbols[at], offset) if offset < LONGEST else (BPF, 0)

    def resolve(self, by_address):
        """Counts by address as counts by place: (symbol, offset)."""
        counts = Counter()
        for address, count in by_address.items():
            counts[self.find(address)] += count
        return counts


class Groups:
    """The patterns of core-symbols."""

    def __init__(self, path=SYMBOLS_FILE):
        self.rules, self.core, in_core = [], ["module"], True
        for line in Path(path).read_text().splitlines():
            words = line.split("#")[0].split()
            if words == [CORE_END]:
                in_core = False
            elif words:
                self.rules += [(pattern, words[0]) for pattern in words[1:]]
                if in_core and words[0] not in self.core:
                    self.core.append(words[0])

    def of(self, symbol, driver):
        if symbol.module == driver:
            return "module"
        return self.lookup(symbol.name, f"[{symbol.module}]")

    @lru_cache(maxsize=None)
    def lookup(self, name, module):
        for pattern, group in self.rules:
            # "[name]" stands for a whole module; brackets are no glob here.
            if pattern == module or fnmatchcase(name, pattern):
                return group
        return "other"


def read_dump(path):
    return dict(struct.iter_unpack("<QQ", Path(path).read_bytes()))


def per_unit(scenario, runs):
    """One repeat's counts by place, per unit. runs: part -> (units, counts)."""
    total = Counter()

    def add(part, factor):
        for place, count in runs[part][1].items():
            total[place] += count * factor

    if scenario.method == "slope":
        units = runs["long"][0] - runs["short"][0]
        add("long", 1 / units)
        add("short", -1 / units)
    else:
        units = runs["main"][0]
        add("main", 1 / units)
        if scenario.method == "minus-source":
            add("source", -1 / runs["source"][0])
    return total


class Cost:
    """One repeat of one side: instructions per unit, by symbol, group, module."""

    def __init__(self, by_place, groups, driver):
        self.by_place = by_place
        self.by_symbol = defaultdict(float)
        self.by_group = defaultdict(float)
        self.by_module = defaultdict(float)
        for (symbol, _), count in by_place.items():
            self.by_symbol[symbol] += count
        for symbol, count in self.by_symbol.items():
            self.by_group[groups.of(symbol, driver)] += count
            self.by_module[symbol.module] += count
        self.total = sum(by_place.values())
        self.core = sum(self.by_group[group] for group in groups.core)


def median_of(dicts):
    """Key by key median, which one disturbed repeat does not move; absent is 0."""
    keys = set().union(*dicts)
    return Counter({key: median(one.get(key, 0.0) for one in dicts) for key in keys})
