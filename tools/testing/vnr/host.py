# SPDX-License-Identifier: GPL-2.0
"""Cases that need no guest, and the proof that the kernel is Debian's."""

import fnmatch
import hashlib
import subprocess
import time

from . import paths
from .results import Result

# name: (command in the project's folder, seconds)
COMMANDS = {
    "host.check_tree": (["tools/testing/check-tree.sh"], 120),
    "host.wire": (["cargo", "test", "--quiet", "--locked", "--manifest-path",
                   "rust/wire/Cargo.toml"], 900),
    "host.clippy": (["make", "--no-print-directory", "clippy"], 900),
    "host.fmtcheck": (["make", "--no-print-directory", "fmtcheck"], 300),
}


def run_commands(results, pattern):
    chosen = [name for name in COMMANDS
              if not pattern or any(fnmatch.fnmatchcase(name, glob)
                                    for part in pattern.split(",") for glob in (part, part + ".*"))]
    for name in chosen:
        command, limit = COMMANDS[name]
        start = time.monotonic()
        log = paths.OUT / f"{name}.log"
        with open(log, "wb") as file:
            try:
                status = subprocess.run(command, cwd=paths.PROJECT, stdin=subprocess.DEVNULL,
                                        stdout=file, stderr=subprocess.STDOUT,
                                        timeout=limit).returncode
                why = "" if status == 0 else f"{' '.join(command)}: status {status} (see {log})"
            except subprocess.TimeoutExpired:
                why = f"{' '.join(command)}: not done within {limit} s (see {log})"
            except OSError as error:
                why = f"{command[0]}: {error.strerror}"
        seconds = time.monotonic() - start
        result = results.add(Result(name, "host", "fail" if why else "ok", why, seconds))
        print(f"# {name}: {'not ok: ' + why if result.status == 'fail' else 'ok'} ({seconds:.0f} s)",
              flush=True)


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
    results.add(Result("host.kernel_is_debians", "host", "fail" if differs else "ok",
                       "; ".join(differs)))
