# SPDX-License-Identifier: GPL-2.0
"""The device model beside a guest: one process, a port for each NIC with
device=model, and a socket for scripts. See tools/testing/model."""

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from . import paths
from .build import crate

START_SECONDS = 20


class ModelError(RuntimeError):
    """The model refused a request, or is gone."""


def wanted(plans):
    """Whether any NIC of these plans is the model's."""
    return any(nic.model for plan in plans for nic in plan.nics)


def build():
    """The program."""
    crate(paths.MODEL, paths.PROJECT / "build" / "model")


def program():
    return paths.PROJECT / "build" / "model" / "debug" / "virtio-net-model"


class Model:
    """Context: the running model, or nothing where no NIC needs it."""

    def __init__(self, name, nics, macs):
        self.ports = [(index, nic, macs(index)) for index, nic in enumerate(nics) if nic.model]
        self.log = paths.OUT / f"{name}.model.log"
        self.process = self.line = None
        self.ended = False

    def __enter__(self):
        if not self.ports:
            return self
        paths.OUT.mkdir(parents=True, exist_ok=True)
        self.scratch = Path(tempfile.mkdtemp(prefix="vnrmodel"))
        command = [str(program()), "--script", str(self.scratch / "script"),
                   "--log", os.environ.get("MODEL_LOG", "info")]
        for index, nic, mac in self.ports:
            settings = "".join(f",{key}={value}" for key, value in nic.model_settings().items())
            command += ["--port", f"{self.socket(index)},mac={mac}{settings}"]
        with open(self.log, "wb") as log:
            log.write((" ".join(command) + "\n").encode())
            log.flush()
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, start_new_session=True)
        try:
            self._connect()
        except BaseException:
            self.__exit__()
            raise
        return self

    def socket(self, index):
        """Where QEMU finds the device of NIC number index."""
        return self.scratch / f"port{index}"

    def _connect(self):
        sockets = [self.scratch / "script", *(self.socket(index) for index, _, _ in self.ports)]
        end = time.monotonic() + START_SECONDS
        while not all(path.exists() for path in sockets):
            if self.died() or time.monotonic() > end:
                raise ModelError(f"the device model did not start: {self.last_words()}")
            time.sleep(0.02)
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(20)
        connection.connect(str(sockets[0]))
        self.line = connection.makefile("rw")

    def ask(self, request):
        """Send a request of the script protocol; its value."""
        if not self.line:
            raise ModelError("this guest has no device model")
        try:
            self.line.write(json.dumps(request) + "\n")
            self.line.flush()
            text = self.line.readline()
        except OSError as error:
            raise ModelError(f"the device model does not answer: {error}") from error
        if not text:
            raise ModelError(f"the device model is gone: {self.last_words()}")
        answer = json.loads(text)
        if "error" in answer:
            raise ModelError(answer["error"])
        return answer["value"]

    def died(self):
        return self.process is not None and self.process.poll() is not None

    def last_words(self):
        lines = self.log.read_text(errors="replace").strip().splitlines()[-3:]
        return " / ".join(lines) + f" (see {self.log})"

    def verdict(self):
        """What is wrong with how the model ran, or None; after the guest's end."""
        if not self.ports:
            return None
        if self.ended:
            return f"the device model ended by itself, status {self.process.returncode}: " \
                   + self.last_words()
        if "panicked at" in self.log.read_text(errors="replace"):
            return f"a thread of the device model panicked (see {self.log})"
        return None

    def __exit__(self, *_):
        if not self.process:
            return
        # QEMU is gone by now. A model that outlives it is ended; one that did not
        # live so long has died.
        self.ended = self.died() and self.process.returncode != 0
        if not self.died():
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        if self.line:
            self.line.close()
        shutil.rmtree(self.scratch, ignore_errors=True)
