# SPDX-License-Identifier: GPL-2.0
"""Runs what is missing in guests, and makes results of all that is there."""

import sys
import time
from pathlib import Path
from statistics import median

import counts
import guest
import probes
import results
import store
import symbols
from collect import Collector, CountCollector
from scenarios import QUICK, SCENARIOS, SIDES, make_plan
# By the path that guest.py has set.
from vnr.accel import choose as choose_accel

PROJECT = Path(__file__).resolve().parents[3]
RATE_REPEATS, RATE_FULL_REPEATS = 3, 5
COUNTING = ("icount", "tap")


class Bench:
    def __init__(self, args, out, pace):
        self.args, self.out, self.pace = args, out, pace
        self.release = Path("/etc/virtio-net-rs/kernel-release").read_text().strip()
        rust = "virtio_net" if args.rust_as == "c" else "virtio_net_rs"
        self.drivers = {"c": "virtio_net", "rust": rust}
        self.groups = counts.Groups()
        self.rate_accel = "not measured"
        self.results, self.texts = [], {}
        self.void = []  # of repeats that are missing, why
        self.fresh = set()  # (kind, name) of what this run measures
        self.repeats = {"now": 0, "before": 0}

    def prepare(self):
        tools = self.out / "tools"
        tools.mkdir(parents=True, exist_ok=True)
        self.plugin, agent = guest.build_tools(tools)
        extra = [] if self.args.rust_as == "c" else [self.args.module]
        self.archive, self.modules = guest.build_initramfs(
            tools, self.release, agent, extra
        )
        here = Path(__file__).resolve().parent
        # What a stored repeat depends on beside its definition: who counts, sends and collects.
        host = [here / f"{name}.py" for name in ("collect", "counts", "guest", "peer")]
        sources = sorted([*here.glob("guest/*"), *here.glob("plugin/*"), *host, guest.DPDK])
        self.module_key = store.digest(*map(Path, extra))
        self.store = store.Store(self.out / "parts", store.digest(
            *sources, *map(Path, extra), self.release, Path(f"/boot/vmlinuz-{self.release}"),
            guest.run("qemu-system-x86_64", "--version"),
        ))
        _, self.fast = choose_accel()

    # What there is to run: kind of guest, scenario, the numbers of its repeats.

    def wanted(self, kind):
        """The scenarios or probes of this kind, with how many repeats each is to have."""
        full = self.args.full
        if kind == "rate":
            return {s: RATE_FULL_REPEATS if full and s.name in QUICK else RATE_REPEATS
                    for s in ([] if self.args.no_rates else self.args.scenarios)}
        chosen = self.args.probes if kind == "probe" else [
            s for s in self.args.scenarios if s.guest == kind]
        return {s: s.full_repeats if full else s.repeats for s in chosen}

    def definition(self, kind, scenario):
        """Stands for all of a scenario but how often it is repeated, and for its guest."""
        command = guest.qemu_command(Path("."), "", "", {scenario.nic}, **self.options(kind))
        return store.digest(scenario.identity(), [c for c in command if str(self.out) not in c])

    def options(self, kind):
        if kind == "rate":
            return {"accel": self.fast}
        icount = kind in ("icount", "probe")
        plugin = self.plugin if kind in COUNTING else None
        return {"accel": "tcg", "plugin": plugin, "icount": icount}

    def missing(self, kind):
        found = {}
        for scenario, repeats in self.wanted(kind).items():
            numbers = list(range(repeats))
            if self.args.resume:
                numbers = self.store.missing(
                    kind, scenario.name, self.definition(kind, scenario), numbers)
            found[scenario] = numbers
        return found

    def measure(self):
        """All guests; returns why there are no rates, or None. What was counted is worth a
        report without them."""
        kinds = (*COUNTING, "probe", "rate")
        work = {kind: self.missing(kind) for kind in kinds}
        for kind, found in work.items():
            for scenario, numbers in found.items():
                # What an earlier run found is not to stand for what this one does not find.
                self.store.forget(kind, scenario.name, self.definition(kind, scenario), numbers)
                self.repeats["now"] += len(numbers)
                self.repeats["before"] += self.wanted(kind)[scenario] - len(numbers)
                if numbers:
                    self.fresh.add((kind, scenario.name))
                self.pace.plan(kind, scenario.name, len(numbers))
        if self.repeats["before"]:
            sys.stderr.write(f"bench: goes on from {self.repeats['before']} repeats that were measured before "
                             "(FRESH=1 measures all anew)\n")
        no_rates = None
        for kind in kinds:
            if any(work[kind].values()):
                try:
                    self.run(kind, {s: n for s, n in work[kind].items() if n})
                except guest.GuestError as error:
                    if kind == "rate":
                        no_rates = error
                    else:
                        # What else there is is worth a report as well.
                        sys.stderr.write(f"bench: {error}\n")
                        self.void.append(f"the {kind} guest ended too early: {error}")
            self.pace.skip(kind)
        return no_rates

    def run(self, kind, work):
        """All of these repeats; those of which something was lost once more, in a guest of
        their own."""
        if void := self.boot(kind, work):
            again = {}
            for scenario, repeat, why in void:
                sys.stderr.write(f"bench: {scenario.name}, repeat {repeat} is void and is made again: {why}\n")
                again.setdefault(scenario, []).append(repeat)
                self.pace.plan(kind, scenario.name, 1)
            self.void += [f"{scenario.name}, repeat {repeat}: {why}"
                          for scenario, repeat, why in self.boot(kind, again)]

    def boot(self, kind, work):
        """Runs one guest with these repeats and keeps each as soon as it is complete. Returns
        those of which something was lost, as (scenario, repeat, why)."""
        out = self.out / kind
        out.mkdir(exist_ok=True)
        by_name = {s.name: s for s in work}
        make = probes.make_plan if kind == "probe" else make_plan
        plan = make(list(work), self.drivers, lambda s: work[s], rate=kind == "rate")
        command = guest.qemu_command(
            out, self.release, self.archive, {s.nic for s in work}, **self.options(kind)
        )
        total, state = sum(map(len, work.values())), {"done": 0, "at": "", "since": None}
        began = time.monotonic()
        lost = []

        def keep(name, repeat, sides):
            scenario = by_name[name]
            self.store.save(sides, kind, name, self.definition(kind, scenario), repeat)
            over(name)

        def void(name, repeat, why):
            lost.append((by_name[name], repeat, why))
            over(name)

        def over(name):
            now = time.monotonic()
            self.pace.done(kind, name, now - state["since"])
            self.pace.save()
            state.update(done=state["done"] + 1, since=now)

        def parts_of(name):
            scenario = by_name[name]
            if kind == "rate":
                return scenario.nic, ("rate",)
            return scenario.nic, tuple(part for part, _, _ in scenario.parts)

        def flaw(name, part, numbers):
            return None if kind == "rate" else by_name[name].flaw(part, numbers)

        if kind in COUNTING:
            collector = CountCollector(parts_of, keep, void, flaw, out=out, pack=store.pack)
        else:
            collector = Collector(parts_of, keep, void, flaw)

        def take(line):
            if state["since"] is None:
                state["since"] = time.monotonic()
                self.pace.done(kind, "boot", state["since"] - began)
            if line[0] == "part":
                state["at"] = line[1]
            collector.take(line)

        def show(last=False):
            at = f"{state['done']}/{total} repeats {'' if last else state['at']}".strip()
            self.pace.show(f"{kind} guest", at, time.monotonic() - (state["since"] or began), last)

        limit = self.args.limit or 60 + 6 * plan.parts
        try:
            guest.run_guest(out, command, plan, f"{kind} guest", limit, take, show)
        except guest.GuestError:
            # Nobody makes them again.
            self.void += [f"{scenario.name}, repeat {repeat}: {why}" for scenario, repeat, why in lost]
            raise
        finally:
            show(last=True)
        return lost

    # What comes of it.

    def stored(self, kind, scenario):
        """All repeats that are wanted; some can be missing, where a guest failed or lost something."""
        definition = self.definition(kind, scenario)
        found = (self.store.load(kind, scenario.name, definition, repeat)
                 for repeat in range(self.wanted(kind)[scenario]))
        return [sides for sides in found if sides]

    def evaluate(self):
        for scenario in self.args.scenarios:
            if stored := self.stored(scenario.guest, scenario):
                self.results.append(self.scenario(scenario, stored)
                                    | {"fresh": (scenario.guest, scenario.name) in self.fresh})
        if not self.args.no_rates:
            self.rates()
        found = [(probe, self.stored("probe", probe)) for probe in self.args.probes]
        return [probes.result(probe, stored) | {"fresh": ("probe", probe.name) in self.fresh}
                for probe, stored in found if stored]

    def scenario(self, scenario, stored):
        costs, sources = {side: [] for side in SIDES}, []
        for sides in stored:
            nics = {side: sides[side]["nic"] for side in SIDES}
            for side in SIDES:
                scaled = {
                    part: (value["done"] / scenario.unit_size, store.unpack(value))
                    for part, value in sides[side]["parts"].items()
                }
                cost = counts.Cost(
                    counts.per_unit(scenario, scaled), self.groups, self.drivers[side])
                costs[side].append(cost)
                if "source" in scaled:
                    units, dump = scaled["source"]
                    alone = {place: n / units for place, n in dump.items()}
                    sources.append(counts.Cost(alone, self.groups, self.drivers[side]))
        kept = {side: keep_lowest(costs[side], scenario.keep) for side in SIDES}
        source = sources and {
            key: round(median(getattr(s, key) for s in sources), 2) for key in ("total", "core")
        }
        units = sum(amount for part, amount, _ in scenario.parts if part != "source")
        result, rows = results.scenario_result(
            scenario, kept, source or None, units / scenario.unit_size, nics, self.drivers,
            self.groups,
        )
        result["repeats_run"] = len(costs["c"])
        result["spread_of_all"] = max(
            results.spread([c.total for c in costs[side]]) for side in SIDES
        )
        self.write_symbols(scenario, rows, kept)
        return result

    def write_symbols(self, scenario, rows, kept):
        text = symbols.listing(scenario, rows)
        (self.out / f"{scenario.name}.symbols.txt").write_text(text)
        self.texts[scenario.name] = text
        for side in SIDES:
            module = self.modules / f"{self.drivers[side]}.ko"
            listing = symbols.annotate(kept[side], self.drivers[side], module)
            (self.out / f"{scenario.name}.{side}.annotate.txt").write_text(listing)

    def rates(self):
        """Rates beside the counts: a guest without plugin, runs interleaved."""
        for result in self.results:
            scenario = SCENARIOS[result["name"]]
            rates = {side: [] for side in SIDES}
            for sides in self.stored("rate", scenario):
                for side in SIDES:
                    done, ns = sides[side]["parts"]["rate"]
                    rates[side].append(done / scenario.unit_size / (ns / 1e9))
            if not rates["c"]:
                continue
            self.rate_accel = self.fast
            c, rust = median(rates["c"]), median(rates["rust"])
            result["rate"] = {
                "unit": result["unit"], "accel": self.fast, "c": round(c, 1),
                "rust": round(rust, 1), "ratio": round(rust / c, 3),
                "spread": round(max(results.spread(v) for v in rates.values()), 3),
            }


def keep_lowest(costs, share):
    """That share of the repeats, at least one, with the lowest totals."""
    return sorted(costs, key=lambda c: c.total)[: max(1, round(share * len(costs)))]
