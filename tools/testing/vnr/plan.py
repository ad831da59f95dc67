# SPDX-License-Identifier: GPL-2.0
"""From the test files, a pattern and device parameters to guests and cases."""

import fnmatch
import importlib
import sys
from dataclasses import dataclass, field

from . import paths
from .params import Params, covering, combinations, extra_combinations

# NICs under test that share a guest; each costs a tap and its queues.
NICS_PER_GUEST = 6


@dataclass
class GuestPlan:
    name: str
    nics: list                      # Params; the last one is the peer
    cases: list = field(default_factory=list)
    peer_driver: str = "c"
    memory: str = "1G"


def collect():
    """All cases, by name, from tests/test_*.py, and their modules."""
    for folder in (paths.GUEST, paths.TESTS):
        sys.path.insert(0, str(folder))
    sys.dont_write_bytecode = True
    vnrtest = importlib.import_module("vnrtest")
    modules = {}
    for file in sorted(paths.TESTS.glob("test_*.py")):
        modules[file.stem.removeprefix("test_")] = importlib.import_module(file.stem)
    return vnrtest.CASES, modules


def matches(case, pattern):
    """A suite's name, a case's name, or a glob over either."""
    if not pattern:
        return True
    return any(fnmatch.fnmatchcase(name, glob)
               for name in (case.suite, case.name)
               for part in pattern.split(",") for glob in (part, part + ".*"))


def _sets(module, full):
    """The device parameter sets of a suite."""
    declared = getattr(module, "PARAMS", [""])
    if declared != "matrix":
        return [Params.parse(text) for text in declared]
    if not full:
        return covering()
    seen = {params.label: params for params in [*combinations(), *extra_combinations()]}
    return list(seen.values())


def _groups(sets):
    """Parameter sets that can share a guest."""
    groups = {}
    for params in sets:
        groups.setdefault(params.machine, []).append(params)
    for machine in groups:
        members = groups[machine]
        for start in range(0, len(members), NICS_PER_GUEST):
            yield machine, members[start:start + NICS_PER_GUEST]


def peer_of(nics):
    """The peer's own parameters: plain, on a transport that the guest has."""
    own = {"device": nics[0].device} if nics[0].model else {}
    return Params(transport=nics[0].transport if nics[0].mmio else "modern",
                  queues=max(nic.queues for nic in nics), **own)


def make(pattern="", drivers=("c", "rust"), params=None, full=False):
    """[GuestPlan]: suites in the order of their files' ORDER, then name."""
    cases, modules = collect()
    plans = []
    for suite, module in sorted(modules.items(), key=lambda m: (getattr(m[1], "ORDER", 50), m[0])):
        chosen = [case for case in cases.values()
                  if case.suite == suite and matches(case, pattern)]
        if not chosen:
            continue
        sets = [Params.parse(params)] if params else _sets(module, full)
        groups = list(_groups(sets))
        for index, (machine, nics) in enumerate(groups):
            name = suite if len(groups) == 1 else f"{suite}-{machine}-{index + 1}"
            for peer in getattr(module, "PEERS", ("c",)):
                if peer not in drivers and peer != "c":
                    continue
                plan = GuestPlan(name if peer == "c" else f"{name}-peer-{peer}",
                                 [*nics, peer_of(nics)], peer_driver=peer)
                for driver in drivers:
                    if driver not in getattr(module, "DRIVERS", drivers):
                        continue
                    # With ours on both ends, only ours is under test.
                    if peer != "c" and driver == "c":
                        continue
                    for nic in nics:
                        for case in chosen:
                            if not params and not fnmatch.fnmatchcase(nic.label, case.nics):
                                continue
                            suffix = "" if peer == "c" else f"+{peer}"
                            variant = f"{case.name}/{nic.label}{suffix}"
                            plan.cases.append({"case": case.name, "label": nic.label,
                                               "driver": driver, "variant": variant,
                                               "id": f"{variant}@{driver}"})
                if plan.cases:
                    plans.append(plan)
    return plans
