# SPDX-License-Identifier: GPL-2.0
"""The kernels that guests run: Debian's own, and the debug kernel that
debug.sh makes, whose folder is in the environment variable VNR_DEBUG."""

import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from . import paths
from .results import Result


@dataclass(frozen=True)
class Kernel:
    name: str           # "stock" or "debug"
    release: str
    image: Path
    built: Path         # our module, built for this kernel
    slowness: int       # what its checks cost, as a factor on time limits
    modules: Path = None    # what to mount over the guest's /lib/modules, or None

    @property
    def module(self):
        """Guests load a copy: a build beside the tests must not change it."""
        return paths.OUT / f"{self.suffix}virtio_net_rs.ko"

    @property
    def identity(self):
        """What no other kernel has: a package's release, or the folder in the cache, whose name says of
        what it was made."""
        return self.image.parent.name if self.name == "debug" else self.release

    @property
    def suffix(self):
        """Before the names of guests and files of another kernel than the stock one."""
        return "" if self.name == "stock" else f"{self.name}-"

    @property
    def fault_module(self):
        """vnr_fault, beside ours in the build folder."""
        return paths.PROJECT / "build" / self.release / "kmod" / "vnr_fault.ko"

    @property
    def restart_module(self):
        return self.fault_module.with_name("vnr_restart.ko")

    def take_module(self):
        if self.built.exists():
            shutil.copyfile(self.built, self.module)
        else:
            self.module.unlink(missing_ok=True)

    def boot_args(self):
        """virtme-run's arguments: it finds the stock kernel's modules by itself."""
        if not self.modules:
            return ["--kimg", self.release, "--mods", "auto"]
        return ["--kimg", str(self.image), "--mods", "none"]

    def options(self):
        """Last words of the kernel's command line. Without an initramfs virtme-run
        appends an init of its own: behind "--" it is only an argument of ours."""
        return ["printk.time=1", f"vnr.modules={self.modules}", "--"] if self.modules else []

    def digest(self):
        return hashlib.sha256(self.image.read_bytes()).hexdigest()


def stock():
    release = paths.kernel_release()
    return Kernel("stock", release, paths.kernel_image(), paths.BUILT, 1)


def debug():
    """The debug kernel, or None if this run has none."""
    folder = os.environ.get("VNR_DEBUG")
    if not folder:
        return None
    folder = Path(folder)
    release = (folder / "release").read_text().strip()
    return Kernel("debug", release, folder / "bzImage",
                  paths.PROJECT / "build" / release / "virtio_net_rs.ko", 4,
                  folder / "lib/modules")


def describe_debug(kernel):
    """What a log says of the debug kernel: it is no package's."""
    config = (kernel.image.parent / "config").read_bytes()
    print(f"# kernel: {kernel.release}, bzImage sha256 {kernel.digest()}, "
          f"config sha256 {hashlib.sha256(config).hexdigest()[:16]}", flush=True)


def missing_debug(results):
    """One skip stands for what would have run on the debug kernel."""
    results.add(Result(
        "host.debug_kernel", "host", "skip",
        "the debug kernel is not built: make test-debug, or make test DEBUG=1"))
