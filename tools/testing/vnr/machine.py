# SPDX-License-Identifier: GPL-2.0
"""The machine that a run was made on, as pages of results name it."""

from pathlib import Path


def machine():
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{len(models)} processors ({models[0]})"
