# SPDX-License-Identifier: GPL-2.0
"""What a guest needs to run from memory alone: the drivers of its file systems do not
survive suspend. One archive, that init.sh unpacks."""

import os
import re
import subprocess
import tarfile
from pathlib import Path

from . import paths

PROGRAMS = ("sh", "busybox", "python3", "ip", "ethtool", "ping", "modprobe", "insmod", "rmmod",
            "sysctl", "mount", "umount", "rtcwake", "bridge", "bpftool")
TOP = ("bin", "sbin", "lib", "lib64")
# What python3 has and no case uses.
LEFT_OUT = re.compile(r"/python3[^/]*/(test|idlelib|tkinter|turtledemo|ensurepip|pydoc_data|lib2to3)(/|$)")


def archive(target, kernel, job_file, job):
    """Writes the archive for a guest to `target`, and returns that."""
    files = {Path("/etc/passwd"), Path("/etc/group"), Path("/etc/protocols"), Path("/etc/iproute2"),
             Path(job_file), paths.GUEST, paths.TESTS}
    files |= {Path(job[key]) for key in ("module", "fault_module", "traffic")}
    samples = {Path(job["bpf"]) / "xdpsock"}
    files |= {Path(job["bpf"]) / "xdp.o"} | samples
    found = subprocess.run(["which", *PROGRAMS], capture_output=True, text=True, check=False, timeout=20)
    programs = {Path(line) for line in found.stdout.split()}
    standard = Path("/usr/lib") / Path("/usr/bin/python3").resolve().name
    extensions = set((standard / "lib-dynload").glob("*.so"))
    files |= programs | {standard} | _libraries(programs | extensions | {path for path in samples if path.exists()})
    if not kernel.modules:
        files |= _modules(kernel.release)
    with tarfile.open(target, "w") as tar:
        for link in TOP:
            tar.add(f"/{link}", recursive=False)
        if kernel.modules:
            tar.add(kernel.modules, arcname="usr/lib/modules")
        for file in sorted(files):
            _add(tar, file)
    return target


def _add(tar, file):
    """A file or a folder, with what symbolic links on the way lead to."""
    if not file.exists():
        return
    tar.add(file, filter=lambda info: None if LEFT_OUT.search("/" + info.name) else info)
    if file.is_symlink():
        _add(tar, Path(os.path.normpath(file.parent / file.readlink())))


def _libraries(programs):
    """Shared libraries, as paths and as what these lead to."""
    listed = subprocess.run(["ldd", *map(str, programs)], capture_output=True, text=True,
                            check=False, timeout=120).stdout
    found = {Path(path) for path in re.findall(r"(/\S+\.so\S*) \(0x", listed)}
    # /lib is a link.
    return {Path("/usr") / str(path).lstrip("/") if path.parts[1] in TOP else path for path in found}


def _modules(release):
    """The C driver and what it needs, and the lists that modprobe reads."""
    root = Path("/usr/lib/modules") / release
    found = set(root.glob("modules.*"))
    for module in ("virtio_net", "8021q", "e1000e"):
        shown = subprocess.run(["modprobe", "-S", release, "--show-depends", module],
                               capture_output=True, text=True, check=False, timeout=60).stdout
        for path in re.findall(r"^insmod (\S+)", shown, re.M):
            found.add(Path(path) if path.startswith("/usr") else Path("/usr" + path))
    return found
