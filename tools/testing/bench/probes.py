# SPDX-License-Identifier: GPL-2.0
"""What is measured beside the scenarios: latency at a fixed load, memory, and what a frame costs
without the kernel.

All in a guest with -icount and without the plugin, so that guest time is what was executed.
"""

from dataclasses import dataclass
from statistics import median

from results import spread
from scenarios import NICS, SIDES, Plan

LATENCY = ("p50", "p90", "p99", "max", "busy")
# States of the NIC in the order in which the guest prints them, and what it prints of each.
STATES = ("unbound", "bound", "one", "four")
MEMORY = ("all", "slab", "percpu", "page_pool")
COMPARED = STATES[2:]


@dataclass(frozen=True)
class Probe:
    name: str
    what: str  # "latency", "memory" or "bypass"
    nic: str
    parts: tuple
    warm: str = ""
    repeats: int = 3
    full_repeats: int = 5
    # Only where it is named: no part of "all" or of a pattern.
    by_name: bool = False

    def identity(self):
        return self.name, self.what, self.nic, self.parts, self.warm

    def flaw(self, part, numbers):
        """Why what was measured is worth nothing, or None."""
        if self.what != "bypass":
            return None
        amount = self.parts[0][1]
        done, _, bursts = numbers
        if done != amount:
            return f"{done} of {amount} frames received"
        if bursts < amount / BURST / 2:
            return f"{bursts} whole bursts of {amount // BURST}"
        return None


FRAMES = 10000
# Of frames that arrive at once.
BURST = 32


def latency(name, mode, gap, **others):
    """Frames at random times, `gap` nanoseconds apart on average; the same times always."""
    return Probe(
        name=name, what="latency", nic="lat",
        parts=(("main", FRAMES, f"latency {mode} {{n}} {gap}"),),
        warm=f"latency {mode} 1000 {gap}",
        **others,
    )


def bypass(name, what):
    """The NIC of scenario xsk-zc-NAME, driven by DPDK in a process."""
    return Probe(name=f"bypass-{name}", what="bypass", nic="rx",
                 parts=(("main", 4096, f"bypass {what} {{n}} {NICS['rx'].slot}"),))


PROBES = {
    p.name: p
    for p in (
        latency("latency-udp", "socket", 50000),
        # Their way back is by the e1000, which was seen to hold frames back for 128 us: most of
        # what they show is that, until it is shown to be mended.
        latency("latency-udp-echo", "echo", 80000, by_name=True),
        latency("latency-xdp-tx", "xdp", 50000, by_name=True),
        bypass("rxdrop", "rx"),
        bypass("l2fwd", "macswap"),
        Probe(name="memory", what="memory", nic="tx4", parts=(("main", 1, "memory"),)),
    )
}


def make_plan(chosen, drivers, repeats, rate=False):
    """As that of the scenarios; memory is measured from an unbound NIC on."""
    assert not rate
    plan = Plan()
    plan.lines.append('nics="%s"' % " ".join(sorted({NICS[p.nic].slot for p in chosen})))
    plan.lines.append("load " + " ".join(dict.fromkeys(drivers.values())))
    for probe in chosen:
        nic = NICS[probe.nic]
        if probe.what == "memory":
            # What is allocated once and stays is not a queue's.
            for side in SIDES:
                plan.part(probe, side, 0, "warm", f"memory {drivers[side]} {nic.slot}")
        for repeat in repeats(probe):
            for side in SIDES:
                if probe.what == "memory":
                    plan.part(probe, side, repeat, "main", f"memory {drivers[side]} {nic.slot}")
                    continue
                if probe.what == "bypass":
                    # Neither driver: the two sides are two turns.
                    for part, amount, command in probe.parts:
                        plan.part(probe, side, repeat, part, command.format(n=amount))
                    continue
                plan.lines.append(f"attach {side} {drivers[side]} {nic.slot} {nic.address}")
                plan.part(probe, side, repeat, "warm", probe.warm)
                for part, amount, command in probe.parts:
                    plan.part(probe, side, repeat, part, command.format(n=amount))
                plan.lines.append(f"detach {nic.slot}")
    return plan


def result(probe, stored):
    """From all repeats: medians, ratios, spreads."""
    numbers = {side: [sides[side]["parts"]["main"] for sides in stored] for side in SIDES}
    make = {"latency": latency_result, "memory": memory_result, "bypass": bypass_result}[probe.what]
    return {"name": probe.name, "what": probe.what, "repeats": len(stored), **make(probe, numbers)}


def latency_result(probe, numbers):
    sides = {}
    for side in SIDES:
        columns = dict(zip(LATENCY, zip(*(row[2:] for row in numbers[side]))))
        sides[side] = {key: median(values) for key, values in columns.items()}
        sides[side]["busy"] = round(sides[side]["busy"] / 1000, 3)
        sides[side]["spread"] = {key: round(spread(columns[key]), 5) for key in LATENCY[:3]}
    _, amount, command = probe.parts[0]
    return {
        "unit": "ns", "frames": amount, "gap": int(command.split()[-1]), **sides,
        "ratio": {key: round(sides["rust"][key] / sides["c"][key], 4) for key in LATENCY[:3]},
    }


def bypass_result(probe, numbers):
    rows = [row for side in SIDES for row in numbers[side]]
    costs = [ticks / BURST for _, ticks, _ in rows]
    return {"unit": "packet", "beside": probe.name.replace("bypass", "xsk-zc"), "total": round(median(costs), 2),
            "spread": round(spread(costs), 5)}


def memory_result(probe, numbers):
    sides = {}
    for side in SIDES:
        rows = [memory_row(row) for row in numbers[side]]
        sides[side] = {
            state: {key: median(row[state][key] for row in rows) for key in MEMORY}
            for state in rows[0]
        }
        sides[side]["spread"] = {
            state: round(spread([row[state]["all"] for row in rows]), 5) for state in COMPARED}
    ratio = {state: round(sides["rust"][state]["all"] / sides["c"][state]["all"], 4)
             for state in COMPARED}
    return {"unit": "KiB", **sides, "ratio": ratio}


def memory_row(row):
    """KiB that each state takes more than none, and what one queue pair more takes."""
    at = {state: dict(zip(MEMORY, row[i * len(MEMORY):])) for i, state in enumerate(STATES)}
    # The first number is what is free.
    for state in at.values():
        state["all"] = -state["all"]
    taken = {
        state: {key: at[state][key] - at["unbound"][key] for key in MEMORY}
        for state in STATES[1:]
    }
    taken["per_queue"] = {
        key: round((at["four"][key] - at["one"][key]) / 3, 1) for key in MEMORY
    }
    return taken
