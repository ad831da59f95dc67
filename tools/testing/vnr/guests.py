# SPDX-License-Identifier: GPL-2.0
"""Runs the guests of a plan, several side by side."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed

from . import accel, jobs, network
from .durations import Durations
from .guest import Guest
from .session import Session, describe


def run_all(plans, results, full, record=None, known=None):
    """Runs all plans to their end, the longest first, so that none is alone in the end; whatever ends
    this ends them too. What a guest found is kept in the record, and with what is known, if there are
    any."""
    durations = Durations(accel.choose()[1])
    plans = sorted(plans, key=durations.of, reverse=True)
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
            if record and not Guest.ending:
                record.keep(plan, verdicts, time.monotonic() - begin)
            if known and not Guest.ending:
                known.keep(plan, verdicts)
            if not full and not Guest.ending:
                durations.keep(plan, verdicts, time.monotonic() - begin)

    with ThreadPoolExecutor(jobs.number()) as pool:
        try:
            for done in as_completed([pool.submit(run, plan) for plan in plans]):
                done.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            Guest.end_all()
            raise
