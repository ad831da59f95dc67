# SPDX-License-Identifier: GPL-2.0
"""What guests load and run, made before they start."""

import subprocess

from . import paths


def traffic():
    """The traffic program, with the tree's own compiler: guests run on the tree."""
    source = paths.GUEST / "traffic.c"
    program = paths.OUT / "bin" / "traffic"
    if program.exists() and program.stat().st_mtime > source.stat().st_mtime:
        return
    program.parent.mkdir(parents=True, exist_ok=True)
    fresh = program.with_suffix(".new")
    subprocess.run(["gcc", "-O2", "-Wall", "-Wextra", "-o", str(fresh), str(source)], check=True)
    fresh.rename(program)


def preload():
    """What Debian's xdp-tools need on this kernel."""
    source = paths.GUEST / "xdp_tools.c"
    library = paths.OUT / "bin" / "xdp_tools.so"
    if library.exists() and library.stat().st_mtime > source.stat().st_mtime:
        return
    library.parent.mkdir(parents=True, exist_ok=True)
    fresh = library.with_suffix(".new")
    subprocess.run(["gcc", "-O2", "-Wall", "-Wextra", "-shared", "-fPIC", "-o", str(fresh), str(source)], check=True)
    fresh.rename(library)


def bpf():
    """The XDP programs of the cases."""
    for source in (paths.GUEST / "bpf").glob("*.c"):
        program = paths.OUT / "bin" / f"{source.stem}.o"
        if program.exists() and program.stat().st_mtime > source.stat().st_mtime:
            continue
        program.parent.mkdir(parents=True, exist_ok=True)
        fresh = program.with_suffix(".new")
        subprocess.run(["clang-19", "-target", "bpf", "-mcpu=v3", "-O2", "-g", "-Wall", "-Wextra", "-Werror",
                        "-I/usr/include/x86_64-linux-gnu", "-c", str(source), "-o", str(fresh)], check=True)
        fresh.rename(program)


def needs_samples(case):
    return (case.startswith(("afxdp.", "hostile.", "iommu.", "metadata.", "restart.", "samples_xskqual.", "umem."))
            or case == "suspend.sockets_survive")


def samples():
    """The samples that cases run, by the tree's own cargo; nothing is done if they are new enough."""
    target = paths.PROJECT / "build" / "samples"
    subprocess.run(["cargo", "build", "--quiet", "--locked", "--workspace",
                    "--manifest-path", str(paths.PROJECT / "samples" / "Cargo.toml"),
                    "--target-dir", str(target)], check=True)
    for name in ("xdpsock", "xskqual"):
        program = paths.OUT / "bin" / name
        program.parent.mkdir(parents=True, exist_ok=True)
        built = target / "debug" / name
        if not program.exists() or program.stat().st_mtime < built.stat().st_mtime:
            fresh = program.with_suffix(".new")
            fresh.write_bytes(built.read_bytes())
            fresh.chmod(0o755)
            fresh.rename(program)
