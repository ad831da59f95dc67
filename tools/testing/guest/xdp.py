# SPDX-License-Identifier: GPL-2.0
"""XDP programs: loaded once in a guest, attached to NICs, and what they saw."""

import json
import os
import subprocess

from nic import run

PLACE = "/sys/fs/bpf/vnr"
SEEN = ("frames", "bytes", "longest", "right", "wrong", "frags", "refused")
SETTINGS = ("target", "head", "tail", "port")


def little(value, size):
    """The words of bpftool for a number."""
    return [str(byte) for byte in (value & ((1 << 8 * size) - 1)).to_bytes(size, "little")]


class Xdp:
    """The programs of bpf/xdp.c, attached to one NIC, in native mode."""

    def __init__(self, env, nic=None):
        self.env, self.nic = env, nic or env.dut
        self.objects = env.job["bpf"]
        if not os.path.isdir(PLACE):
            if not os.path.ismount("/sys/fs/bpf"):
                run("mount", "-t", "bpf", "bpf", "/sys/fs/bpf")
            run("bpftool", "prog", "loadall", f"{self.objects}/xdp.o", PLACE, "pinmaps", f"{PLACE}-maps",
                timeout=120)

    def _attach(self, program, frags=False, overwrite=False):
        name = f"{program}_frags" if frags else program
        return ["net", "attach", "xdpdrv", "pinned", f"{PLACE}/{name}", "dev", self.nic.name,
                *(["overwrite"] if overwrite else [])]

    def _detach(self):
        return ["net", "detach", "xdpdrv", "dev", self.nic.name]

    def attach(self, program, frags=False, overwrite=False):
        self.nic.command("bpftool", *self._attach(program, frags, overwrite))

    def change(self, *programs, turns):
        """One process, in the background, that attaches each of (program, frags) in place of the
        one before and takes the last off, so many times."""
        turn = [self._attach(program, frags, overwrite=True) for program, frags in programs] + [self._detach()]
        with open("/tmp/changes", "w") as file:
            file.write("\n".join(" ".join(words) for words in turn * turns) + "\n")
        with self.nic.enter():
            return subprocess.Popen(["bpftool", "batch", "file", "/tmp/changes"], stdout=subprocess.DEVNULL)

    def bound(self, program):
        """A program that is bound to the NIC, from an object of its own; its place."""
        place = f"{PLACE}-{program}"
        run("rm", "-rf", place, f"{PLACE}-maps/reports")
        self.nic.command("bpftool", "prog", "load", f"{self.objects}/xdp_{program}.o", place, "xdpmeta_dev",
                         self.nic.name, "pinmaps", f"{PLACE}-maps")
        return place

    @staticmethod
    def dump(name):
        """The values of a map by its numbers."""
        entries = json.loads(run("bpftool", "-j", "map", "dump", "pinned", f"{PLACE}-maps/{name}"))
        return {int.from_bytes(bytes(int(byte, 16) for byte in entry["key"]), "little"):
                bytes(int(byte, 16) for byte in entry["value"]) for entry in entries}

    def detach(self):
        self.nic.command("bpftool", *self._detach())

    def attached(self):
        """The mode of the attached program as ip has it, or None."""
        xdp = self.nic.link().get("xdp")
        return {1: "native", 2: "generic"}.get(xdp["mode"], xdp["mode"]) if xdp else None

    @staticmethod
    def update(name, key, value):
        run("bpftool", "map", "update", "pinned", f"{PLACE}-maps/{name}", "key", *little(key, 4),
            "value", *value)

    def set(self, **settings):
        """What programs are told; the rest is nought. What they have seen is forgotten."""
        lines = [f"map update pinned {PLACE}-maps/settings key {' '.join(little(index, 4))} value "
                 f"{' '.join(little(settings.get(name, 0), 8))}" for index, name in enumerate(SETTINGS)]
        lines += [f"map update pinned {PLACE}-maps/seen key {' '.join(little(index, 4))} value "
                  f"{' '.join(little(0, 8))}" for index in range(len(SEEN))]
        run("bpftool", "batch", "file", "-", text="\n".join(lines) + "\n")

    @staticmethod
    def seen():
        """What the programs have counted since `set`."""
        return {SEEN[key]: int.from_bytes(value, "little") for key, value in Xdp.dump("seen").items()}
