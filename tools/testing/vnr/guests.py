# SPDX-License-Identifier: GPL-2.0
"""Runs the guests of a plan, several side by side where there are processors for them."""

import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed

from . import network
from .guest import Guest
from .session import Session, describe

# Each has several processors of its own, and 1 GB of memory.
MOST = 4


def jobs():
    """How many guests at a time: JOBS, or one for each two processors."""
    spare = len(os.sched_getaffinity(0)) // 2
    asked = os.environ.get("JOBS") or str(min(max(spare, 1), MOST))
    if not asked.isdigit() or int(asked) < 1:
        sys.exit(f"JOBS={asked}: a number of guests is meant")
    return int(asked)


def run_all(plans, results, full):
    """Runs all plans to their end; whatever ends this ends them too."""
    count = iter(range(1, len(plans) + 1))
    own = threading.local()

    def run(plan):
        if not getattr(own, "network", False):
            network.of_one_guest()
            own.network = True
        begin = time.monotonic()
        with results.lock:
            number = next(count)
            print(f"# [{number}/{len(plans)}] guest {plan.name}: {len(plan.cases)} cases with "
                  + ", ".join(nic.label for nic in plan.nics[:-1]), flush=True)
        verdicts = Session(plan, results, full).run()
        with results.lock:
            print(f"# [{number}/{len(plans)}] {describe(plan, verdicts, begin)}", flush=True)

    with ThreadPoolExecutor(jobs()) as pool:
        try:
            for done in as_completed([pool.submit(run, plan) for plan in plans]):
                done.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            Guest.end_all()
            raise
