# SPDX-License-Identifier: GPL-2.0
"""What was measured, kept as it comes, so that a run that was broken off can be continued.

One file for each repeat of a scenario, with both sides. It is found again only under
the same conditions: the folder's name stands for the module, the kernel and the tools that
count, the scenario's for its definition and the command of its guest.
"""

import gzip
import hashlib
import json
import os
import shutil
import zlib

from counts import Symbol

KEPT = 4  # folders of conditions, the most recently used


def digest(*values):
    """Twelve hex digits for files' contents and for what else is given."""
    state = hashlib.sha256()
    for value in values:
        data = value.read_bytes() if hasattr(value, "read_bytes") else repr(value).encode()
        state.update(len(data).to_bytes(8, "little") + data)
    return state.hexdigest()[:12]


class Store:
    def __init__(self, folder, conditions):
        self.folder = folder / conditions
        self.folder.mkdir(parents=True, exist_ok=True)
        os.utime(self.folder)
        by_age = sorted(folder.iterdir(), key=lambda f: f.stat().st_mtime)
        for old in by_age[:-KEPT]:
            shutil.rmtree(old)

    def path(self, kind, name, definition, repeat):
        return self.folder / f"{name}-{definition}" / f"{kind}-{repeat:03}.json.gz"

    def load(self, *key):
        """What was saved; None if nothing was, or if it is broken, which the next run mends."""
        path = self.path(*key)
        try:
            with gzip.open(path, "rt") as file:
                return json.load(file)
        except (OSError, EOFError, ValueError, zlib.error):
            path.unlink(missing_ok=True)
            return None

    def save(self, value, *key):
        path = self.path(*key)
        path.parent.mkdir(exist_ok=True)
        fresh = path.with_suffix(".new")
        with gzip.open(fresh, "wt", compresslevel=5) as file:
            json.dump(value, file, separators=(",", ":"))
        fresh.rename(path)

    def forget(self, kind, name, definition, repeats):
        for repeat in repeats:
            self.path(kind, name, definition, repeat).unlink(missing_ok=True)

    def missing(self, kind, name, definition, repeats):
        return [r for r in repeats if not self.path(kind, name, definition, r).exists()]


def pack(counts):
    """Counts by place, as what JSON can hold."""
    symbols = {symbol: n for n, symbol in enumerate(dict.fromkeys(s for s, _ in counts))}
    return {
        "symbols": list(symbols),
        "counts": [(symbols[s], offset, count) for (s, offset), count in counts.items()],
    }


def unpack(packed):
    symbols = [Symbol(*symbol) for symbol in packed["symbols"]]
    return {(symbols[n], offset): count for n, offset, count in packed["counts"]}
