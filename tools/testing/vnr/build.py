# SPDX-License-Identifier: GPL-2.0
"""What guests load and run, made before they start."""

import subprocess

from . import paths


def traffic():
    """The traffic program, with the tree's own compiler: guests run on the tree."""
    source = paths.GUEST / "traffic.c"
    program = paths.OUT / "bin" / "traffic"
    if program.exists() and program.stat().st_mtime > source.stat().st_mtime:
        return
    program.parent.mkdir(parents=True, exist_ok=True)
    fresh = program.with_suffix(".new")
    subprocess.run(["gcc", "-O2", "-Wall", "-Wextra", "-o", str(fresh), str(source)], check=True)
    fresh.rename(program)
