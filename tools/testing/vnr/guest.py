# SPDX-License-Identifier: GPL-2.0
"""One guest: started through virtme-ng with an init of ours, talked to over a
second serial line (KTAP and requests up, answers down), ended in any case."""

import contextlib
import json
import os
import selectors
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from . import jobs, network, paths, ram
from .model import Model
from .params import IOMMUS

BOOT_SECONDS = 90
# A kernel that says nothing for so long as it boots hangs.
STILL_SECONDS = 40
# What a guest may take to notice a case's own time limit before it is killed.
GRACE_SECONDS = 25
# For what it answers to a key for its kernel.
ANSWER_SECONDS = 2
# What QEMU may take to answer.
MONITOR_SECONDS = 30


class GuestDied(Exception):
    """The guest ended, or hung and was killed, before its work was done."""


class Guest:
    """Context: a running guest with `nics` (Params each) on one wire."""

    running = set()
    # Set when the run ends early: no guest is started any more.
    ending = False

    def __init__(self, name, nics, job, accel, kernel, cpus=4, memory="1G", in_memory=False):
        self.name, self.nics, self.job, self.kernel = name, nics, job, kernel
        self.accel, self.cpus, self.memory = accel, cpus, memory
        self.in_memory = in_memory
        self.log = paths.OUT / f"{name}.log"
        self.errors = paths.OUT / f"{name}.qemu"
        self.model = Model(name, nics, mac_address)
        self.process = self.line = self.monitor = None
        self.pending = b""
        # How long the log was when the guest was given up, if it was.
        self.deadline = self.said = None

    @classmethod
    def end_all(cls):
        """Kill all guests; those who run them find them dead."""
        cls.ending = True
        for guest in list(cls.running):
            guest.kill()

    def kill(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def __enter__(self):
        paths.OUT.mkdir(parents=True, exist_ok=True)
        self.scratch = Path(tempfile.mkdtemp(prefix="vnr"))
        self.wire = network.Wire(self.taps())
        self.wire.__enter__()
        try:
            self.model.__enter__()
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def taps(self):
        """(name, queues) of the tap of each NIC that has one."""
        nics = list(enumerate(self.nics))
        return [*((tap_name(index), nic.pairs) for index, nic in nics if not nic.model and not nic.joined),
                *((tap_name(index, "p"), 1) for index, nic in nics if nic.standby)]

    def _start(self):
        ports = []
        for name in ("ctl", "qmp"):
            ports += ["-chardev", f"socket,id={name},path={self.scratch}/{name},server=on,wait=off"]
        ports += ["-device", "isa-serial,chardev=ctl,index=1", "-mon", "chardev=qmp,mode=control"]
        command = self.command(
            ports,
            # An oops, or a processor that is stuck, ends the guest at once: what follows it proves
            # nothing, and the other guests need the processors.
            ["ignore_loglevel", "oops=panic", "softlockup_panic=1", "panic=-1",
             # Emulated processors do not speculate, and all that guards against it costs them time.
             *(["mitigations=off"] if any("tcg" in word for word in self.accel) else [])])
        with open(self.log, "wb") as log, open(self.errors, "wb") as errors:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=errors, start_new_session=True)
        self.running.add(self)
        if self.ending:
            self.kill()
        self.deadline = time.monotonic() + BOOT_SECONDS * jobs.slowness() * self.kernel.slowness
        self.line = self._connect("ctl")
        monitor = self._connect("qmp")
        monitor.settimeout(MONITOR_SECONDS * jobs.slowness())
        self.monitor = monitor.makefile("rw")
        self.monitor.readline()
        self.execute("qmp_capabilities")

    def command(self, devices, options, verbose=True):
        """The virtme-ng command of this guest; writes the job that it names."""
        job_file = paths.OUT / f"{self.name}.job"
        job_file.write_text(json.dumps(self.job, indent=1) + "\n")
        iommu, iommu_options = IOMMUS[self.nics[0].iommu]
        qemu = [*self.accel, "-no-reboot", *iommu, *devices]
        if any(nic.mmio for nic in self.nics):
            # Transports are found by ACPI; the root file system stays on PCI.
            old = "true" if any(nic.legacy for nic in self.nics) else "false"
            qemu += ["-machine", "microvm,pcie=on,acpi=on,rtc=on,ioapic2=on,auto-kernel-cmdline=off",
                     "-global", f"virtio-mmio.force-legacy={old}"]
        # The root once more, for our init to mount with a cache: under emulation
        # that is what makes starting a program cheap.
        qemu += ["-fsdev", "local,id=cached,path=/,security_model=none,readonly=on,multidevs=remap",
                 "-device", "virtio-9p-pci,fsdev=cached,mount_tag=vnr.cached"]
        if self.model.ports:
            # The model reads and writes the guest's memory.
            qemu += ["-object", f"memory-backend-memfd,id=ram,size={self.memory},share=on",
                     "-machine", "memory-backend=ram"]
        for index, nic in enumerate(self.nics):
            if nic.model:
                qemu += nic.model_args(index, self.model.socket(index), mac_address(index))
            else:
                qemu += nic.device_args(index, tap_name(index), mac_address(index), tap_name(index, "p"),
                                        self.scratch / "cable")
        kernel = [f"init={paths.GUEST}/init.sh", f"vnr.job={job_file}", "console=ttyS0",
                  *([f"vnr_ram={ram.archive(self.scratch / 'ram.tar', self.kernel, job_file, self.job)}",
                     "no_console_suspend"]
                    if self.in_memory else []),
                  *options, *iommu_options, *self._time_options(), *self.kernel.options()]
        return ["virtme-run", *self.kernel.boot_args(), "--disable-kvm", "--disable-microvm", "--force-9p",
                *(["--verbose"] if verbose else []),
                "--memory", self.memory, "--cpus", str(self.cpus),
                *(f"--kopt={option}" for option in kernel),
                "--qemu-opts", *qemu]

    def _time_options(self):
        """A microvm has no clock to measure its TSC by but the PIT, which a busy
        host makes useless: tell the guest."""
        if not any(nic.mmio for nic in self.nics):
            return []
        khz = subprocess.run([paths.OUT / "bin" / "traffic", "tsc"], capture_output=True, text=True,
                             check=True, timeout=10).stdout.strip()
        return [f"tsc_early_khz={khz}"]

    def _connect(self, name):
        path = str(self.scratch / name)
        while True:
            try:
                connection = socket.socket(socket.AF_UNIX)
                connection.connect(path)
                return connection
            except OSError:
                connection.close()
                if self.process.poll() is not None or time.monotonic() > self.deadline:
                    tail = self.errors.read_text(errors="replace").strip().splitlines()[-5:]
                    raise GuestDied("QEMU did not start: " + " / ".join(tail)) from None
                time.sleep(0.05)

    def execute(self, command, **arguments):
        """A QMP command; returns its answer."""
        try:
            self.monitor.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
            self.monitor.flush()
        except OSError as error:
            raise GuestDied(f"QEMU does not listen any more: {error}") from error
        while True:
            try:
                text = self.monitor.readline()
            except ConnectionError:
                text = ""
            except TimeoutError:
                raise GuestDied(f"QEMU does not answer {command}") from None
            if not text:
                raise GuestDied("QEMU closed its monitor")
            answer = json.loads(text)
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                raise RuntimeError(f"{command}: {answer['error'].get('desc')}")

    def lines(self):
        """What the agent writes, line by line, until it ends. The receiver
        sets `deadline` (by expect) as it learns what comes next."""
        booting, size, since = True, 0, time.monotonic()
        with selectors.DefaultSelector() as selector:
            selector.register(self.line, selectors.EVENT_READ)
            while True:
                while b"\n" in self.pending:
                    booting = False
                    text, self.pending = self.pending.split(b"\n", 1)
                    yield text.decode(errors="replace").rstrip("\r")
                left = self.deadline - time.monotonic()
                if left <= 0:
                    self._ask_what_it_waits_for()
                    raise GuestDied("the guest said nothing more within its time limit")
                if not selector.select(min(left, 5)):
                    if booting and self.log.stat().st_size != size:
                        size, since = self.log.stat().st_size, time.monotonic()
                    still = STILL_SECONDS * jobs.slowness() * self.kernel.slowness
                    if booting and time.monotonic() - since > still:
                        raise GuestDied(f"the kernel said nothing for {still} s as it booted")
                    continue
                try:
                    data = self.line.recv(65536)
                except ConnectionError:
                    data = b""
                if not data:
                    return
                self.pending += data

    def _ask_what_it_waits_for(self):
        """Has the kernel of a guest that is stuck say so at the end of its log, which is none of
        what console() gives: tasks that are blocked, what its processors do, and all other tasks. If QEMU
        does not answer either, it is QEMU that is stuck."""
        self.said = self.log.stat().st_size
        with contextlib.suppress(RuntimeError):
            for letter in "wlt":
                keys = [{"type": "qcode", "data": key} for key in ("alt", "sysrq", letter)]
                self.execute("send-key", keys=keys)
                time.sleep(ANSWER_SECONDS * jobs.slowness() * self.kernel.slowness)

    def expect(self, seconds):
        """The next line must come within the time, and some grace."""
        self.deadline = time.monotonic() + seconds + GRACE_SECONDS * jobs.slowness() * self.kernel.slowness

    def answer(self, value):
        try:
            self.line.sendall(json.dumps(value).encode() + b"\n")
        except OSError as error:
            raise GuestDied(f"the guest does not listen any more: {error}") from error

    def console(self):
        return self._read()[:self.said].decode(errors="replace").replace("\0", "")

    def waits(self):
        """What its tasks wait for, if it was stuck."""
        return self._read()[self.said:].decode(errors="replace") if self.said else ""

    def _read(self):
        return self.log.read_bytes()

    def __exit__(self, kind=None, *_):
        if self.process:
            try:
                # A guest that ended its work powers off by itself.
                self.process.wait(15 * jobs.slowness() * self.kernel.slowness if self.line and not kind else 0.1)
            except subprocess.TimeoutExpired:
                self.kill()
                self.process.wait()
            self.running.discard(self)
        for connection in (self.line, self.monitor):
            if connection:
                connection.close()
        self.model.__exit__()
        self.wire.__exit__()
        shutil.rmtree(self.scratch, ignore_errors=True)


def tap_name(index, kind=""):
    """With kind "p", that of a standby's primary."""
    return f"vnrtap{index}{kind}"


def mac_address(index):
    return f"52:54:00:76:6e:{index:02x}"
