# SPDX-License-Identifier: GPL-2.0
"""What the verdicts of cases depend on, as hashes."""

import functools
import hashlib
import re

from . import paths

# Of any case, beside its suite's own file: the environment with its pinned versions, the runner,
# and what cases call.
COMMON = ("tools/env", "tools/versions.mk", "tools/testing/vnr", "tools/testing/guest", "tools/testing/model",
          "tools/testing/kmod", "rust/wire", "samples")
# Of cases on our driver.
DRIVER = ("Kbuild", "rust", "drivers")
UNREAD = {"target", "__pycache__"}


@functools.cache
def of_files(*places):
    """One hash of files, and of all files in folders, of the project."""
    digest = hashlib.sha256()
    for top in (paths.PROJECT / place for place in places):
        for file in sorted(top.rglob("*")) if top.is_dir() else [top]:
            name = file.relative_to(paths.PROJECT)
            if file.is_file() and not UNREAD & set(name.parts):
                digest.update(f"{name}\0".encode() + file.read_bytes())
    return digest.hexdigest()


@functools.cache
def of_suite(suite):
    """Of the file of a suite, and of those that it has something from."""
    todo, found = [suite], {suite}
    while todo:
        text = (paths.TESTS / f"test_{todo.pop()}.py").read_text()
        more = set(re.findall(r"^(?:from|import) test_(\w+)", text, re.MULTILINE)) - found
        found |= more
        todo += more
    return of_files(*(f"tools/testing/tests/test_{name}.py" for name in sorted(found)))
