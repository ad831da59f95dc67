# SPDX-License-Identifier: GPL-2.0
"""The picture: per scenario both drivers' bars, stacked by group."""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

# Bottom to top: what the driver answers for first.
STACK = {
    "module": "#b2452c",
    "virtio_ring": "#e08a4f",
    "dma": "#f2c078",
    "page_pool": "#7f9f5f",
    "xsk": "#4f8f8b",
    "xdp": "#2f6f9f",
    "skb/slab": "#9db4d0",
    "net-core": "#c3cede",
    "other": "#dddddd",
    "user": "#f0e8d8",
    "source": "#f4f4f4",
}


def draw(results, path):
    figure, axes = plt.subplots(
        1, len(results), figsize=(2.6 * len(results) + 1.6, 5.2), squeeze=False
    )
    used = [g for g in STACK if any(
        r[side]["by_group"].get(g, 0) > 0.5 for r in results for side in ("c", "rust"))]
    for axis, result in zip(axes[0], results):
        draw_pair(axis, result, used)
    handles = [plt.Rectangle((0, 0), 1, 1, color=STACK[g]) for g in reversed(used)]
    figure.legend(handles, list(reversed(used)), loc="center right", frameon=False)
    figure.suptitle("Guest instructions per unit; warm colours: driver, ring, DMA (core)", fontsize=11)
    figure.tight_layout(rect=(0, 0, 1 - 1.5 / figure.get_figwidth(), 0.97))
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw_pair(axis, result, used):
    for x, side in enumerate(("c", "rust")):
        base = 0.0
        for group in used:
            # Differences of runs can leave a hair below zero.
            height = max(result[side]["by_group"].get(group, 0.0), 0.0)
            axis.bar(x, height, 0.72, bottom=base, color=STACK[group],
                     edgecolor="white", linewidth=0.4)
            base += height
        axis.text(x, base, f"{result[side]['total']:.0f}", ha="center", va="bottom", fontsize=8)
    axis.set_xticks((0, 1), ("C", "Rust"))
    axis.set_title(
        f"{result['name']} (per {result['unit']})\n"
        f"core {result['ratio']['core']:.3f}, total {result['ratio']['total']:.3f}",
        fontsize=9,
    )
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(labelsize=8)
    axis.set_ylim(0, 1.1 * max(sum(max(v, 0) for v in result[side]["by_group"].values())
                               for side in ("c", "rust")))
