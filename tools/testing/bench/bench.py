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
import signal
import sys
import time
from collections import defaultdict
from pathlib import Path
from statistics import median

import counts
import features
import guest
import peer
import plot
import report
import symbols
from scenarios import QUICK, SCENARIOS, SIDES, make_plan

PROJECT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(PROJECT / "tools/testing"))
from vnr.accel import choose as choose_accel

OUT = PROJECT / "build/bench"
RATE_REPEATS, RATE_FULL_REPEATS = 3, 9


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenario", nargs="*", help=f"of: {', '.join(SCENARIOS)}")
    parser.add_argument("--full", action="store_true", help="more repeats")
    parser.add_argument("--rust-as", choices=SIDES, default="rust",
                        help="c: the C driver on both sides, which shows the noise")
    parser.add_argument("--module", default=str(PROJECT / "virtio_net_rs.ko"))
    parser.add_argument("--no-rates", action="store_true", help="instruction counts only")
    parser.add_argument("--symbols", action="store_true", help="print costs by symbol")
    parser.add_argument("--limit", type=int, default=0, help="seconds for one guest")
    args = parser.parse_args()
    names = " ".join(args.scenario).replace(",", " ").split() or list(QUICK)
    chosen = {name: fnmatch.filter(SCENARIOS, "*" if name == "all" else name) for name in names}
    unknown = [name for name in names if not chosen[name]]
    if unknown:
        parser.error(f"no scenario {', '.join(unknown)}; there are: {', '.join(SCENARIOS)}")
    args.scenarios = [SCENARIOS[n] for n in dict.fromkeys(sum(chosen.values(), []))]
    return args


class Bench:
    def __init__(self, args):
        self.args = args
        self.release = Path("/etc/virtio-net-rs/kernel-release").read_text().strip()
        rust = "virtio_net" if args.rust_as == "c" else "virtio_net_rs"
        self.drivers = {"c": "virtio_net", "rust": rust}
        self.groups = counts.Groups()
        self.rate_accel = "not measured"
        self.results, self.texts = [], {}

    def prepare(self):
        tools = OUT / "tools"
        tools.mkdir(parents=True, exist_ok=True)
        self.plugin, agent = guest.build_tools(tools)
        extra = [] if self.args.rust_as == "c" else [self.args.module]
        self.archive, self.modules = guest.build_initramfs(
            tools, self.release, agent, extra
        )

    def boot(self, kind, scenarios, **options):
        """Runs one guest with these scenarios; returns its folder and its log."""
        out = OUT / kind
        out.mkdir(exist_ok=True)
        rate = kind == "rate"
        if rate:
            repeats = lambda s: RATE_FULL_REPEATS if self.args.full else RATE_REPEATS
        else:
            repeats = lambda s: s.full_repeats if self.args.full else s.repeats
        plan = make_plan(scenarios, self.drivers, repeats, rate)
        command = guest.qemu_command(
            out, self.release, self.archive, {s.nic for s in scenarios}, **options
        )
        limit = self.args.limit or 60 + 6 * plan.parts
        return out, guest.run_guest(out, command, plan, f"{kind} guest", limit)

    def count(self, kind):
        """The scenarios that this kind of guest counts."""
        scenarios = [s for s in self.args.scenarios if s.guest == kind]
        if not scenarios:
            return
        out, log = self.boot(
            kind, scenarios, accel="tcg", plugin=self.plugin, icount=kind == "icount"
        )
        tables = {side: counts.SymbolTable(out / f"kallsyms.{side}") for side in SIDES}
        runs, nics = parse_log(log, out)
        for scenario in scenarios:
            self.evaluate(scenario, runs[scenario.name], nics, tables)
        for dump in out.glob("dump-*.bin"):
            dump.unlink()

    def evaluate(self, scenario, runs, nics, tables):
        costs, sources = {side: [] for side in SIDES}, []
        for (side, _), parts in sorted(runs.items()):
            check_delivery(scenario, parts)
            scaled = {
                part: (done / scenario.unit_size, dump) for part, (done, dump) in parts.items()
            }
            cost = counts.Cost(
                counts.per_unit(scenario, scaled), tables[side], self.groups, self.drivers[side]
            )
            costs[side].append(cost)
            if "source" in scaled:
                units, dump = scaled["source"]
                alone = {a: n / units for a, n in dump.items()}
                sources.append(
                    counts.Cost(alone, tables[side], self.groups, self.drivers[side])
                )
        kept = {side: keep_lowest(costs[side], scenario.keep) for side in SIDES}
        source = sources and {
            key: round(median(getattr(s, key) for s in sources), 2) for key in ("total", "core")
        }
        units = sum(amount for part, amount, _ in scenario.parts if part != "source")
        result, rows = report.scenario_result(
            scenario, kept, source or None, units / scenario.unit_size,
            {side: nics[side, scenario.nic] for side in SIDES}, self.drivers, self.groups,
        )
        result["repeats_run"] = len(costs["c"])
        result["spread_of_all"] = max(
            report.spread([c.total for c in costs[side]]) for side in SIDES
        )
        self.results.append(result)
        text = symbols.listing(scenario, rows)
        (OUT / f"{scenario.name}.symbols.txt").write_text(text)
        self.texts[scenario.name] = text
        for side in SIDES:
            module = self.modules / f"{self.drivers[side]}.ko"
            listing = symbols.annotate(kept[side], tables[side], self.drivers[side], module)
            (OUT / f"{scenario.name}.{side}.annotate.txt").write_text(listing)

    def try_rates(self):
        """Why there are no rates, or None. What was counted before is worth a report without them."""
        try:
            self.rates()
        except guest.GuestError as error:
            self.rate_accel = "not measured"
            return error
        return None

    def rates(self):
        """Rates beside the counts: a guest without plugin, runs interleaved."""
        _, accel = choose_accel()
        self.rate_accel = accel
        out, log = self.boot("rate", self.args.scenarios, accel=accel)
        rates = defaultdict(lambda: defaultdict(list))
        for line in log:
            if line[0] == "part" and line[4] == "rate":
                size = SCENARIOS[line[1]].unit_size
                rates[line[1]][line[2]].append(int(line[5]) / size / (int(line[6]) / 1e9))
        for result in self.results:
            sides = rates[result["name"]]
            c, rust = median(sides["c"]), median(sides["rust"])
            result["rate"] = {
                "unit": result["unit"], "accel": accel, "c": round(c, 1), "rust": round(rust, 1),
                "ratio": round(rust / c, 3),
                "spread": round(max(report.spread(v) for v in sides.values()), 3),
            }

    def finish(self):
        order = [s.name for s in self.args.scenarios]
        self.results.sort(key=lambda r: order.index(r["name"]))
        document = {
            "kernel": self.release,
            "accel": "tcg, instructions counted",
            "rate_accel": self.rate_accel,
            "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
            "command": "make bench B=" + ",".join(order),
            "same_driver": self.args.rust_as == "c",
            "core_groups": self.groups.core,
            "scenarios": self.results,
        }
        report.write(document, OUT)
        plot.draw(self.results, OUT / "report.png")
        return document


def parse_log(log, out):
    """The guest's lines and the plugin's files belong together in order."""
    runs, nics, number = defaultdict(lambda: defaultdict(dict)), {}, 0
    by_slot = {nic.slot: name for name, nic in guest.NICS.items()}
    for line in log:
        if line[0] == "nic":
            _, side, slot, driver, features, rx, tx = line
            nics[side, by_slot[slot]] = {
                "driver": driver, "features": features, "rings": [int(rx), int(tx)]
            }
        elif line[0] == "part":
            _, name, side, repeat, part, done, _ = line
            number += 1
            if part != "warm":
                dump = counts.read_dump(out / f"dump-{number:04}.bin")
                runs[name][side, int(repeat)][part] = (int(done), dump)
    return runs, nics


def keep_lowest(costs, share):
    """That share of the repeats, at least one, with the lowest totals."""
    return sorted(costs, key=lambda c: c.total)[: max(1, round(share * len(costs)))]


def check_delivery(scenario, parts):
    for part, amount, _ in scenario.parts:
        if parts[part][0] != amount:
            raise guest.GuestError(
                f"{scenario.name}: {parts[part][0]} of {amount} delivered, the count is void"
            )


def print_result(bench, document, start):
    print()
    print(report.text_table(bench.results))
    for result in bench.results:
        if not result["same_features"]:
            bits = features.difference(*(result[side]["features"] for side in SIDES))
            print(f"(*) {result['name']}: feature bits differ: {bits}")
        if not result["same_rings"]:
            print(f"(*) {result['name']}: ring sizes (rx, tx) differ: "
                  f"C {result['c']['rings']}, Rust {result['rust']['rings']}")
        for grown in result["grown"]:
            print(f"{result['name']}: {grown['symbol']} grew: "
                  f"{grown['c']:.1f} -> {grown['rust']:.1f} per {result['unit']}")
    if bench.args.symbols:
        for text in bench.texts.values():
            print("\n" + text)
    if document["same_driver"]:
        print("The C driver ran on both sides: this is the noise, not a comparison.")
    where = os.path.relpath(OUT, PROJECT)
    print(f"Wrote {where}/report.md, report.json, report.png and *.symbols.txt, "
          f"*.annotate.txt in {time.monotonic() - start:.0f} s.")
    for result in bench.results:
        for failure in result["gate"]:
            print(f"GATE {result['name']}: {failure}")


def main():
    args = parse_arguments()
    start = time.monotonic()
    OUT.mkdir(parents=True, exist_ok=True)
    lock = open(OUT / ".lock", "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        sys.exit("bench: another benchmark runs in this checkout; wait for it")
    # So that a guest is not left behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench: ended by a signal"))
    bench = Bench(args)
    try:
        # Against noise from other work, where it is allowed.
        os.setpriority(os.PRIO_PROCESS, 0, -10)
    except PermissionError:
        pass
    try:
        for nic in sorted({s.nic for s in args.scenarios} & set(peer.TAPS)):
            peer.make_tap(nic)
            if nic == "tap":
                peer.serve()
        bench.prepare()
        for kind in ("icount", "tap"):
            bench.count(kind)
        no_rates = None if args.no_rates else bench.try_rates()
    except (guest.GuestError, peer.PeerError) as error:
        sys.exit(f"bench: {error}")
    document = bench.finish()
    print_result(bench, document, start)
    if no_rates:
        print(f"bench: there are no packet rates: {no_rates}\nOn a busy machine frames are lost where nothing "
              "waits for them: run again when it is idle, or with RATES=0.")
    return 1 if no_rates or any(r["gate"] for r in bench.results) else 0


if __name__ == "__main__":
    sys.exit(main())
