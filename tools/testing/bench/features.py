# SPDX-License-Identifier: GPL-2.0
"""Names of negotiated feature bits, from the kernel's own headers."""

import re
from functools import cache
from pathlib import Path

HEADERS = ("virtio_ring.h", "virtio_config.h", "virtio_net.h")
DEFINE = re.compile(r"#define\s+(?:VIRTIO_NET_F|VIRTIO_RING_F|VIRTIO_F)_(\w+)\s+(\d+)\b")


@cache
def known():
    """Bit -> name without its prefix; empty where no header is found."""
    found = {}
    for header in HEADERS:
        for path in sorted(Path("/usr/src").glob(f"*-common/include/uapi/linux/{header}")):
            for name, bit in DEFINE.findall(path.read_text()):
                found.setdefault(int(bit), name)
    return found


def set_bits(text):
    """The bits of a virtio device's features file in sysfs, lowest first."""
    return {i for i, bit in enumerate(text) if bit == "1"}


def names(bits):
    return ", ".join(known().get(bit, str(bit)) for bit in sorted(bits))


def difference(c, rust):
    """What one side negotiated and the other did not, as a phrase."""
    c, rust = set_bits(c), set_bits(rust)
    parts = [
        f"only {side}: {names(bits)}"
        for side, bits in (("C", c - rust), ("Rust", rust - c))
        if bits
    ]
    return "; ".join(parts)
