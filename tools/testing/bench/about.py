# SPDX-License-Identifier: GPL-2.0
"""Names of scenarios in words, and how variants of one belong together."""

import re

WORDS = {
    "udp-rx": "frames received, to a UDP socket",
    "udp-tx": "datagrams sent from a socket",
    "pktgen-tx": "frames sent by the kernel's packet generator",
    "xdp-drop": "frames dropped by an XDP program",
    "xdp-tx": "frames sent back by an XDP program",
    "xdp-mb-drop": "frames of 9000 bytes, over several buffers, dropped by an XDP program",
    "xdp-redirect": "frames that an XDP program redirects to another NIC",
    "xdp-ndo-xmit": "frames that another NIC's XDP program redirects to this one",
    "xdp-pass": "frames that an XDP program passes on, to a UDP socket",
    "xsk-zc-rxdrop": "AF_XDP without copies: frames received and dropped",
    "xsk-zc-txonly": "AF_XDP without copies: frames sent",
    "xsk-zc-l2fwd": "AF_XDP without copies: frames received and sent back",
    "xsk-copy-rxdrop": "AF_XDP with copies: frames received and dropped",
    "xsk-copy-txonly": "AF_XDP with copies: frames sent",
    "tcp-rx": "a TCP stream received, all offloads",
    "tcp-tx": "a TCP stream sent, all offloads",
    "latency-udp": "to a UDP socket, one way",
    "latency-udp-echo": "to a process with a UDP socket and back",
    "latency-xdp-tx": "to an XDP program and back",
    "bypass-rxdrop": "frames received and dropped",
    "bypass-l2fwd": "frames received and sent back",
    "memory": "memory of an interface",
}
VARIANTS = {
    "csum": "checksum by the device",
    "sg": "packets of several buffers allowed",
    "c-copy": "C copies, as it has no other way",
}
# What is above its bound by design, and why.
WHY = {
    "xsk-copy-txonly@9000": "By design: the C driver has the kernel send a copy-mode socket's own pages, and so cannot have it "
                            "compute checksums there (--tx-sw-csum). With this driver the kernel copies, and can: frames of up "
                            "to 1500 bytes cost less that way, longer ones more.",
}
# Of several buffers C has zero-copy for none: it copies then.
SIZE = re.compile(r"^(\d+)(?:@c-copy)?$")
QUEUES = re.compile(r"^(\d+)q$")
SMALL = 64  # of the frames of a scenario without a size in its name


def of(name):
    base, *variants = name.split("@")
    return ", ".join(filter(None, (WORDS.get(base, ""), *map(variant_of, variants))))


def variant_of(variant):
    if SIZE.match(variant):
        return f"frames of {variant} bytes"
    if found := QUEUES.match(variant):
        return "one queue" if found[1] == "1" else f"{found[1]} queues in turn"
    return VARIANTS.get(variant, variant)


def families(names, pattern, without=None):
    """base -> [(number, name)] of the variants whose mark the pattern matches; `without` is
    the number of the one without a mark."""
    found = {}
    for name in names:
        base, _, variant = name.partition("@")
        if match := pattern.match(variant):
            found.setdefault(base, []).append((int(match[1]), name))
    for base, members in found.items():
        if without is not None and base in names:
            members.append((without, base))
        members.sort()
    return {base: members for base, members in found.items() if len(members) > 1}


def leading(names):
    """Those that stand for themselves: no variants of others that are there."""
    return [n for n in names if "@" not in n or n.partition("@")[0] not in names]
