#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""A document with all that a report can have, made of counts that are made up.

sample.py FOLDER writes its report there, for host/report-page.sh.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import compare
import counts
import probes
import report
import results
from scenarios import SCENARIOS, SIDES

DRIVERS = {"c": "virtio_net", "rust": "virtio_net_rs"}
GROUPS = counts.Groups()
NICS = {side: {"driver": DRIVERS[side], "features": "1101", "rings": [256, 256]} for side in SIDES}
# Counts of one packet: (symbol, module) -> (C, Rust); of the drivers' own, one side each.
COSTS = {
    ("virtnet_poll", "virtio_net"): (300, 0),
    ("receive_buf", "virtio_net"): (200, 0),
    ("<virtio_net::rx::Queue>::receive", "virtio_net_rs"): (0, 260),
    ("virtqueue_get_buf_ctx_split", "vmlinux"): (90, 95),
    ("virtqueue_add_inbuf_premapped", "vmlinux"): (150, 130),
    ("page_pool_alloc_frag<netmem>&", "vmlinux"): (60, 50),
    ("kmem_cache_alloc_noprof", "vmlinux"): (120, 60),
    ("__netif_receive_skb", "vmlinux"): (200, 199),
    ("entry_SYSCALL_64", "vmlinux"): (80, 80),
    ("[user]", "user"): (30, 30),
}
NAMES = ("udp-rx", "udp-rx@512", "udp-rx@1500", "xdp-drop", "xsk-zc-rxdrop", "pktgen-tx@1q",
         "pktgen-tx@2q", "pktgen-tx@4q", "tcp-rx")


def cost(side, wobble=0.0, more=0.0):
    at = SIDES.index(side)
    by_place = {(counts.Symbol(name, module, 0), 0): values[at]
                for (name, module), values in COSTS.items() if values[at]}
    by_place[counts.Symbol("__schedule", "vmlinux", 0), 0] = 50 + wobble
    by_place[counts.Symbol("virtqueue_kick", "vmlinux", 0), 0] = 20 + (more if side == "rust" else 0)
    return counts.Cost(by_place, GROUPS, DRIVERS[side])


def scenario(name, more=0.0):
    costs = {side: [cost(side, wobble, more) for wobble in (0, 1, 2, 3, 4)] for side in SIDES}
    result, _ = results.scenario_result(
        SCENARIOS[name], costs, None, 4096, NICS, DRIVERS, GROUPS)
    result["repeats_run"], result["spread_of_all"] = 5, result["spread"]
    result["rate"] = {"unit": "packet", "accel": "tcg", "c": 1000.0, "rust": 1100.0, "ratio": 1.1,
                      "spread": 0.04}
    return result


def latency(name, rust=1.0):
    def row(scale):
        return [10000, 10 ** 8] + [round(scale * n) for n in (9000, 14000, 30000, 60000)] + [420]
    stored = [{"c": {"parts": {"main": row(1 + n / 1000)}},
               "rust": {"parts": {"main": row(rust * (1 + n / 1000))}}} for n in range(3)]
    return probes.result(probes.PROBES[name], stored)


def memory():
    def row(queue):
        """Of the four states: free, slab, percpu, page pools."""
        return [500000, 20000, 900, 0, 499800, 20100, 900, 0,
                499600 - queue, 20110, 900, queue, 499600 - 4 * queue, 20140, 900, 4 * queue]
    stored = [{"c": {"parts": {"main": row(1040 + n)}}, "rust": {"parts": {"main": row(780 + n)}}}
              for n in range(3)]
    return probes.result(probes.PROBES["memory"], stored)


def bypass():
    stored = [{side: {"parts": {"main": [4096, 32 * (100 + n), 128]}} for side in SIDES} for n in range(3)]
    return probes.result(probes.PROBES["bypass-rxdrop"], stored)


def document(failing=False, names=NAMES):
    found = {
        "kernel": "7.3.4", "qemu": "11.1.3", "driver": "v0.1-7-g1234567", "module": "0123456789ab",
        "machine": "2 x Some Processor",
        "accel": "tcg, instructions counted", "rate_accel": "tcg", "date": "2026-01-02 03:04 UTC",
        "seconds": 60, "command": "make bench-full", "same_driver": False,
        "core_groups": GROUPS.core,
        # xsk-zc-rxdrop has a bound that these 400 exceed.
        "scenarios": [scenario(n, 400 if failing and n == "xsk-zc-rxdrop" else 0) for n in names],
        "latency": [latency("latency-udp", 0.9), latency("latency-xdp-tx", 0.8)],
        "memory": [memory()], "bypass": [bypass()], "void": [], "comparison": None,
    }
    return found


def main(folder):
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    shown, earlier = document(failing=True), document()
    earlier["date"] = "2026-01-01 03:04 UTC"
    shown["comparison"] = compare.compare(earlier, shown)
    print(*report.write(shown, out))


if __name__ == "__main__":
    main(sys.argv[1])
