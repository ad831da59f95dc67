# SPDX-License-Identifier: GPL-2.0
"""Builds and runs the measured guest: initramfs, QEMU command, supervision."""

import lzma
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from peer import TAPS
from scenarios import NICS, with_pair

HERE = Path(__file__).resolve().parent
# What the tests' guests need, too.
sys.path.insert(0, str(HERE.parent))
from vnr import console

DPDK = HERE.parents[2] / "samples/dpdk/dpdk_fwd.c"
PROGRAMS = ("/usr/bin/ip",)
# Loaded at boot; the drivers under test only when a plan says so. All are there
# before symbols are taken.
BOOT_MODULES = ("e1000", "9p", "9pnet_virtio", "pktgen", "uio_pci_generic")
LATER_MODULES = ("virtio_net",)


# No part takes so long.
SILENT_SECONDS = 900


class GuestError(Exception):
    """A guest did not do what its plan says; the text says what to look at."""


def run(*command, **kwargs):
    done = subprocess.run(
        [str(c) for c in command], capture_output=True, text=True, **kwargs
    )
    if done.returncode:
        raise GuestError(f"{' '.join(map(str, command))} failed:\n{done.stderr}")
    return done.stdout


def build_tools(out):
    """Compiles the plugin and the guest's agent."""
    cc = ("gcc-14", "-O2", "-Wall", "-Wextra", "-Werror")
    plugin, agent = out / "insncount.so", out / "agent"
    source = HERE / "plugin/insncount.c"
    run(*cc, "-fPIC", "-shared", "-fvisibility=hidden", "-o", plugin, source)
    run(*cc, "-static", "-o", agent, *sorted(HERE.glob("guest/agent*.c")), "-lm")
    run("clang-19", "-target", "bpf", "-mcpu=v3", "-O2", "-g", "-Wall", "-Wextra", "-Werror",
        "-I/usr/include/x86_64-linux-gnu", "-c", HERE / "guest/xdp.c", "-o", out / "xdp.o")
    flags = run("pkg-config", "--cflags", "libdpdk").split()
    libraries = ("eal", "ethdev", "mbuf", "mempool", "net")
    # Drivers, which a program loads as it starts: those that it needs, as the guest has no others.
    drivers = ("bus_pci", "mempool_ring", "net_virtio")
    run("gcc-14", "-O2", "-Wall", "-Wextra", "-Werror", *flags, DPDK,
        "-o", out / "dpdk_fwd", "-Wl,--no-as-needed", *(f"-lrte_{name}" for name in (*libraries, *drivers)))
    return plugin, agent


def module_files(release, names):
    """The named modules and what they depend on, dependencies first."""
    base = Path("/lib/modules") / release
    needs, order = {}, []
    for line in (base / "modules.dep").read_text().splitlines():
        path, _, rest = line.partition(":")
        needs[module_name(path)] = (base / path, [module_name(d) for d in rest.split()])

    def visit(name):
        if name not in needs:
            raise GuestError(f"the kernel {release} has no module {name}")
        path, deps = needs[name]
        for dep in deps:
            visit(dep)
        if path not in order:
            order.append(path)

    for name in names:
        visit(name)
    return order


def module_name(path):
    return os.path.basename(path).split(".ko")[0].replace("-", "_")


def copy_program(program, root):
    """A program with its shared libraries, at their own paths."""
    for path in [program, *re.findall(r"(/\S+) \(0x", run("ldd", program))]:
        target = root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    (root / "bin").mkdir(exist_ok=True)
    if not (root / "bin" / Path(program).name).exists():
        shutil.copy(program, root / "bin" / Path(program).name)


def build_initramfs(out, release, agent, extra_modules):
    """busybox, the agent, the modules unpacked. Returns archive and modules."""
    root = out / "initramfs"
    shutil.rmtree(root, ignore_errors=True)
    modules = root / "modules"
    modules.mkdir(parents=True)
    (root / "bin").mkdir()
    (root / "lib").mkdir()
    shutil.copy("/usr/bin/busybox", root / "bin/busybox")
    os.symlink("busybox", root / "bin/sh")
    shutil.copy(agent, root / "bin/agent")
    for program in (*PROGRAMS, str(out / "dpdk_fwd")):
        copy_program(program, root)
    shutil.copy(out / "xdp.o", root / "lib/xdp.o")
    shutil.copy(HERE / "guest/init", root / "init")
    (root / "init").chmod(0o755)
    shutil.copy(HERE / "guest/bench.sh", root / "lib/bench.sh")
    boot = module_files(release, BOOT_MODULES)
    later = module_files(release, LATER_MODULES)
    for path in boot + later:
        packed = path.read_bytes()
        data = lzma.decompress(packed) if path.suffix == ".xz" else packed
        (modules / f"{module_name(path)}.ko").write_bytes(data)
    own = [module_name(p) for p in later]
    at_boot = [module_name(p) for p in boot] + own
    order = [n for n in dict.fromkeys(at_boot) if n not in LATER_MODULES]
    (modules / "order").write_text("\n".join(order) + "\n")
    for path in extra_modules:
        shutil.copy(path, modules / Path(path).name)
    archive = out / "initramfs.cpio"
    with open(archive, "wb") as file:
        subprocess.run(
            ["sh", "-c", "find . | cpio --quiet -o -H newc -R 0:0"],
            cwd=root, stdout=file, check=True,
        )
    return archive, modules


def qemu_command(out, release, archive, nics, accel, plugin=None, icount=False):
    nics = with_pair(set(nics))
    command = [
        "qemu-system-x86_64", "-M", "q35", "-cpu", "max" if accel == "tcg" else "host",
        "-accel", "tcg,thread=single" if icount else accel,
        "-smp", "1", "-m", "1G", "-nodefaults", "-no-reboot", "-display", "none",
        "-serial", f"file:{out}/console.log",
        "-kernel", f"/boot/vmlinuz-{release}", "-initrd", str(archive),
        "-append", "console=ttyS0 nokaslr loglevel=5 oops=panic panic=-1 net.ifnames=0 ipv6.disable=1"
                   " tsc=reliable damon_stat.enabled=N",
        "-virtfs", f"local,path={out},mount_tag=out,security_model=none",
    ]
    if icount:
        command += ["-icount", "shift=0,sleep=off"]
    if plugin:
        command += ["-plugin", f"{plugin},out={out}"]
    if "rx" in nics:
        # The e1000's doorbell delivers a burst within the vCPU's thread.
        command += [
            "-netdev", "hubport,id=rx0,hubid=0", "-netdev", "hubport,id=rx1,hubid=0",
            # What the NIC sends vanishes, as below.
            "-chardev", "null,id=void-rx",
            "-object", "filter-redirector,id=sink-rx,netdev=rx0,queue=rx,outdev=void-rx",
            "-device", "e1000,netdev=rx1,mac=52:54:00:00:00:13,addr=13.0",
            "-device", nic_device("rx", "rx0", icount) + ",tx=timer,x-txtimer=150000",
        ]
    if "tx" in nics:
        # Frames vanish in a null device; completions come in batches by timer.
        command += [
            "-netdev", "hubport,id=tx0,hubid=1", "-chardev", "null,id=void",
            "-object", "filter-redirector,id=sink,netdev=tx0,queue=rx,outdev=void",
            "-device", nic_device("tx", "tx0", icount) + ",tx=timer,x-txtimer=150000",
        ]
    if "tx4" in nics:
        # Each queue a queue of the tap, where frames go nowhere.
        command += [
            "-netdev", f"tap,id=tx4,ifname={TAPS['tx4']},script=no,downscript=no,vhost=off,queues=4",
            "-device", nic_device("tx4", "tx4", icount)
            + ",mq=on,vectors=10,tx=timer,x-txtimer=150000",
        ]
    if "lat" in nics:
        # What is sent goes out after a microsecond. This e1000 need not hold back interrupts.
        command += [
            "-netdev", "hubport,id=lat0,hubid=2", "-netdev", "hubport,id=lat1,hubid=2",
            "-device", "e1000-82545em,netdev=lat1,mac=52:54:00:00:00:16,addr=16.0",
            "-device", nic_device("lat", "lat0", icount) + ",tx=timer,x-txtimer=1000",
        ]
    if "tap" in nics:
        command += [
            "-netdev", f"tap,id=tap0,ifname={TAPS['tap']},script=no,downscript=no,vhost=off",
            "-device", nic_device("tap", "tap0", icount),
        ]
    return command


def nic_device(name, netdev, icount):
    slot = NICS[name].slot
    # The DMA API in use, as AF_XDP zero-copy needs it and as behind an IOMMU.
    options = "disable-legacy=on,iommu_platform=on,queue_reset=on"
    # Headers as most devices have them: with tunnels they are twice as long.
    options += ",guest_tunnel=off,guest_tunnel_csum=off,host_tunnel=off,host_tunnel_csum=off"
    if icount:
        # Doorbells act within the vCPU's thread, not when the host gets to it.
        options += ",ioeventfd=off"
    return (
        f"virtio-net-pci,netdev={netdev},mac=52:54:00:00:00:{slot},addr={slot}.0,"
        + options
    )


def run_guest(out, command, plan, label, limit, take, show):
    """Runs the plan, bounded in time. `take` gets the log's lines as they come, `show` is
    called in between."""
    for old in out.glob("dump-*.bin"):
        old.unlink()
    for name in ("log", "errors", "dmesg.txt", "kallsyms.c", "kallsyms.rust"):
        (out / name).unlink(missing_ok=True)
    (out / "plan").write_text("\n".join(plan.lines) + "\n")
    (out / "log").touch()
    start = heard = time.monotonic()
    hint = f"see {out}/console.log, {out}/qemu.log and {out}/errors"
    lines = []

    def follow():
        nonlocal heard
        whole, _, _ = (out / "log").read_text().rpartition("\n")
        fresh = [line.split() for line in whole.splitlines()[len(lines):]]
        for line in fresh:
            lines.append(line)
            heard = time.monotonic()
            take(line)

    with open(out / "qemu.log", "w") as err:
        qemu = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=err, stderr=subprocess.STDOUT
        )
        try:
            while qemu.poll() is None:
                follow()
                show()
                if time.monotonic() - start > limit:
                    raise GuestError(f"{label}: not done after {limit} s; {hint}")
                if time.monotonic() - heard > SILENT_SECONDS:
                    raise GuestError(f"{label}: stuck, it has said nothing for {SILENT_SECONDS} s; {hint}")
                time.sleep(0.5)
        finally:
            if qemu.poll() is None:
                qemu.kill()
            qemu.wait()
    follow()
    fatal = [" ".join(line[1:]) for line in lines if line[0] == "fatal"]
    splat = first_splat(out / "console.log")
    if fatal or splat:
        raise GuestError(f"{label}: {'; '.join(fatal + splat)}; {hint}")
    done = sum(line[0] == "part" for line in lines)
    if done != plan.parts:
        raise GuestError(f"{label}: {done} of {plan.parts} runs finished; {hint}")


def first_splat(log):
    """The kernel's complaints, if any: what a broken driver counts is void."""
    if not log.exists():
        return []
    return [line for _, line in console.splats(log.read_text(errors="replace"))][:3]
