# SPDX-License-Identifier: GPL-2.0
"""How many guests run side by side, and what that costs each."""

import os
import sys

# Each has several processors of its own, and 1 GB of memory.
MOST = 4


def number():
    """Guests at a time: JOBS, or one for each two processors, but two at least: a guest often waits."""
    asked = os.environ.get("JOBS") or str(min(max(_processors() // 2, 2), MOST))
    if not asked.isdigit() or int(asked) < 1:
        sys.exit(f"JOBS={asked}: a number of guests is meant")
    return int(asked)


def slowness():
    """A factor on time limits: 2 if guests have less than two processors each."""
    return 2 if number() > 1 and number() * 2 > _processors() else 1


def _processors():
    return len(os.sched_getaffinity(0))
