# SPDX-License-Identifier: GPL-2.0
"""The device model behind the NICs, as a case sees it: what it is to do with
frames, which lies it tells, what it saw. The protocol is in
tools/testing/model/src/script."""

import socket
import struct
import time

import vnrtest
from vnrtest import Failed, Skip, check, wait_for

# Of traffic.c.
PORT, REPORT = 7777, 0xF00D5A18
# For so many seconds a generator waits for buffers, at most.
STUCK = 8


class Model:
    """Requests to the model of this guest. NICs are given as such; without one,
    the device under test is meant."""

    def __init__(self, env):
        self.env = env

    def ask(self, cmd, nic=None, **fields):
        """One request about a NIC's port."""
        nic = nic or self.env.dut
        if nic.port is None:
            raise Skip("the NIC is not a port of the device model")
        return self.env.control.ask(model={"cmd": cmd, "port": nic.port, **fields})

    def reset(self):
        """A switch with honest ports, no counts, nothing running."""
        for nic in self.env.nics:
            if nic.port is not None:
                self.honest(nic)
        self.env.control.ask(model={"cmd": "stop"})
        self.forward("switch")
        self.clear()

    def forward(self, to):
        """What becomes of frames: "switch", "sink", "reflect" or "loop"."""
        self.env.control.ask(model={"cmd": "forward", "to": to})

    def clear(self):
        self.env.control.ask(model={"cmd": "clear"})

    def traffic(self, nic=None):
        """What the model saw of and gave to a NIC."""
        nic = nic or self.env.dut
        return self.env.control.ask(model={"cmd": "traffic", "port": nic.port})

    def port(self, nic=None):
        """Features, link, control queue and counters of a NIC's device."""
        return self.ask("port", nic)

    def generate(self, nic=None, count=None, rate=None, pairs=(0,), source=None, **template):
        """Start frames to a NIC: UDP from the peer's address, with counted
        payloads; words of the template are size, segments, checksum, flows, run,
        protocol, destination_port, .... Its number."""
        nic = nic or self.env.dut
        other = self.env.peer if nic is not self.env.peer else self.env.dut
        if source is None:
            version6 = template.pop("ipv6", False)
            source = {"template": {
                "source_mac": other.mac, "destination_mac": nic.mac,
                "source": other.ip6 if version6 else other.ip4,
                "destination": nic.ip6 if version6 else nic.ip4, "size": 64, **template}}
        fields = {"pairs": list(pairs), "source": source}
        fields.update((key, value) for key, value in (("count", count), ("rate", rate))
                      if value is not None)
        return self.ask("generate", nic, **fields)

    def generators(self):
        """How far each generator is: sent, refused, done."""
        return self.env.control.ask(model={"cmd": "generators"})

    def wait_generated(self, number, seconds=20):
        """How far a generator has come at its end. One that is stuck is not waited for to the last."""
        progress = [None, 0]

        def ended():
            state, now = self.generators()[number], time.monotonic()
            if [state["sent"], state["refused"]] != progress[0]:
                progress[:] = [state["sent"], state["refused"]], now
            check(now - progress[1] < STUCK * vnrtest.slowness,
                  f"the generator's end: nothing new for {STUCK} s, after {state}")
            return state if state["done"] else None
        return wait_for(ended, "the generator's end", seconds, 0.2)

    def stop(self):
        self.env.control.ask(model={"cmd": "stop"})

    # Lies

    def lie(self, name, nic=None, **when):
        """Tell a lie: lie("used_len_huge", next=3) or probability=0.1; queue=0 for that one alone."""
        self.ask("lie", nic, lie=name, **when)

    def honest(self, nic=None):
        self.ask("honest", nic)

    def holes_are_zeros(self):
        """Frames of the device under test may be where there is no memory: until the next case it sees zeros
        there, as QEMU's devices do, and counts them (`holes` of port()). Otherwise it needs a reset then."""
        self.ask("holes", zeros=True)

    def told(self, nic=None):
        """{lie: how often it was told}."""
        return self.ask("told", nic)

    # Counted datagrams at the device under test, by the server of env.serve_dut()

    def received(self, run):
        """(received, repeated, changed) of a generator's run."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
            asker.settimeout(2)
            asker.connect(("127.0.0.1", PORT))
            for _ in range(5):
                asker.send(struct.pack("<IIII", REPORT, 0, 0, run))
                try:
                    return struct.unpack_from("<QQQ", asker.recv(100), 8)
                except TimeoutError:
                    continue
        raise Failed("the traffic server does not answer")

    def wait_received(self, run, count, seconds=10):
        """Wait for so many datagrams, or until no more come; what came."""
        end, before, rested = time.monotonic() + seconds, None, 0
        while True:
            seen = self.received(run)
            rested = rested + 1 if seen == before else 0
            if seen[0] >= count or rested > 10 or time.monotonic() > end:
                return seen
            before = seen
            time.sleep(0.1)
