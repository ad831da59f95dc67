# SPDX-License-Identifier: GPL-2.0
"""From the test files, a pattern and device parameters to guests and cases."""

import fnmatch
import importlib
import itertools
import sys
from dataclasses import dataclass, field, replace

from . import paths
from .kernel import Kernel
from .params import Params, covering, combinations, extra_combinations

# NICs under test that share a guest; each costs a tap and its queues.
NICS_PER_GUEST = 8
# The pattern that stands for what `make test` runs on the debug kernel.
CI = "ci"


@dataclass
class GuestPlan:
    name: str
    nics: list                      # Params; the last one is the peer
    kernel: Kernel
    cases: list = field(default_factory=list)
    peer_driver: str = "c"
    peer_params: str = ""           # the peer's own, beside what all peers have
    memory: str = "1G"
    ci: bool = False                # a sample, for `make test`
    brief: bool = False             # of a run of everything: long cases do less
    in_memory: bool = False         # without its file systems
    own_guest: bool = False         # not shared with other suites
    processors: int = None          # or as many as its NICs have queue pairs
    counted: bool = False           # with a clock that counts instructions
    sse4: bool = False              # with a processor that has it, where there is emulation

    @property
    def cpus(self):
        return self.processors or max(2, *(nic.pairs for nic in self.nics))


# Suites that are meant by the name of another one, beside those whose names begin with it
# (xdp: xdp_large, ...); "xdp.*" means that one alone.
GROUPS = {
    "netdev": ("device", "devicestats", "failover*", "hash", "lifecycle", "netpoll", "offload", "rings", "rss",
               "statistics", "suspend", "tunnel*"),
    "afxdp": ("dpdk", "iommu", "metadata", "restart", "umem", "unplug"),
    "model": ("devicestats", "vhost_user"),
}


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
    """A suite's name, which means those that go with it too, a case's name, or a glob over
    either, with "-" as good as "_"; "ci" means the cases marked so."""
    if not pattern:
        return True
    if pattern == CI:
        return case.ci
    return any(fnmatch.fnmatchcase(name, glob)
               for name in (case.suite, case.name) for part in pattern.replace("-", "_").split(",")
               for glob in (part, f"{part}_*" if name == case.suite else part, *GROUPS.get(part, ())))


def are_suites(pattern):
    """Whether whole suites are meant."""
    _, modules = collect()
    return all(part.removesuffix(".*") in modules for part in filter(None, pattern.replace("-", "_").split(",")))


def _sets(module, full, kernel):
    """The device parameter sets of a suite."""
    declared = getattr(module, "PARAMS", [""])
    if full:
        declared = getattr(module, "FULL_PARAMS", declared)
    if full and kernel.name == "debug" and hasattr(module, "DEBUG_PARAMS"):
        declared = [*declared, *module.DEBUG_PARAMS]
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
        # A hub keeps frames for NICs without a driver: there are only two on one, as a cable has only two ends.
        most = 1 if members[0].joined else NICS_PER_GUEST
        for start in range(0, len(members), most):
            yield machine, members[start:start + most]


def peer_of(nics, more=""):
    """The peer's own parameters: plain but for `more`, on a transport that the guest has. QEMU spoils
    large packets inside tunnels on their way to a guest; so that ours can be seen to send
    them, the peer has them segmented on the host. Joined within QEMU both are alike."""
    if nics[0].joined:
        return Params(nics[0])
    # The C driver's own moderation does not survive two suspends.
    own = {"model": {"device": "model", "vq_notf_coal": "off"},
           "vhost-user": {"device": "vhost-user"},
           "qemu": {"guest_tunnel": "off", "guest_tunnel_csum": "off"}}[nics[0].device]
    return Params(transport=nics[0].transport if nics[0].mmio else "modern",
                  queues=max(nic.queues for nic in nics), **own, **Params.parse(more))


def make(kernel, pattern="", drivers=("c", "rust"), params=None, full=False):
    """[GuestPlan]: suites in the order of their files' ORDER, then name. A suite
    with DEBUG_PARAMS has these NICs too in a full run on the debug kernel, and one
    with KERNELS is left out on others, unless it is asked for by its own name; of one with UNASKED
    only those cases are not. PEER are parameters of the peer, CPUS the number of the
    guest's processors, FULL_CPUS several, each with guests of its own; COUNTED is for programs
    that have limits of time, SSE4 for those that Debian has compiled for it. In a run of
    everything that is not full, the C driver, which changes with the kernel only, has a case on
    the first NIC that it is for, but for those of C_ON_ALL."""
    cases, modules = collect()
    named = {part.partition(".")[0] for part in pattern.replace("-", "_").split(",")}
    plans = []
    for suite, module in sorted(modules.items(), key=lambda m: (getattr(m[1], "ORDER", 50), m[0])):
        chosen = [case for case in cases.values()
                  if case.suite == suite and matches(case, pattern)]
        if suite not in named and kernel.name not in getattr(module, "KERNELS", (kernel.name,)):
            continue
        if not pattern and not full and hasattr(module, "UNASKED"):
            chosen = [case for case in chosen if case.function.__name__ in module.UNASKED]
        if not chosen:
            continue
        sets = [Params.parse(params)] if params else _sets(module, full, kernel)
        if pattern == CI:
            sets = sets[:1]
        own = getattr(module, "DRIVERS", drivers)
        if not pattern and not full:
            own = getattr(module, "DRIVERS_UNASKED", own)
        groups = list(_groups(sets))
        all_cpus = (getattr(module, "CPUS", None),)
        if full:
            all_cpus = getattr(module, "FULL_CPUS", all_cpus)
        seen_on_c = None if pattern or full else set()
        for cpus, (index, (machine, nics)) in itertools.product(all_cpus, enumerate(groups)):
            name, processors = kernel.suffix + suite, ""
            if len(groups) > 1:
                name += f"-{machine}-{index + 1}"
            if len(all_cpus) > 1:
                processors = f"+{cpus}cpus"
                name += f"-{cpus}cpus"
            for peer in getattr(module, "PEERS", ("c",)):
                if peer not in drivers and peer != "c":
                    continue
                more = getattr(module, "PEER", "")
                plan = GuestPlan(name if peer == "c" else f"{name}-peer-{peer}",
                                 [*nics, peer_of(nics, more)], kernel,
                                 peer_driver=peer, peer_params=more, ci=pattern == CI,
                                 brief=not pattern and not full,
                                 in_memory=getattr(module, "IN_MEMORY", False),
                                 own_guest=getattr(module, "OWN_GUEST", False),
                                 processors=cpus,
                                 counted=getattr(module, "COUNTED", False),
                                 sse4=getattr(module, "SSE4", False))
                for driver in drivers:
                    if driver not in own:
                        continue
                    # With ours on both ends, only ours is under test.
                    if peer != "c" and driver == "c":
                        continue
                    for nic in nics:
                        for case in chosen:
                            globs = [case.nics] if full else [case.nics, case.sample]
                            if not params and not all(fnmatch.fnmatchcase(nic.label, glob) for glob in globs):
                                continue
                            if driver == "c" and seen_on_c is not None \
                                    and case.function.__name__ not in getattr(module, "C_ON_ALL", ()):
                                if case.name in seen_on_c:
                                    continue
                                seen_on_c.add(case.name)
                            suffix = processors if peer == "c" else f"{processors}+{peer}"
                            if kernel.suffix:
                                suffix += f"+{kernel.name}"
                            variant = f"{case.name}/{nic.label}{suffix}"
                            plan.cases.append({"case": case.name, "label": nic.label,
                                               "driver": driver, "variant": variant,
                                               "id": f"{variant}@{driver}"})
                if plan.cases:
                    plans.append(plan)
    if pattern == CI:
        return _merged(plans)
    return plans if pattern or full else _merged(plans)


# Cases that are worth a second guest, which takes as long to boot as some of them.
WORTH_A_GUEST = 20


def spread(plans, guests):
    """The same cases in up to so many guests: each driver has one of its own where there are fewer, as when
    a single suite is asked for."""
    plans = list(plans)
    while len(plans) < guests:
        several = [plan for plan in plans if len(plan.cases) >= WORTH_A_GUEST
                   and len({entry["driver"] for entry in plan.cases}) > 1]
        if not several:
            break
        longest = max(several, key=lambda plan: len(plan.cases))
        plans.remove(longest)
        for driver in dict.fromkeys(entry["driver"] for entry in longest.cases):
            plans.append(replace(longest, name=f"{longest.name}-{driver}",
                                 cases=[entry for entry in longest.cases if entry["driver"] == driver]))
    return plans


def _kind(plan):
    """What suites must agree on to share a guest, in words."""
    kind = [plan.nics[0].machine, plan.peer_driver, *(["memory"] if plan.in_memory else []),
            *(["own-peer"] if plan.peer_params else [])]
    if plan.ci:
        return "-".join([plan.kernel.name, CI, *kind])
    # More processors than a suite needs make it slow under emulation.
    return "-".join([*kind, f"{plan.cpus}cpus"])


def _merged(plans):
    """The same cases in fewer guests, as booting one costs as much as many cases. Suites that
    leave a guest in a bad state, or want one in a good state, have OWN_GUEST; a sample's
    cases do neither."""
    guests, shared, named = [], {}, {}
    for plan in plans:
        if plan.own_guest and not plan.ci:
            guests.append(plan)
            continue
        members = shared.setdefault((_kind(plan), plan.peer_params), [])
        nics = [nic for nic in plan.nics[:-1]
                if not members or nic.label not in {other.label for other in members[-1].nics}]
        if members and (plan.ci or len(members[-1].nics) + len(nics) <= NICS_PER_GUEST + 1):
            guest = members[-1]
            guest.nics[-1:] = [*nics, peer_of([*guest.nics[:-1], *nics], plan.peer_params)]
            guest.cases += plan.cases
            continue
        number = named[_kind(plan)] = named.get(_kind(plan), 0) + 1
        plan.name = "-".join([_kind(plan), *([str(number)] if number > 1 else [])])
        members.append(plan)
        guests.append(plan)
    return guests
