# SPDX-License-Identifier: GPL-2.0
"""What guests load and run, made before they start."""

import subprocess
import sys

from . import paths


def _compile(source, name, *flags, compiler="gcc"):
    """One source into build/test/bin, by the tree's own compiler, as guests run on the tree;
    nothing is done if it is new enough."""
    program = paths.OUT / "bin" / name
    if program.exists() and program.stat().st_mtime > source.stat().st_mtime:
        return
    program.parent.mkdir(parents=True, exist_ok=True)
    fresh = program.with_suffix(".new")
    subprocess.run([compiler, "-O2", "-Wall", "-Wextra", str(source), "-o", str(fresh), *flags], check=True)
    fresh.rename(program)


def traffic():
    """The traffic program."""
    _compile(paths.GUEST / "traffic.c", "traffic")


def preload():
    """What Debian's xdp-tools need on this kernel."""
    _compile(paths.GUEST / "xdp_tools.c", "xdp_tools.so", "-shared", "-fPIC")


def dpdk():
    """The application on DPDK, whose drivers it loads as it runs."""
    flags = subprocess.run(["pkg-config", "--cflags", "libdpdk"], check=True, capture_output=True, text=True).stdout
    _compile(paths.PROJECT / "samples" / "dpdk" / "dpdk_fwd.c", "dpdk_fwd", *flags.split(),
             *(f"-lrte_{name}" for name in ("eal", "ethdev", "mbuf", "mempool", "net")))


def bytecode():
    """The modules of the cases compiled, once for all guests, whose root is read-only."""
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(paths.GUEST), str(paths.TESTS)], check=True)


def bpf():
    """The XDP programs of the cases."""
    for source in (paths.GUEST / "bpf").glob("*.c"):
        _compile(source, f"{source.stem}.o", "-target", "bpf", "-mcpu=v3", "-g", "-Werror",
                 "-I/usr/include/x86_64-linux-gnu", "-c", compiler="clang-19")


def crate(folder, target):
    """The programs of a crate or workspace, by the tree's own cargo; nothing is done if they are new enough."""
    manifest, target = str(folder / "Cargo.toml"), str(target)
    subprocess.run([str(paths.TESTING / "host" / "libraries.sh"), "take", target, manifest], check=True)
    subprocess.run(["cargo", "build", "--quiet", "--locked", "--workspace", "--manifest-path", manifest,
                    "--target-dir", target], check=True)


SAMPLES = ("xdpsock", "xskqual")


def needs_samples(case):
    return (case.startswith(("afxdp.", "allocations.", "canary.", "hostile.", "iommu.", "metadata.", "restart.",
                             "room.", "samples", "umem.", "unplug.", "xdp_faults.", "xdp_large."))
            or case in ("suspend.sockets_survive", "rings.tx_timeout_with_socket"))


def samples():
    """The samples that cases run."""
    target = paths.PROJECT / "build" / "samples"
    crate(paths.PROJECT / "samples", target)
    for name in SAMPLES:
        _place(target / "debug" / name, paths.OUT / "bin" / name)


def sanitized_samples():
    """The same with AddressSanitizer in the crates of ours, beside what else cases look for there."""
    target = paths.PROJECT / "build" / "asan-samples"
    subprocess.run([str(paths.TESTING / "host" / "sanitize.sh"), "--inside", "--samples", str(target)], check=True)
    for name in SAMPLES:
        _place(target / "debug" / name, paths.OUT / "asan" / name)
    for objects in (paths.OUT / "bin").glob("*.o"):
        _place(objects, paths.OUT / "asan" / objects.name)


def _place(built, program):
    """A copy, which a program that runs does not keep from being replaced."""
    program.parent.mkdir(parents=True, exist_ok=True)
    if not program.exists() or program.stat().st_mtime < built.stat().st_mtime:
        fresh = program.with_suffix(".new")
        fresh.write_bytes(built.read_bytes())
        fresh.chmod(0o755)
        fresh.rename(program)
