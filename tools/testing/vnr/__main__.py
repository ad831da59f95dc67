# SPDX-License-Identifier: GPL-2.0
"""python3 -m vnr: the tests, as asked for by the environment variables T,
DRIVER, PARAMS and FULL. Runs inside the tree and a private network namespace;
test.sh starts it so."""

import os
import shutil
import signal
import subprocess
import sys
import time

from . import accel, host, network, paths, plan
from .params import ParamError
from .results import Results
from .session import Session, describe


def build_traffic():
    """The traffic program, with the tree's own compiler: guests run on the tree."""
    source = paths.GUEST / "traffic.c"
    program = paths.OUT / "bin" / "traffic"
    if program.exists() and program.stat().st_mtime > source.stat().st_mtime:
        return
    program.parent.mkdir(parents=True, exist_ok=True)
    fresh = program.with_suffix(".new")
    subprocess.run(["gcc", "-O2", "-Wall", "-Wextra", "-o", str(fresh), str(source)], check=True)
    fresh.rename(program)


def main():
    pattern = os.environ.get("T", "")
    wanted = os.environ.get("DRIVER") or "both"
    full = os.environ.get("FULL", "") not in ("", "0")
    drivers = {"both": ("c", "rust"), "c": ("c",), "rust": ("rust",)}.get(wanted)
    if not drivers:
        sys.exit(f"DRIVER={wanted}: c, rust or both is meant")
    if "rust" in drivers and not paths.BUILT.exists():
        sys.exit(f"{paths.BUILT.name} is not built: run make first, or use DRIVER=c")
    try:
        plans = plan.make(pattern, drivers, os.environ.get("PARAMS"), full)
    except ParamError as error:
        sys.exit(f"error: {error}")
    results = Results()
    start = time.monotonic()
    # Ended from outside, take the guest along.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(143))
    paths.OUT.mkdir(parents=True, exist_ok=True)
    host_too = not os.environ.get("PARAMS") and wanted == "both"
    if not plans and not (host_too and any(
            plan.fnmatch.fnmatchcase(n, g) for n in host.COMMANDS
            for p in pattern.split(",") for g in (p, p + ".*"))):
        sys.exit(f"T={pattern}: no suite or case has that name; suites are: "
                 + ", ".join(sorted({c.suite for c in plan.collect()[0].values()} | {"host"})))
    if host_too:
        host.run_commands(results, pattern)
    if plans:
        try:
            network.require_private()
        except network.NetworkError as error:
            sys.exit(f"error: {error}")
        build_traffic()
        if paths.BUILT.exists():
            # Guests load a copy: a build beside the tests must not change it.
            shutil.copyfile(paths.BUILT, paths.MODULE)
        else:
            paths.MODULE.unlink(missing_ok=True)
        host.verify_kernel(results)
        print(f"# accelerator: {accel.choose()[1]}; {len(plans)} guests, "
              f"{sum(len(p.cases) for p in plans)} cases", flush=True)
    for index, guest_plan in enumerate(plans, 1):
        begin = time.monotonic()
        verdicts = Session(guest_plan, results, full).run()
        print(f"[{index}/{len(plans)}] {describe(guest_plan, verdicts, begin)}", flush=True)
    (paths.OUT / "results.ktap").write_text(results.ktap())
    for text in (results.table(), results.matrix()):
        if text:
            print("\n" + text)
    print(f"\n# {time.monotonic() - start:.0f} s; KTAP: {paths.OUT / 'results.ktap'}")
    failed = [r for r in results.all if r.status == "fail"]
    for result in failed:
        print(f"# not ok {result.id}: {result.why}")
    for result in (r for r in results.all if r.status in ("skip", "xfail")):
        print(f"# {result.status} {result.id}: {result.why}")
    print(results.last_line(), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
