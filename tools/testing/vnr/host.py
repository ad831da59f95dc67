# SPDX-License-Identifier: GPL-2.0
"""Verdicts of the cases that need no guest, and the proof that the kernel is
Debian's."""

import hashlib
import os
import subprocess
import time
from pathlib import Path

from . import paths
from .results import Result

SKIPPED = "77"  # of a case that cannot be had here; the last line of its log says why


def runs_beside():
    """Whether host.sh runs beside the guests: test.sh has it so if all is to be tested."""
    return "VNR_HOST" in os.environ


def begin():
    """Nothing is built for the guests any more: host.sh may build the same."""
    (paths.OUT / "host.begin").touch()


def wait():
    """For the end of host.sh, of which every step has a time limit."""
    while Path("/proc", os.environ["VNR_HOST"]).exists():
        time.sleep(1)


def read_results(results):
    """The verdicts of host.sh: lines "NAME STATUS SECONDS LOG COMMAND", and "end"."""
    file = paths.OUT / "host.results"
    # On the debug kernel there are none.
    if not file.exists() and not runs_beside():
        return
    lines = file.read_text().splitlines() if file.exists() else []
    if lines[-1:] == ["end"]:
        lines.pop()
    else:
        results.add(Result("host.all", "host", "fail", "host.sh did not come to its end"))
    for line in lines:
        name, status, seconds, log, command = line.split(None, 4)
        why = ""
        if status == SKIPPED:
            said = open(log).read().strip().splitlines()
            results.add(Result(name, "host", "skip", said[-1] if said else command, float(seconds)))
            continue
        if status == "124":
            why = f"{command}: not done within its time (see {log})"
        elif status != "0":
            why = f"{command}: status {status} (see {log})"
        results.add(Result(name, "host", "fail" if why else "ok", why, float(seconds)))


def verify_kernel(results):
    """dpkg's checksums of the kernel package, and the image's SHA-256."""
    release = paths.kernel_release()
    package = f"linux-image-{release}"
    done = subprocess.run(["dpkg", "-V", package], capture_output=True, text=True, timeout=120)
    # dpkg -V prints a line for each file that differs; documentation is left
    # out of the tree on purpose.
    differs = [line for line in done.stdout.splitlines()
               if not line.startswith("missing") or "/usr/share/doc/" not in line]
    digest = hashlib.sha256(paths.kernel_image().read_bytes()).hexdigest()
    booted = hashlib.sha256(open(f"/usr/lib/modules/{release}/vmlinuz", "rb").read()).hexdigest()
    if booted != digest:
        differs.append("the image that virtme-ng boots is not the package's")
    version = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package],
                             capture_output=True, text=True, timeout=60).stdout
    print(f"# kernel: {package} {version}, vmlinuz sha256 {digest}, dpkg -V: "
          f"{'as Debian ships it' if not differs else '; '.join(differs)}", flush=True)
    results.add(Result("host.kernel_is_debians", "host",
                                    "fail" if differs else "ok", "; ".join(differs)))
