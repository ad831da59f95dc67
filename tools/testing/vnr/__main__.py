# SPDX-License-Identifier: GPL-2.0
"""python3 -m vnr: the tests, as asked for by the environment variables T,
DRIVER, PARAMS, FULL, RESUME and VNR_KERNELS. Runs inside the tree and a private network
namespace; test.sh starts it so."""

import fnmatch
import os
import signal
import sys
import time

from . import accel, build, guests, host, jobs, kernel, model, network, paths, plan
from .known import Known
from .params import ParamError
from .record import Record
from .results import Results
from .session import SEED


def host_case(name, part):
    return any(fnmatch.fnmatchcase(name, glob) for glob in (part, part + ".*"))


def left_of(plans, record):
    """Without the guests that have been run as they are now."""
    left = [guest for guest in plans if not record.has(guest)]
    if len(left) < len(plans):
        print(f"# {len(plans) - len(left)} guests had no failure in an earlier run, and would run the same again: "
              "left out")
    return left


def main():
    pattern = os.environ.get("T", "")
    wanted = os.environ.get("DRIVER") or "both"
    full = os.environ.get("FULL", "") not in ("", "0")
    drivers = {"both": ("c", "rust"), "c": ("c",), "rust": ("rust",)}.get(wanted)
    if not drivers:
        sys.exit(f"DRIVER={wanted}: c, rust or both is meant")
    # "stock", "debug", or "both": all on the stock kernel, a selection on the other.
    kernels = os.environ.get("VNR_KERNELS", "stock")
    stock, debug = kernel.stock(), kernel.debug()
    runs = {"stock": [(stock, pattern)], "debug": [(debug, pattern)],
            "both": [(stock, pattern)] + ([(debug, plan.CI)] if debug else [])}[kernels]
    for booted, _ in runs:
        if "rust" in drivers and not booted.built.exists():
            sys.exit(f"{booted.built} is not built: run make first, or use DRIVER=c")
    try:
        # Beside everything on the stock kernel, C's driver is not run on the other one again.
        plans = [guest for booted, what in runs
                 for guest in plan.make(booted, what, drivers if len(runs) == 1 or booted is stock else ("rust",),
                                        os.environ.get("PARAMS"), full)]
    except ParamError as error:
        sys.exit(f"error: {error}")
    results = Results()
    start = time.monotonic()
    # Ended from outside, take the guests along.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(143))
    paths.OUT.mkdir(parents=True, exist_ok=True)
    print("KTAP version 1", flush=True)
    if not host.runs_beside():
        host.read_results(results)
    unknown = [part for part in filter(None, pattern.split(","))
               if part != plan.CI and not any(plan.matches(case, part) for case in plan.collect()[0].values())
               and not any(host_case(result.variant, part) for result in results.all)]
    if unknown:
        sys.exit(f"T={','.join(unknown)}: no suite or case has that name; suites are: "
                 + ", ".join(sorted({c.suite for c in plan.collect()[0].values()} | {"host"})))
    if pattern and not plans and not results.all:
        sys.exit(f"T={pattern}: nothing of that is for this driver and these device parameters")
    # Of whole suites with their own parameters only, and of all where suites share guests, so that those
    # are always the same.
    whole = not os.environ.get("PARAMS") and (plan.are_suites(pattern) if full else not pattern)
    record = Record(full=full) if whole else None
    resumes = record and os.environ.get("RESUME", "") not in ("", "0")
    if resumes:
        plans = left_of(plans, record)
    everything = not pattern and not full and not os.environ.get("PARAMS") and len(drivers) > 1
    known = Known(accel.choose()[1]) if everything else None
    if known:
        plans = known.take(plans, results)
        if resumes:
            plans = left_of(plans, record)
    if pattern and not full:
        plans = plan.spread(plans, jobs.number())
    if plans:
        try:
            network.require_private()
        except network.NetworkError as error:
            sys.exit(f"error: {error}")
        build.bytecode()
        build.traffic()
        build.bpf()
        build.preload()
        if any(entry["case"].startswith("dpdk.") for plan in plans for entry in plan.cases):
            build.dpdk()
        if any(build.needs_samples(entry["case"]) for plan in plans for entry in plan.cases):
            build.samples()
        if any(entry["case"] == "samples.sanitized" for plan in plans for entry in plan.cases):
            build.sanitized_samples()
        if model.wanted(plans):
            model.build()
        for booted, _ in runs:
            booted.take_module()
            if booted is debug:
                kernel.describe_debug(debug)
            else:
                host.verify_kernel(results)
        if kernels == "both" and not debug:
            kernel.missing_debug(results)
        print(f"# accelerator: {accel.choose()[1]}; {len(plans)} guests, "
              f"{sum(len(p.cases) for p in plans)} cases; VNR_SEED={SEED}", flush=True)
    if host.runs_beside():
        host.begin()
    guests.run_all(plans, results, full, record, known)
    if host.runs_beside():
        host.wait()
        host.read_results(results)
    (paths.OUT / "results.ktap").write_text(results.ktap())
    (paths.OUT / "seconds").write_text(results.seconds())
    results.write_observations(paths.OUT / "observations.json")
    for text in (results.table(), results.matrix()):
        if text:
            print("#\n# " + text.replace("\n", "\n# "))
    print(f"1..{len(results.all)}")
    print(f"# {time.monotonic() - start:.0f} s; KTAP: {paths.OUT / 'results.ktap'}")
    failed = [r for r in results.all if r.status == "fail"]
    for result in (r for r in results.all if r.status in ("skip", "xfail")):
        print(f"# {result.status} {result.id}: {result.why}")
    # The last thing to be read, also of an output that was cut.
    for result in failed:
        print(f"# not ok {result.id}: {result.why}")
    print(results.last_line(), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
