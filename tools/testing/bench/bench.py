#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Compares the Rust with the C driver; runs inside the cached Debian tree.

bench.sh is the entry. Method and reading: README.md beside this file.
"""

import argparse
import datetime
import fcntl
import fnmatch
import os
import re
import signal
import sys
import time
from pathlib import Path

import compare
import guest
import peer
import report
import rst
import terminal
from pace import Pace, clock
from probes import PROBES
from runner import PROJECT, Bench
from scenarios import QUICK, SCENARIOS, SIDES

OUT = PROJECT / "build/bench"
PUBLISHED = PROJECT / "Documentation/benchmarks-report.rst"
KNOWN = (*SCENARIOS, *PROBES)
KEPT = "What was measured is kept: with RESUME=1, and by make bench-full, a run goes on from there."
STATUS = """status: 0 all is within its bounds; 1 a scenario is above its bound, a repeat stayed void, or a
guest failed;
2 wrong arguments. With --compare: 0 nothing got worse, 1 something did, 2 nothing to compare."""


def choose(name):
    """The scenarios and probes that a name or pattern means."""
    found = fnmatch.filter(KNOWN, "*" if name == "all" else name)
    return [n for n in found if n == name or not getattr(PROBES.get(n), "by_name", False)]


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=STATUS, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenario", nargs="*", help=f"of: {', '.join(KNOWN)}")
    parser.add_argument("--full", action="store_true", help="all scenarios, more repeats")
    parser.add_argument("--resume", action="store_true",
                        help="go on from what was measured of this module")
    parser.add_argument("--rust-as", choices=SIDES, default="rust",
                        help="c: the C driver on both sides, which shows the noise")
    parser.add_argument("--module", default=str(PROJECT / "virtio_net_rs.ko"))
    parser.add_argument("--no-rates", action="store_true", help="instruction counts only")
    parser.add_argument("--symbols", action="store_true", help="print costs by symbol")
    parser.add_argument("--limit", type=int, default=0, help="seconds for one guest")
    parser.add_argument("--compare", nargs="+", metavar="JSON",
                        help="no run: what got worse from the first report to the second, or "
                             "to the last one made here")
    parser.add_argument("--render", metavar="JSON", help="no run: that report's files again")
    parser.add_argument("--publish", nargs="?", metavar="JSON", const=str(OUT / "report.json"),
                        help=f"no run: that report, or the last one, as {PUBLISHED.name}")
    args = parser.parse_args()
    names = " ".join(args.scenario).replace(",", " ").split()
    names = names or (["all"] if args.full else list(QUICK))
    chosen = {name: choose(name) for name in names}
    unknown = [name for name in names if not chosen[name]]
    if unknown:
        parser.error(f"no scenario {', '.join(unknown)}; there are: {', '.join(KNOWN)}")
    chosen = list(dict.fromkeys(sum(chosen.values(), [])))
    args.scenarios = [SCENARIOS[n] for n in chosen if n in SCENARIOS]
    args.probes = [PROBES[n] for n in chosen if n in PROBES]
    args.command = ("make bench-full" if args.full else "make bench") + (
        " B=" + ",".join(names) if args.scenario else "") + (" RATES=0" if args.no_rates else "")
    return args


def machine():
    """Its processors, in words."""
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    return f"{len(os.sched_getaffinity(0))} x {model[1] if model else 'unknown processor'}"


def measure(args, pace):
    """Guests, then the document; and why it has no rates, if it could not have them."""
    bench = Bench(args, OUT, pace)
    for nic in sorted({s.nic for s in (*args.scenarios, *args.probes)} & set(peer.TAPS)):
        peer.make_tap(nic)
        if nic == "tap":
            peer.serve()
    bench.prepare()
    no_rates = bench.measure()
    probed = bench.evaluate()
    if bench.void and not bench.results and not probed:
        raise guest.GuestError("; ".join(bench.void))
    document = {
        "kernel": bench.release,
        "qemu": guest.run("qemu-system-x86_64", "--version").split("version ")[1].split()[0],
        "driver": os.environ.get("VNR_COMMIT", ""),
        "machine": machine(),
        "module": bench.module_key,
        "accel": "tcg, instructions counted",
        "rate_accel": bench.rate_accel,
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "seconds": round(time.monotonic() - pace.begun),
        "command": args.command,
        "same_driver": args.rust_as == "c",
        "core_groups": bench.groups.core,
        "scenarios": bench.results,
        "latency": [p for p in probed if p["what"] == "latency"],
        "memory": [p for p in probed if p["what"] == "memory"],
        "bypass": [p for p in probed if p["what"] == "bypass"],
        "void": bench.void,
        "repeats": bench.repeats,
    }
    return bench, document, no_rates


def run(args):
    lock = open(OUT / ".lock", "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        sys.exit("bench: another benchmark runs in this checkout; wait for it")
    # So that a guest is not left behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(f"bench: ended by a signal. {KEPT}"))
    try:
        # Against noise from other work, where it is allowed.
        os.setpriority(os.PRIO_PROCESS, 0, -10)
    except PermissionError:
        pass
    pace = Pace(OUT / "seconds.json")
    try:
        bench, document, no_rates = measure(args, pace)
    except (guest.GuestError, peer.PeerError) as error:
        sys.exit(f"bench: {error}\n{KEPT}")
    except KeyboardInterrupt:
        sys.exit(f"\nbench: ended from outside. {KEPT}")
    # With the C driver on both sides it is a comparison with nothing.
    earlier = None if document["same_driver"] else compare.latest(OUT)
    document["comparison"] = earlier and compare.compare(earlier, document)
    written = report.write(document, OUT)
    if not document["same_driver"]:
        compare.remember(OUT, document)
    print(terminal.summary(document))
    if args.symbols:
        for text in bench.texts.values():
            print("\n" + text)
    where = os.path.relpath(OUT, PROJECT)
    print(f"Wrote {', '.join(written)} and by scenario *.symbols.txt, *.annotate.txt in {where}, "
          f"in {clock(document['seconds'])}.\nTo read: {where}/report.html")
    for line in terminal.failures(document):
        print(line)
    if no_rates:
        print(f"bench: there are no packet rates: {no_rates}\nOn a busy machine frames are lost where nothing "
              "waits for them: run again when it is idle, or with RATES=0.")
    return 1 if no_rates or document["void"] or any(r["gate"] for r in document["scenarios"]) else 0


def main():
    args = parse_arguments()
    OUT.mkdir(parents=True, exist_ok=True)
    if args.compare:
        return compare.main(*args.compare[:2], default=OUT / "report.json")
    if args.render:
        # The last report stays the one that others are compared with.
        (OUT / "again").mkdir(exist_ok=True)
        report.write(report.read(Path(args.render)), OUT / "again")
        print(f"To read: {os.path.relpath(OUT, PROJECT)}/again/report.html")
        return 0
    if args.publish:
        document = report.read(Path(args.publish))
        if document["same_driver"]:
            sys.exit("bench: that report has the C driver on both sides: it is not to be published")
        PUBLISHED.write_text(rst.render(document))
        print(f"Wrote {os.path.relpath(PUBLISHED, PROJECT)}")
        return 0
    return run(args)


if __name__ == "__main__":
    sys.exit(main())
