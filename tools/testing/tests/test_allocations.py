# SPDX-License-Identifier: GPL-2.0
"""Frames in memory of a process cost no allocation and no DMA mapping: events of the kernel's allocators and
of its DMA layer, counted for few frames and for many. The device is the model, so that nobody else in the
guest has anything to do with the frames."""

from tracing import Counted
from vnrtest import case, check, equal, wait_for
from xdp import Xdp
from xsk import FCS, Client, pinned

ORDER = 57
# The debug kernel has no histograms of events.
KERNELS = ("stock",)
PARAMS = ["device=model,iommu_platform=on"]
FULL_PARAMS = [*PARAMS, "device=model,packed=on,iommu_platform=on", "device=model,mode=small,iommu_platform=on"]
MERGEABLE = "*-mergeable-*"
PORT = 4001
EVENTS = ("kmem/kmalloc", "kmem/kmem_cache_alloc", "kmem/mm_page_alloc", "dma/dma_map_phys", "dma/dma_map_sg")
# Events for each frame that are others': processes come and go.
OTHERS = 0.1


def transmit(env, count, size, *words):
    """A process sends so many frames; the device has them all. How many."""
    env.model.clear()
    with Client(env, "-z", "-t", "-C", count, "-s", size + FCS, "-G", env.peer.mac, "-H", env.dut.mac, *words,
                mapped=False) as client:
        equal(client.zero_copy, True, "zero-copy")
        equal(client.finish(60)["packets"], count, "frames sent")
    check(env.model.traffic()["seen"]["frames"] >= count, "the device has what was sent")
    return count


def receive(env, count, size, *words):
    """A process is given so many frames, and does with them what `words` say; how many it has not missed."""
    with Client(env, "-z", "-p", *words) as client:
        equal(client.zero_copy, True, "zero-copy")
        number = env.model.generate(count=count, size=size, destination_port=PORT)
        equal(env.model.wait_generated(number, 60)["refused"], 0, "frames that found no buffer")
        return client.end()["rx"]


def costs_nothing(env, handle, *words, counts=(500, 4500)):
    """Many frames make for no more events than few."""
    env.model.holes_are_zeros()

    def counted(count):
        wait_for(lambda: pinned() == 0, "the memory of sockets is free")
        with Counted(*EVENTS) as counters:
            frames = handle(env, count, *words)
            return frames, counters.times(), {event: counters.places(event) for event in EVENTS}
    env.model.forward("sink")
    (few, before, _), (many, after, places) = map(counted, counts)
    check(many - few > counts[1] / 3, f"{few} and {many} frames of {counts}")
    for event in EVENTS:
        cost = (after[event] - before[event]) / (many - few)
        check(cost < OTHERS, f"{event}: {cost:.2f} for each frame ({before[event]}, {after[event]}): "
              f"{places[event][-1500:]}")


def ready(env, frags=False):
    """The program that gives the process what it is to have."""
    xdp = Xdp(env)
    xdp.set(port=PORT)
    xdp.attach("socket", frags=frags, overwrite=True)


@case(60)
def addresses(env):
    """All of what is sent for a process, headers included, is where the device finds memory."""
    env.model.holes_are_zeros()
    env.model.forward("sink")
    before = env.model.port()["holes"]
    transmit(env, 100, 64)
    equal(env.model.port()["holes"] - before, 0, "parts of frames where there is no memory")


@case(120)
def sends(env):
    """A process sends."""
    costs_nothing(env, transmit, 64)


@case(120)
def receives(env):
    """A process receives."""
    ready(env)
    costs_nothing(env, receive, 64)


@case(120)
def forwards(env):
    """A process sends on what it has received."""
    ready(env)
    costs_nothing(env, receive, 64, "-l")


@case(120, MERGEABLE)
def jumbo(env):
    """The same of frames over several chunks."""
    env.dut.ip(f"link set dev {env.dut.name} mtu 9000")
    ready(env, frags=True)
    for handle, size, words in ((transmit, 9014, ()), (receive, 8972, ()), (receive, 8972, ("-l",))):
        costs_nothing(env, handle, size, "-F", *words, counts=(100, 900))
