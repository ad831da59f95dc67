# SPDX-License-Identifier: GPL-2.0
"""The scenarios: what runs in which guest, and how counts become a cost.

A scenario has parts, each one run of traffic between two markers. How the
parts combine into instructions per unit is its method:

  minus-source  (main - source) / units: the source, alone in the same guest,
                is taken off, symbol by symbol
  slope         (long - short) / (units of long - units of short): sheds the
                cost of starting and stopping
  plain         main / units
"""

from dataclasses import dataclass, field, fields, replace

MIB = 1 << 20


@dataclass(frozen=True)
class Nic:
    """A virtio NIC of the guest: its PCI slot and address."""

    slot: str
    address: str


NICS = {
    "rx": Nic("10", "10.0.0.2/24"),
    "tx": Nic("11", "10.0.1.2/24"),
    "tap": Nic("12", "10.0.2.2/24"),
    "tx4": Nic("14", "10.0.3.2/24"),
    "lat": Nic("15", "10.0.4.2/24"),
}
# Frames are redirected from one of them to the other: a guest has both or none.
PAIR = {"rx", "tx"}


def with_pair(nics):
    return nics | PAIR if nics & PAIR else nics


@dataclass(frozen=True)
class Scenario:
    name: str
    guest: str  # which guest measures it: "icount" or "tap"
    nic: str
    method: str
    # (part, units, guest command); the command's "{n}" is the units' amount
    parts: tuple
    warm: str
    rate: str  # command of the rate run
    # Another NIC that takes part, and its driver: the one under test if that is None.
    beside: tuple = None
    unit: str = "packet"
    unit_size: int = 1  # what the guest reports per unit (bytes of a MiB)
    repeats: int = 5
    full_repeats: int = 9
    # Share of the repeats that is used, those of the lowest totals. Without icount
    # a busy host makes batches smaller, which adds to a count and says nothing of
    # a driver.
    keep: float = 1.0

    def identity(self):
        """All that what it measures depends on: not how often it does."""
        return NICS[self.nic], *(
            getattr(self, f.name) for f in fields(self)
            if f.name not in ("repeats", "full_repeats", "keep")
        )

    def flaw(self, part, numbers):
        """Why a count of that part is worth nothing, or None."""
        amount = next(amount for name, amount, _ in self.parts if name == part)
        return None if numbers[0] == amount else f"{numbers[0]} of {amount} delivered"


def received(name, command, source=None, gap=600000, **others):
    """Bursts of 32 frames from the guest's e1000 to `command`, which takes count, delay (that
    gap, ns) and address; `source` is what costs the same up to the NIC, if that is another one."""
    return Scenario(**{
        "name": name,
        "guest": "icount",
        "nic": "rx",
        "method": "minus-source",
        "parts": (
            ("source", 4096, f"{source or command} {{n}} {gap} $foreign_mac"),
            ("main", 4096, f"{command} {{n}} {gap} $mac"),
        ),
        "warm": f"{command} 1024 {gap} $mac",
        "rate": f"{command} 20000 0 $mac",
        **others,
    })


def sent(name, command, short, long):
    """Frames from `command`, which takes their number, to a device where they vanish."""
    return Scenario(
        name=name,
        guest="icount",
        nic="tx",
        method="slope",
        parts=(("short", short, f"{command} {{n}}"), ("long", long, f"{command} {{n}}")),
        warm=f"{command} 4096",
        rate=f"{command} 20000",
    )


# How frames are made that are not of 60 bytes: the largest ones, and those of jumbo frames.
SIZES = {"": "", "@1500": "sized 1514 ", "@9000": "jumbo "}


def xsk(mode, what, size="", c_mode=None, suffix=""):
    """A socket of AF_XDP that is bound with `mode`, with the C driver with `c_mode` if it
    cannot do the same."""
    name = f"xsk-{mode.split('@')[0]}-{what}{size}{suffix}"
    modes = f"{mode} {c_mode or mode}"
    if what != "txonly":
        # An instruction for each byte that is copied there and back, in a nanosecond each.
        gap = 2400000 if (what, size) == ("l2fwd", "@9000") else 600000
        return received(name, f"{SIZES[size]}xsk_rx {what} {modes}", gap=gap)
    # Long frames cost more, and counts repeat as well with fewer.
    short, long = (512, 4608) if size == "@9000" else (2048, 18432)
    return sent(name, f"{SIZES[size]}xsk_tx {modes}", short, long)


SCENARIOS = {
    s.name: s
    for s in (
        received("udp-rx", "udp_rx"),
        sent("udp-tx", "udp_tx", 1024, 9216),
        replace(sent("pktgen-tx", "pktgen_tx", 2048, 34816), rate="pktgen_tx 40000"),
        *(received(f"xdp-{program}", f"xdp_rx {program}") for program in ("drop", "tx")),
        received("xdp-pass", "xdp_pass", source="udp_rx"),
        received("xdp-mb-drop", "jumbo xdp_rx drop_frags"),
        received("xdp-redirect", "xdp_redirect", beside=("tx", None)),
        # The source is a NIC with the C driver, whose program drops what it does not redirect.
        received("xdp-ndo-xmit", "xdp_ndo_xmit", nic="tx", beside=("rx", "virtio_net")),
        *(
            xsk(mode, what, size)
            for size in ("", "@1500")
            for mode, what in (
                ("zc", "rxdrop"), ("zc", "l2fwd"), ("zc", "txonly"), ("copy", "rxdrop"),
                ("copy", "txonly"),
            )
        ),
        # A null device completes no checksums; a tap does.
        replace(xsk("zc@csum", "txonly", "", "zc", "@csum"), nic="tx4"),
        xsk("zc@sg", "txonly", "", "zc", "@sg"),
        # The C driver has no zero-copy for frames in several buffers.
        *(xsk("zc@sg", what, "@9000", "copy@sg", "@c-copy") for what in ("rxdrop", "l2fwd", "txonly")),
        *(xsk("copy@sg", what, "@9000") for what in ("rxdrop", "txonly")),
        *(
            Scenario(
                name=f"pktgen-tx@{n}q",
                guest="icount",
                nic="tx4",
                method="slope",
                parts=(
                    ("short", 4096, f"pktgen_tx_queues {n} {{n}}"),
                    ("long", 36864, f"pktgen_tx_queues {n} {{n}}"),
                ),
                warm=f"pktgen_tx_queues {n} 8192",
                rate=f"pktgen_tx_queues {n} 40000",
            )
            for n in (1, 2, 4)
        ),
        Scenario(
            name="tcp-rx",
            guest="tap",
            nic="tap",
            method="plain",
            parts=(("main", 96 * MIB, "tcp_rx {n} %d" % (16 * MIB)),),
            warm="tcp_rx %d %d" % (16 * MIB, MIB),
            rate="tcp_rx %d %d" % (256 * MIB, 16 * MIB),
            unit="MiB",
            unit_size=MIB,
            repeats=12,
            full_repeats=24,
            keep=0.5,
        ),
        Scenario(
            name="tcp-tx",
            guest="tap",
            nic="tap",
            method="plain",
            parts=(("main", 96 * MIB, "tcp_tx {n} %d" % (16 * MIB)),),
            warm="tcp_tx %d %d" % (16 * MIB, MIB),
            rate="tcp_tx %d %d" % (256 * MIB, 16 * MIB),
            unit="MiB",
            unit_size=MIB,
            repeats=12,
            full_repeats=24,
            keep=0.5,
        ),
    )
}

QUICK = (
    "udp-rx", "udp-tx", "pktgen-tx", "pktgen-tx@4q", "xdp-drop", "xdp-tx", "xdp-pass",
    "xsk-zc-rxdrop", "xsk-zc-txonly", "xsk-zc-l2fwd", "tcp-rx", "tcp-tx",
)

SIDES = ("c", "rust")


def sized(name, bytes_, label):
    """The scenario with frames of that many bytes (without checksum) instead of 60."""
    base, prefix = SCENARIOS[name], f"sized {bytes_} "
    return replace(
        base,
        name=f"{name}@{label}",
        parts=tuple((part, amount, prefix + command) for part, amount, command in base.parts),
        warm=prefix + base.warm,
        rate=prefix + base.rate,
    )


# 512 is as it goes over the wire; 1500 what the largest frame carries.
SCENARIOS.update(
    (scenario.name, scenario)
    for name in ("udp-rx", "pktgen-tx", "xdp-drop")
    for scenario in (sized(name, 508, "512"), sized(name, 1514, "1500"))
)
# A run of everything has fewer repeats of what is beside others.
SCENARIOS.update(
    (name, replace(scenario, full_repeats=scenario.repeats))
    for name, scenario in SCENARIOS.items() if "@" in name and name not in QUICK
)


@dataclass(frozen=True)
class Bound:
    """The highest ratio to C that passes; a total of None: 1 plus the spread of the runs. `own`
    is the most that the driver's own code may cost, in instructions."""

    core: float = 1.05
    total: float | None = None
    own: float | None = None


# By pattern of the name; the first one that matches holds.
BOUNDS = (
    ("xdp-drop*", Bound(core=0.85, own=300)),
    ("xdp-tx*", Bound(core=0.85)),
    ("xdp-*", Bound(core=1.00)),
    ("xsk-zc-rxdrop*", Bound(core=0.95)),
    ("xsk-zc-l2fwd*", Bound(core=0.80)),
    # The C driver has no checksums here: it is compared without.
    ("xsk-zc-txonly@csum", Bound()),
    ("xsk-zc-txonly*", Bound(core=0.65, total=0.60)),
    ("*", Bound()),
)
# Of the spread, a total gets at most this.
TOTAL_SLACK_CAP = 0.01


@dataclass
class Plan:
    """The commands of one guest, and how many results to expect of it."""

    lines: list = field(default_factory=list)
    parts: int = 0

    def part(self, scenario, side, repeat, part, command):
        self.lines.append(f"part {scenario.name} {side} {repeat} {part} {command}")
        self.parts += 1


def make_plan(scenarios, drivers, repeats, rate=False):
    """C and Rust in turn, every time freshly bound, with warm pools. `repeats` gives the
    numbers of a scenario's repeats."""
    used = with_pair({s.nic for s in scenarios})
    plan = Plan()
    slots = " ".join(NICS[n].slot for n in sorted(used))
    plan.lines.append(f'nics="{slots}"')
    plan.lines.append("load " + " ".join(dict.fromkeys(drivers.values())))
    for scenario in scenarios:
        nic, other = NICS[scenario.nic], None
        if scenario.beside:
            other, other_driver = NICS[scenario.beside[0]], scenario.beside[1]
        for repeat in repeats(scenario):
            for side in SIDES:
                if other:
                    plan.lines.append(
                        f"beside {other_driver or drivers[side]} {other.slot} {other.address}"
                    )
                plan.lines.append(
                    f"attach {side} {drivers[side]} {nic.slot} {nic.address}"
                )
                plan.part(scenario, side, repeat, "warm", scenario.warm)
                if rate:
                    plan.part(scenario, side, repeat, "rate", scenario.rate)
                else:
                    for part, amount, command in scenario.parts:
                        plan.part(
                            scenario, side, repeat, part, command.format(n=amount)
                        )
                plan.lines.append(f"detach {nic.slot}")
                if other:
                    plan.lines.append(f"detach {other.slot}")
    return plan
