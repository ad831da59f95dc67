# SPDX-License-Identifier: GPL-2.0
"""A virtio NIC of the guest: bound to a driver by name, and configured."""

import contextlib
import errno
import fcntl
import glob
import json
import os
import re
import socket
import struct
import subprocess
import threading
import time

from genl import queue_statistics
from vnrtest import Failed, wait_for

BUS = "/sys/bus/virtio"
# What devices that come up after it is written queue packets by.
QDISC = "/proc/sys/net/core/default_qdisc"
SIOCGIFFLAGS, IFF_RUNNING = 0x8913, 0x40
# Names of the drivers on the virtio bus, and of their modules.
DRIVERS = {"c": "virtio_net", "rust": "virtio_net_rs"}
FEATURE_BITS = {
    "CSUM": 0, "GUEST_CSUM": 1, "CTRL_GUEST_OFFLOADS": 2, "MTU": 3, "MAC": 5, "GUEST_TSO4": 7,
    "GUEST_TSO6": 8, "GUEST_ECN": 9, "GUEST_UFO": 10, "HOST_TSO4": 11, "HOST_TSO6": 12,
    "HOST_ECN": 13, "HOST_UFO": 14, "MRG_RXBUF": 15, "STATUS": 16, "CTRL_VQ": 17, "CTRL_RX": 18,
    "CTRL_VLAN": 19, "GUEST_ANNOUNCE": 21, "MQ": 22, "CTRL_MAC_ADDR": 23, "INDIRECT_DESC": 28,
    "EVENT_IDX": 29, "VERSION_1": 32, "ACCESS_PLATFORM": 33, "RING_PACKED": 34, "IN_ORDER": 35,
    "NOTIFICATION_DATA": 38, "RING_RESET": 40, "DEVICE_STATS": 50, "VQ_NOTF_COAL": 52, "NOTF_COAL": 53, "GUEST_USO4": 54,
    "GUEST_USO6": 55, "HOST_USO": 56, "HASH_REPORT": 57, "GUEST_HDRLEN": 59, "RSS": 60,
    "STANDBY": 62, "SPEED_DUPLEX": 63, "GUEST_UDP_TUNNEL_GSO": 65,
    "GUEST_UDP_TUNNEL_GSO_CSUM": 66, "HOST_UDP_TUNNEL_GSO": 67, "HOST_UDP_TUNNEL_GSO_CSUM": 68,
}


def run(*command, check=True, timeout=60, text=None):
    """Run a command; its output, or Failed with what it said."""
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=timeout,
                          stdin=None if text else subprocess.DEVNULL)
    if check and done.returncode:
        raise Failed(f"{' '.join(command)}: status {done.returncode}: "
                     f"{(done.stderr or done.stdout).strip()}")
    return done.stdout


def write(path, text):
    with open(path, "w") as file:
        file.write(text)


def read(path):
    with open(path) as file:
        return file.read().strip()


@contextlib.contextmanager
def inside(namespace):
    """This thread's network namespace for a while; sockets made here stay."""
    if not namespace:
        yield
        return
    here = os.open(f"/proc/self/task/{threading.get_native_id()}/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    try:
        os.setns(there, os.CLONE_NEWNET)
        yield
    finally:
        os.setns(here, os.CLONE_NEWNET)
        os.close(here)
        os.close(there)


class Nic:
    """One virtio-net device. `namespace` is where its netdev is kept."""

    def __init__(self, place, role, mac, mmio, label, port=None):
        self.role, self.mac, self.label = role, mac, label
        # The device model's number for it, if it is the model's.
        self.port = port
        self.address = mac
        self.place, self.mmio = place, mmio
        self.find()
        self.namespace = None if role == "dut" else "peer"
        self.name = role
        last = 1 if role == "dut" else 2
        self.ip4, self.ip6 = f"192.0.2.{last}", f"2001:db8::{last}"

    def find(self):
        """The device's name on the virtio bus: its place is on the bus below."""
        if self.mmio:
            paths = [path for path in glob.glob("/sys/bus/platform/devices/LNRO0005:*/virtio*")
                     if read(f"{path}/../firmware_node/uid") == str(self.place)]
        else:
            # In the slot, or behind a bridge there.
            slot = f"/sys/bus/pci/devices/0000:00:{self.place:02x}.0"
            paths = glob.glob(f"{slot}/virtio*") + glob.glob(f"{slot}/0000:*/virtio*")
        if not paths:
            raise Failed(f"the guest has no virtio device at place {self.place:#x}")
        self.virtio = os.path.basename(paths[0])

    def remove(self):
        """A PCI device goes from its slot, as far as the kernel is told."""
        slot = os.path.realpath(f"{self.device}/..")
        write(f"{slot}/remove", "1")
        if os.path.exists(slot):
            raise Failed(f"{self.role} is still in its slot")

    def departures(self, driver):
        """[(leave, come back)]: the ways in which a driver loses the device."""
        def back():
            self.bind(driver)
            self.configure()
        ways = [(self.unbind, back)]
        if not self.mmio:
            ways.append((self.remove, lambda: self.rescan(driver)))
        return ways

    def rescan(self, driver, seconds=20):
        """It is found again, and bound."""
        write("/sys/bus/pci/rescan", "1")
        self.returned(driver, seconds)

    def returned(self, driver, seconds=20):
        """Its slot has a device again: wait for that, and bind it."""
        end = time.monotonic() + seconds
        while True:
            try:
                self.find()
                break
            except Failed:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)
        self.bind(driver)
        self.configure()

    # Binding

    @property
    def device(self):
        return f"{BUS}/devices/{self.virtio}"

    def driver(self):
        """The bound driver's name on the bus, or None."""
        link = f"{self.device}/driver"
        return os.path.basename(os.readlink(link)) if os.path.islink(link) else None

    def unbind(self):
        driver = self.driver()
        if driver:
            write(f"{BUS}/drivers/{driver}/unbind", self.virtio)

    def bind(self, driver):
        """Bind to "c" or "rust"."""
        name = DRIVERS[driver]
        if self.driver() == name:
            return
        self.unbind()
        try:
            write(f"{BUS}/drivers/{name}/bind", self.virtio)
        except OSError as error:
            if error.errno == errno.EBUSY and self.driver():
                # It is new, and the kernel has found it a driver meanwhile.
                self.bind(driver)
                return
            raise Failed(f"{self.role}: cannot bind to {name}: {error.strerror}") from error
        if self.driver() != name:
            raise Failed(f"{self.role} is bound to {self.driver()}, not to {name}")

    def netdev(self):
        """The name that the kernel gave the netdev in the first namespace. A failover
        master, which has others below, is not meant."""
        names = os.listdir(f"{self.device}/net") if os.path.isdir(f"{self.device}/net") else []
        names = [name for name in names if not glob.glob(f"{self.device}/net/{name}/lower_*")]
        return names[0] if names else None

    # Configuration

    def configure(self, mtu=1500):
        """Name, namespace, MTU, addresses, up; after a bind."""
        kernel = wait_for(self.netdev, f"{self.role}: a network device")
        self.address = read(f"{self.device}/net/{kernel}/address")
        # Few programs: under emulation each costs as much as much traffic.
        first = f"link set dev {kernel} name {self.role}\n" if kernel != self.role else ""
        where = []
        if self.namespace:
            run("ip", "-batch", "-", text=f"{first}link set dev {self.role} netns {self.namespace}\n")
            first, where = "", ["-n", self.namespace]
        with self._queueing():
            run("ip", *where, "-batch", "-",
                text=f"{first}link set dev {self.name} mtu {mtu} up\n{self._addresses()}")
        self.wait_carrier()

    @contextlib.contextmanager
    def _queueing(self):
        """Context, in which it comes up. What the peer sends is counted at the other end: it must not drop
        what has waited on a busy host, as CoDel does, unseen by counters of the device."""
        usual = read(QDISC)
        try:
            if self.role == "peer":
                write(QDISC, "pfifo")
            yield
        finally:
            write(QDISC, usual)

    def _addresses(self):
        return (f"addr replace {self.ip4}/24 dev {self.name}\n"
                f"addr replace {self.ip6}/64 dev {self.name} nodad\n")

    def addresses(self):
        """The addresses again, after something took them away."""
        where = ["-n", self.namespace] if self.namespace else []
        run("ip", *where, "-batch", "-", text=self._addresses())

    def ip(self, *words, check=True):
        """An ip command in the NIC's namespace."""
        where = ["-n", self.namespace] if self.namespace else []
        return run("ip", *where, *" ".join(words).split(), check=check)

    def knows(self, other, address=None):
        """It need not ask for the other one's address (IPv4 unless one is given)."""
        self.ip(f"neigh replace {address or other.ip4} lladdr {other.mac} dev {self.name} nud permanent")

    def enter(self):
        return inside(self.namespace)

    def command(self, *command, **options):
        """A command in the NIC's namespace."""
        with self.enter():
            return run(*command, **options)

    def link(self):
        return json.loads(self.ip(f"-j -s -s -d link show dev {self.name}"))[0]

    def carrier(self):
        """Whether it is up and running (SIOCGIFFLAGS): no program, as each case asks."""
        with self.enter(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            request = fcntl.ioctl(any_socket, SIOCGIFFLAGS, struct.pack("16sH22x", self.name.encode(), 0))
        return bool(struct.unpack_from("H", request, 16)[0] & IFF_RUNNING)

    def wait_carrier(self, wanted=True, seconds=10):
        wait_for(lambda: self.carrier() == wanted,
                 f"{self.role}: carrier {'on' if wanted else 'off'}", seconds)

    def sysfs(self, attribute):
        """A file of /sys/class/net/NAME: only for a NIC in the first namespace."""
        return read(f"{self.device}/net/{self.name}/{attribute}")

    # ethtool

    def ethtool(self, *words, check=True):
        return self.command("ethtool", words[0], self.name, *words[1:], check=check)

    def offload(self, **features):
        """ethtool -K: offload(tx=False, gro=True)."""
        words = []
        for name, on in features.items():
            words += [name.replace("_", "-"), "on" if on else "off"]
        self.ethtool("-K", *words)

    def features(self):
        """ethtool -k as {name: (on, may be changed)}."""
        found = {}
        for line in self.ethtool("-k").splitlines()[1:]:
            name, _, value = line.strip().partition(": ")
            found[name] = (value.startswith("on"), "[fixed]" not in value)
        return found

    def statistics(self):
        """ethtool -S as a dictionary."""
        found = {}
        for line in self.ethtool("-S", check=False).splitlines()[1:]:
            name, _, value = line.strip().rpartition(": ")
            if value.strip().isdigit():
                found[name] = int(value)
        return found

    def counters(self):
        """The 64-bit rtnl counters, flat: {"rx_packets": ...}."""
        stats = self.link()["stats64"]
        return {f"{side}_{key}": value for side in ("rx", "tx")
                for key, value in stats[side].items()}

    def queue_counters(self):
        """{("rx" or "tx", queue, "packets", ...): count}, of the netdev family."""
        with self.enter():
            return queue_statistics(socket.if_nametoindex(self.name))

    def channels(self):
        """Combined queue pairs in use, by ethtool -l; None if it cannot say."""
        found = re.findall(r"Combined:\s+(\d+)", self.ethtool("-l", check=False))
        return int(found[-1]) if found else None

    def negotiated(self, name):
        """Whether a virtio feature bit was negotiated."""
        return read(f"{self.device}/features")[FEATURE_BITS[name]] == "1"

    def packet_socket(self, protocol=0x0003, vnet_header=False):
        """An AF_PACKET socket bound to the NIC."""
        with self.enter():
            made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        made.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)  # SO_RCVBUFFORCE
        if vnet_header:
            made.setsockopt(263, 15, 1)  # SOL_PACKET, PACKET_VNET_HDR
        made.bind((self.name, protocol))
        return made


def settle(seconds=0.2):
    """Time for frames in flight to arrive where nothing can be waited for."""
    time.sleep(seconds)
