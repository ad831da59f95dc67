# SPDX-License-Identifier: GPL-2.0
"""Where things are. The runner runs inside the tree (in-tree.sh)."""

import os
from pathlib import Path

TESTING = Path(__file__).resolve().parent.parent
PROJECT = TESTING.parent.parent
GUEST = TESTING / "guest"
TESTS = TESTING / "tests"
MODEL = TESTING / "model"
OUT = PROJECT / "build" / os.environ.get("VNR_OUT", "test")
CACHE = Path(os.environ.get("VNR_CACHE", "/var/tmp"))
BUILT = PROJECT / "virtio_net_rs.ko"


def replace(path, text):
    """Writes a file that other runs read and write meanwhile: they find the old one or the new one."""
    fresh = path.with_suffix(f".{os.getpid()}")
    fresh.write_text(text)
    fresh.rename(path)


def kernel_release():
    return Path("/etc/virtio-net-rs/kernel-release").read_text().strip()


def kernel_image():
    return Path(f"/boot/vmlinuz-{kernel_release()}")
