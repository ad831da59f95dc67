# SPDX-License-Identifier: GPL-2.0
"""Device parameters: from names such as "packed=on,mode=big,queues=4" to what
QEMU is told, and the sets of them that are tested.

Keys of ours: ring=split|packed, mode=mergeable|small|big, queues=N,
transport=modern|legacy|mmio|mmio-legacy, device=qemu|model|vhost-user: QEMU's
device on a tap, the device model's PCI function, or QEMU's device with the
model's rings behind it; wire=tap|hub|cable: what QEMU's device is on. A hub is within QEMU, as
are the sockets of a cable, and joins the guest's two NICs: frames alone, without offloads, and one
queue pair. plug=slot|port: a PCI device's place is in the machine, or behind a port, from which it
can be unplugged. iommu=intel|virtio|swiotlb is the guest's: an IOMMU that its kernel uses, or
bounce buffers for all DMA. Anything else
(host_mtu=9000, iommu_platform=on, ...) goes to the QEMU device, or to the device model,
as it is."""

import itertools
import json

GUEST_GSO = ("guest_tso4", "guest_tso6", "guest_ecn", "guest_ufo", "guest_uso4", "guest_uso6")
# QEMU's microvm gives its first four transports the interrupts of its PCI links.
MMIO_FIRST = 4
CONTROLLED = ("ctrl_rx", "ctrl_rx_extra", "ctrl_vlan", "ctrl_mac_addr", "ctrl_guest_offloads",
              "guest_announce")
DEFAULTS = {"ring": "split", "mode": "mergeable", "queues": "1", "transport": "modern",
            "device": "qemu", "wire": "tap", "plug": "slot", "iommu": "none"}
VALUES = {
    "ring": ("split", "packed"),
    "mode": ("mergeable", "small", "big"),
    "queues": None,
    "transport": ("modern", "legacy", "mmio", "mmio-legacy"),
    "device": ("qemu", "model", "vhost-user"),
    "wire": ("tap", "hub", "cable"),
    "plug": ("slot", "port"),
    "iommu": ("none", "intel", "virtio", "swiotlb"),
}
# What each takes: of QEMU, before any device that is behind it, and of the kernel.
IOMMUS = {
    "none": ([], []),
    "intel": (["-device", "intel-iommu,intremap=off"], ["intel_iommu=on", "iommu.passthrough=0"]),
    "virtio": (["-device", "virtio-iommu-pci"], ["iommu.passthrough=0"]),
    "swiotlb": ([], ["swiotlb=force"]),
}


class ParamError(Exception):
    pass


class Params(dict):
    """One device's parameters; hashable by its label."""

    @classmethod
    def parse(cls, text):
        own = cls()
        for part in filter(None, (text or "").split(",")):
            key, eq, value = part.partition("=")
            if not eq:
                raise ParamError(f"device parameter {part!r} is not key=value")
            # The device's own spelling of ours.
            if key == "packed":
                key, value = "ring", "packed" if value == "on" else "split"
            if VALUES.get(key) and value not in VALUES[key]:
                raise ParamError(f"{key}={value}: one of {', '.join(VALUES[key])} is meant")
            own[key] = value
        if own.legacy and own.ring == "packed":
            raise ParamError("a legacy device has no packed ring")
        if own.model and own.transport != "modern":
            raise ParamError("the device model is a modern PCI device")
        if own.plug == "port" and (own.model or own.mmio):
            raise ParamError("what is plugged into a port is a PCI device of QEMU's")
        if own.joined and (own.model or own.mmio or own.pairs > 1 or own.standby):
            raise ParamError(f"on a {own.wire} is a PCI device of QEMU's with one queue pair")
        return own

    def __getattr__(self, key):
        if key in DEFAULTS:
            return self.get(key, DEFAULTS[key])
        raise AttributeError(key)

    @property
    def pairs(self):
        return int(self.queues)

    @property
    def legacy(self):
        return self.transport.endswith("legacy")

    @property
    def mmio(self):
        return self.transport.startswith("mmio")

    @property
    def model(self):
        """Whether a port of the device model is behind it."""
        return self.device != "qemu"

    @property
    def joined(self):
        """Whether it has no tap, but a wire to the guest's other one."""
        return self.wire != "tap"

    @property
    def machine(self):
        """What NICs of one guest must agree on."""
        if self.model:
            return self.device
        if self.joined:
            return f"{self.wire}-{self.ring}"
        if self.iommu != DEFAULTS["iommu"]:
            return f"pci-{self.iommu}"
        return self.transport if self.mmio else "pci"

    @property
    def label(self):
        parts = [self.device if self.model else self.transport, self.ring, self.mode, f"{self.queues}q"]
        if self.joined:
            parts.append(self.wire)
        if self.plug != DEFAULTS["plug"]:
            parts.append(self.plug)
        if self.iommu != DEFAULTS["iommu"]:
            parts.append(self.iommu)
        parts += [f"{key}={value}" for key, value in sorted(self.items()) if key not in DEFAULTS]
        return "-".join(parts)

    def __hash__(self):
        return hash(self.label)

    def properties(self):
        props = {}
        if self.ring == "packed":
            props["packed"] = "on"
        if self.mode != "mergeable":
            props["mrg_rxbuf"] = "off"
        if self.mode == "small":
            props.update(dict.fromkeys(GUEST_GSO, "off"))
        if self.pairs > 1:
            props["mq"] = "on"
        if not self.mmio:
            if self.pairs > 1:
                props["vectors"] = str(2 * self.pairs + 2)
            if self.legacy:
                props["disable-modern"] = "on"
                props["disable-legacy"] = "off"
            else:
                props["disable-legacy"] = "on"
        if self.get("ctrl_vq") == "off":
            # A device must not offer what needs the control queue without it.
            props.update(dict.fromkeys(CONTROLLED, "off"))
        props.update((key, value) for key, value in self.items() if key not in DEFAULTS)
        return props

    def model_settings(self):
        """What the device model is told of its port."""
        props = {key: value for key, value in self.properties().items()
                 if key not in ("mq", "vectors", "disable-legacy")}
        if self.get("ctrl_vq") == "off":
            props.update(dict.fromkeys(("notf_coal", "vq_notf_coal", "device_stats"), "off"))
        if self.device == "vhost-user":
            props["frontend"] = "vhost-user"
        return {"pairs": self.queues, **props}

    def place(self, index):
        """Where NIC number index is: the transport's number, or the PCI slot's."""
        return MMIO_FIRST + index if self.mmio else 0x10 + index

    def model_args(self, index, socket, mac):
        """QEMU arguments of the NIC number index, a port of the device model. The
        model's own function is behind a bridge, from which it can be unplugged."""
        if self.device == "vhost-user":
            netdev = f"vhost-user,id=net{index},chardev=port{index},queues={self.queues}"
            return ["-chardev", f"socket,id=port{index},path={socket}",
                    "-netdev", netdev, *self._nic(index, mac)]
        device = {"driver": "vfio-user-pci", "id": f"nic{index}", "bus": f"bridge{index}",
                  "socket": {"type": "unix", "path": str(socket)}}
        return ["-device", f"pcie-root-port,id=bridge{index},bus=pcie.0,chassis={index + 1},"
                           f"slot={index + 1},addr={self.place(index):#x}",
                "-device", json.dumps(device)]

    @property
    def standby(self):
        """Whether it can have a primary, which a case plugs in."""
        return self.get("failover") == "on"

    def device_args(self, index, tap, mac, primary_tap, ends):
        """QEMU arguments of the NIC number index; the ends of a guest's cable are files called `ends`0 and `ends`1."""
        def netdev(name, tap, more=""):
            return ["-netdev", f"tap,id={name}{index},ifname={tap},script=no,downscript=no,vhost=off{more}"]
        primary = []
        if self.standby:
            # The end of a cable, and a slot, for the primary.
            primary = [*netdev("primary", primary_tap),
                       "-device", f"pcie-root-port,id=slot{index},bus=pcie.0,chassis={index + 0x21},"
                                  f"slot={index + 0x21},addr={0x18 + index:#x}"]
        if self.wire == "hub":
            return ["-netdev", f"hubport,id=net{index},hubid=0", *self._nic(index, mac)]
        if self.wire == "cable":
            return ["-netdev", f"dgram,id=net{index},local.type=unix,local.path={ends}{index},"
                               f"remote.type=unix,remote.path={ends}{1 - index}", *self._nic(index, mac)]
        queues = f",queues={self.queues}" if self.pairs > 1 else ""
        return [*netdev("net", tap, queues), *self._nic(index, mac), *primary]

    def _nic(self, index, mac):
        port = []
        if self.mmio:
            place = f"virtio-net-device,bus=virtio-mmio-bus.{self.place(index)}"
        elif self.plug == "port":
            place = f"virtio-net-pci,romfile=,bus=port{index}"
            port = ["-device", f"pcie-root-port,id=port{index},bus=pcie.0,chassis={index + 1},"
                               f"slot={index + 1},addr={self.place(index):#x}"]
        else:
            place = f"virtio-net-pci,romfile=,addr={self.place(index):#x}"
        props = "".join(f",{key}={value}" for key, value in self.properties().items())
        return [*port, "-device", f"{place},id=nic{index},netdev=net{index},mac={mac}{props}"]

    def plugged(self, index, mac):
        """Arguments of QEMU's device_add for the same device once more."""
        def typed(key, value):
            # Few have a third choice, and want words for the two others as well.
            if key != "disable-legacy" and value in ("on", "off"):
                return value == "on"
            return int(value) if value.isdigit() else value
        props = {key: typed(key, value) for key, value in self.properties().items()}
        return {"driver": "virtio-net-pci", "romfile": "", "bus": f"port{index}", "id": f"nic{index}",
                "netdev": f"net{index}", "mac": mac, **props}


def combinations():
    """The matrix that everything must run on, in a fixed order."""
    for transport, ring, mode, queues in itertools.product(
            VALUES["transport"], VALUES["ring"], VALUES["mode"], ("1", "4")):
        if transport.endswith("legacy") and ring == "packed":
            continue
        yield Params(transport=transport, ring=ring, mode=mode, queues=queues)


# Beside the matrix: what else a device may say. The first value is QEMU's own.
EXTRAS = {
    "iommu_platform": ("", "on"),
    "queue_reset": ("", "off"),
    "in_order": ("", "on"),
    "csum": ("", "off"),
    "guest_csum": ("", "off"),
    "event_idx": ("", "off"),
    "indirect_desc": ("", "off"),
    "ctrl_vq": ("", "off"),
    "rx_queue_size": ("", "1024"),
    "host_mtu": ("", "1500", "9000"),
    "status": ("", "off"),
}


def _allowed(params):
    legacy, get = params.legacy, params.get
    if legacy and (get("iommu_platform") or get("in_order") or get("ring") == "packed"):
        return False
    # Without checksums there is no segmentation, and no control queue means
    # one queue pair.
    if get("guest_csum") and get("mode") == "big":
        return False
    if get("ctrl_vq") and get("queues") != "1":
        return False
    # Small receive buffers hold no jumbo frame.
    if get("host_mtu") == "9000" and get("mode") == "small":
        return False
    return True


def pairwise(candidates, axes):
    """A small subset of candidates that has every pair of values that any
    candidate has. Greedy, without chance: the same set every time."""
    def pairs(params):
        return {(a, params.get(a, ""), b, params.get(b, ""))
                for a, b in itertools.combinations(axes, 2)}

    todo = set().union(*(pairs(c) for c in candidates))
    chosen, rest = [], list(candidates)
    while todo:
        best = max(rest, key=lambda c: len(pairs(c) & todo))
        chosen.append(best)
        rest.remove(best)
        todo -= pairs(best)
    return chosen


def extra_combinations():
    """Each pair of (transport, ring, mode, queues, extra values), covered; at
    most two extras differ from QEMU's default in one device."""
    axes = ["transport", "ring", "mode", "queues", *EXTRAS]
    options = [{}]
    for key, values in EXTRAS.items():
        options += [{key: value} for value in values if value]
    options += [{**a, **b} for a, b in itertools.combinations(options[1:], 2)
                if not set(a) & set(b)]
    found = []
    for base in combinations():
        for extra in options:
            params = Params({**base, **extra})
            if _allowed(params):
                found.append(params)
    return pairwise(found, axes)


def covering():
    """The set of `make test`: pairs of the matrix, and each extra once."""
    base = pairwise(list(combinations()), list(DEFAULTS))
    extras = []
    for index, (key, value) in enumerate((key, value) for key, values in EXTRAS.items()
                                         for value in values[1:]):
        for turn in range(12):
            pick = list(combinations())[(7 * index + turn) % 12]  # modern PCI
            params = Params({**pick, key: value})
            if _allowed(params):
                extras.append(params)
                break
    # Where queues can be reset, our driver does not take IN_ORDER.
    extras.append(Params(queues="4", in_order="on", queue_reset="off"))
    return base + extras
