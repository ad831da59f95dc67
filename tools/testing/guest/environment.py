# SPDX-License-Identifier: GPL-2.0
"""What a case is given: the two NICs, the traffic program, the host's help."""

import contextlib
import copy
import json
import os
import subprocess
import termios
import tty

from model import Model
from nic import DRIVERS, Nic, run, write
import vnrtest
from vnrtest import Failed, Skip, check, wait_for

PORT = 7777


class Control:
    """The line to the runner: KTAP and requests up, answers down."""

    def __init__(self, path="/dev/ttyS1"):
        self.fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(self.fd)
        termios.tcflush(self.fd, termios.TCIOFLUSH)

    def say(self, text):
        data = text.encode() + b"\n"
        while data:
            data = data[os.write(self.fd, data):]

    def _line(self):
        data = b""
        while not data.endswith(b"\n"):
            data += os.read(self.fd, 4096)
        return data.splitlines()[-1]

    def ask(self, **request):
        """A request to the runner, such as QEMU's monitor; its answer."""
        number = int.from_bytes(os.urandom(4), "big")
        self.say("@ " + json.dumps({**request, "number": number}))
        answer = {}
        # A case that was ended meanwhile may have left its own unread.
        while answer.get("number") != number:
            with contextlib.suppress(ValueError):
                answer = json.loads(self._line())
        if "error" in answer:
            raise Failed(f"the runner could not do {request}: {answer['error']}")
        return answer.get("value")


class Modules:
    """Loading and unloading of the two drivers."""

    def __init__(self, path):
        self.path = path

    def load(self, driver, *parameters):
        if driver == "c":
            run("modprobe", "virtio_net", *parameters)
        else:
            run("insmod", self.path, *parameters)

    def unload(self, driver):
        run("rmmod", DRIVERS[driver])

    @staticmethod
    def loaded(driver):
        return os.path.isdir(f"/sys/module/{DRIVERS[driver]}")


class Environment:
    """`dut` is bound to the driver under test, `peer` to the other one's."""

    def __init__(self, job, control):
        self.job, self.control = job, control
        self.modules = Modules(job["module"])
        self.full = job["full"]
        # What `make test` runs on the debug kernel has to be quick.
        self.quick = job["quick"]
        # In a run of everything long cases do less.
        self.brief = job["brief"]
        self.driver = self.server = None
        self.dut = self.peer = None
        self.model = Model(self)
        self.nics = [Nic(n["place"], n["role"], n["mac"], n["mmio"], n["label"], n["port"])
                     for n in job["nics"]]

    def select(self, driver, label):
        self.driver = driver
        self.peer = next(n for n in self.nics if n.role == "peer")
        self.dut = next(n for n in self.nics if n.role == "dut" and n.label == label)

    def fresh(self):
        """Both NICs newly bound and configured, the echo server on the peer."""
        self.stop_serving()
        if self.dut.port is not None:
            self.model.reset()
        for driver in {self.driver, self.job["peer_driver"]}:
            if not self.modules.loaded(driver):
                self.modules.load(driver)
        for nic in self.nics:
            nic.unbind()
        # What a case that failed or was ended did not put back or take away.
        for nic in (self.peer, self.dut):
            self.link(True, nic)
        for name in os.listdir("/sys/class/net"):
            if name != "lo" and not os.path.exists(f"/sys/class/net/{name}/device"):
                run("ip", "link", "del", name, check=False)
        self.peer.bind(self.job["peer_driver"])
        self.dut.bind(self.driver)
        self.peer.configure()
        self.dut.configure()
        self.serve()

    def reload(self, *words):
        """The driver is loaded anew, with other parameters; both NICs as `fresh`."""
        for nic in self.nics:
            nic.unbind()
        self.stop_serving()
        self.modules.unload(self.driver)
        self.modules.load(self.driver, *words)
        self.fresh()

    def serve(self):
        """The traffic server in the peer's namespace."""
        with self.peer.enter():
            self.server = subprocess.Popen([self.job["traffic"], "serve", str(PORT)],
                                           stdout=subprocess.PIPE, text=True)
        check(self.server.stdout.readline() == "ready\n", "the traffic server did not start")

    def stop_serving(self):
        if self.server:
            self.server.kill()
            self.server.wait()
            self.server = None

    def serve_dut(self):
        """Another one on the device under test, for traffic that the peer starts."""
        self.dut_server = subprocess.Popen([self.job["traffic"], "serve", str(PORT)],
                                           stdout=subprocess.PIPE, text=True)
        check(self.dut_server.stdout.readline() == "ready\n", "the traffic server did not start")

    def start(self, nic, *words):
        """The traffic program in a NIC's namespace, in the background."""
        with nic.enter():
            return subprocess.Popen([self.job["traffic"], *map(str, words)],
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    @staticmethod
    def finish(process, timeout=120):
        """(its JSON, its verdict) of a traffic program."""
        out, said = process.communicate(timeout=timeout * max(1, vnrtest.slowness // 2))
        if process.returncode not in (0, 1):
            raise Failed(f"traffic {' '.join(process.args[1:])}: status {process.returncode}, {said.strip()}")
        return json.loads(out), process.returncode == 0

    @classmethod
    def stop(cls, process):
        """Ends a traffic program that was to have no end, and had none."""
        if process.poll() is not None:
            result, _ = cls.finish(process)
            raise Failed(f"traffic {' '.join(process.args[1:])} has ended: {result}")
        process.kill()
        process.communicate()

    def traffic(self, *words, nic=None, timeout=120):
        """Run the traffic program to its end; must lose and change nothing."""
        result, good = self.finish(self.start(nic or self.dut, *words), timeout)
        check(good, f"traffic {' '.join(map(str, words))}: {json.dumps(result)}")
        return result

    def echo(self, kind, address, low, high, step=1, nic=None, timeout=120):
        """Every size there and back, compared: kind is "udp" or "tcp"."""
        return self.traffic("echo", kind, address, PORT, low, high, step, nic=nic,
                            timeout=timeout)

    def stream(self, direction, address, length, nic=None, timeout=120):
        return self.traffic("stream", direction, address, PORT, length, nic=nic,
                            timeout=timeout)

    def burst(self, address, count, size, gap=0, segment=None, nic=None, timeout=120):
        """One-way UDP, counted at the other end; returns what arrived."""
        words = ["burst", address, PORT, count, size, gap] + ([segment] if segment else [])
        return self.finish(self.start(nic or self.dut, *words), timeout)[0]

    def works(self):
        """All kinds of traffic, as soon as the peer can be reached."""
        for address in (self.peer.ip4, self.peer.ip6):
            wait_for(lambda a=address: self.reachable(a), f"traffic with {address}")
        self.echo("udp", self.peer.ip4, 0, 1472, 211)
        self.stream("send", self.peer.ip4, 1 << 19)
        self.stream("recv", self.peer.ip4, 1 << 19)

    def ping(self, address=None, count=3, size=56, nic=None, interval=0.05):
        (nic or self.dut).command("ping", "-n", "-q", "-c", str(count), "-i", str(interval),
                                  "-W", "2", "-s", str(size), address or self.peer.ip4)

    def reachable(self, address=None, nic=None):
        """Whether one ping comes back within a second."""
        out = (nic or self.dut).command("ping", "-n", "-c", "1", "-W", "1",
                                        address or self.peer.ip4, check=False)
        return " 1 received" in out

    def need(self, feature, nic=None, why=None):
        """Skip unless the virtio feature was offered and negotiated."""
        nic = nic or self.dut
        if not nic.negotiated(feature):
            raise Skip(why or f"{nic.role} has no VIRTIO_NET_F_{feature}")

    def restarter(self):
        """A function that restarts a receive queue of the device under test, as users of the
        core's queue management do."""
        if not os.path.isdir("/sys/module/vnr_restart"):
            run("insmod", self.job["restart_module"])
        return lambda queue: write("/sys/module/vnr_restart/parameters/restart", f"{self.dut.name} {queue}")

    @contextlib.contextmanager
    def joined(self, far="dut", names=("va", "vb")):
        """Context: two more devices, of which each receives what the other sends, and both take frames of
        programs: the first beside the one under test, the other there too or with far="peer" there."""
        near = self.dut_side(names[0])
        near.ip(f"link add {names[0]} type veth peer name {names[1]}" + (" netns peer" if far == "peer" else ""))
        pair = near, (self.peer_side if far == "peer" else self.dut_side)(names[1])
        try:
            for nic in pair:
                nic.command("ethtool", "-K", nic.name, "gro", "on")
                nic.ip(f"link set dev {nic.name} up")
            yield pair
        finally:
            near.ip(f"link del {near.name}")

    def dut_side(self, name):
        """Another device in the namespace of the one under test, for its name and sockets."""
        other = copy.copy(self.dut)
        other.name = name
        return other

    def peer_side(self, name):
        """Another device in the peer's namespace."""
        other = copy.copy(self.peer)
        other.name = name
        return other

    def link(self, up, nic=None):
        """The host's side of the cable."""
        nic = nic or self.dut
        if nic.port is not None and not nic.label.startswith("vhost-user"):
            self.model.ask("link", nic, up=up)
            return
        index = self.nics.index(nic)
        self.control.ask(qmp="set_link", arguments={"name": f"nic{index}", "up": up})

    def unplug(self, nic=None):
        """The host takes a device from its port."""
        name = f"nic{self.nics.index(nic or self.dut)}"
        self.control.ask(qmp="device_del", arguments={"id": name})

        def is_gone():
            devices = self.control.ask(qmp="qom-list", arguments={"path": "/machine/peripheral"})
            return name not in {device["name"] for device in devices}
        wait_for(is_gone, "the device's end", 30)

    def plug(self, nic=None):
        """The same one is plugged in again, and bound to its driver."""
        nic = nic or self.dut
        self.control.ask(plug=self.nics.index(nic))
        nic.returned(self.driver)

    def host_drops(self):
        """Frames that the host's taps lost, in all."""
        return sum(sum(pair) for pair in self.control.ask(drops=True).values())

    def observe(self, notes):
        """Keep what a case saw, for a table of all runs."""
        self.control.ask(observe=notes)

    def turns(self, usual, full):
        """How often a long case does its work: half as often as usual in a run of everything."""
        return full if self.full else (usual + 1) // 2 if self.brief else usual

    def stride(self, quick):
        """1, or `quick` if this run is only to sample."""
        return quick if self.quick else 1


class Streams:
    """Streams both ways that compare every byte; one follows the other until the end."""

    LENGTH = 8 << 20

    def __init__(self, env):
        self.env = env
        self.running = {direction: self.start(direction) for direction in ("send", "recv")}

    def start(self, direction):
        return self.env.start(self.env.dut, "stream", direction, self.env.peer.ip4, PORT, self.LENGTH)

    def judge(self, process):
        result, good = self.env.finish(process)
        check(good, f"stream: {result}")

    def go_on(self):
        """There is one in each direction from now on."""
        for direction, process in self.running.items():
            if process.poll() is not None:
                self.judge(process)
                self.running[direction] = self.start(direction)

    def end(self):
        for process in self.running.values():
            self.judge(process)
