# SPDX-License-Identifier: GPL-2.0
"""A process gets its frames in the order in which it gave them, also where the queue was filled up with pages
of the driver meanwhile."""

import contextlib
import os

from bind import CHUNK, CHUNKS, Socket
from bpf_link import Map
from test_afxdp import PORT, wait_until_free
from vnrtest import case, check, equal, wait_for
from xdp import PLACE, Xdp
from xsk import number_of, numbered, send

ORDER = 57
PARAMS = ["iommu_platform=on", "packed=on,iommu_platform=on", "mode=small,iommu_platform=on"]
# Chunks given before the bind, and frames in a burst: there are four chunks more at each than it needs.
FIRST, BURSTS, MORE = (0, 4, 16, 40), (1, 8, CHUNKS), 4


def received(env, frames, first, burst):
    """(address of a chunk, bytes of the frame) of all that a process gets."""
    chunks = [CHUNK * index for index in range(CHUNKS)]
    with contextlib.closing(Socket(env.dut)) as made, Map(f"{PLACE}-maps/sockets") as sockets:
        made.fill(chunks[:first])
        made.bind()
        sockets.update(0, made.socket.fileno())
        for at in range(0, CHUNKS, burst):
            made.fill(chunks[made.filled:at + burst + MORE])
            # Nothing new: the call has the queue looked after.
            made.send([])
            send(env, frames[at:at + burst])
            wait_for(lambda: len(made.received()) >= at + burst, f"{at + burst} frames, of {first} given first")
        return made.received()


def changes(got, frames):
    """What is not as it was sent."""
    numbers = [number_of(data) for _, data in got]
    if numbers != list(range(len(frames))):
        return f"frames came as {numbers}"
    return "; ".join(f"frame {number}, of {len(sent)} bytes, came as {data.hex()}, was {sent.hex()}"
                     for number, ((_, data), sent) in enumerate(zip(got, frames)) if data != sent)


@case(90)
def beside_pages(env):
    """Frames of all sizes come unchanged, each in the next chunk."""
    # A peer with several queues, as for other NICs of the guest, sends by that of the processor it is on: frames of
    # one that is moved meanwhile may overtake each other.
    os.sched_setaffinity(0, {0})
    xdp = Xdp(env)
    xdp.set(port=PORT)
    xdp.attach("socket")
    frames = numbered(env, CHUNKS, PORT)
    for burst in BURSTS:
        for first in FIRST:
            when = f"in bursts of {burst}, of {first} given first"
            got = received(env, frames, first, burst)
            equal([address // CHUNK for address, _ in got], list(range(CHUNKS)), f"chunks {when}")
            check([data for _, data in got] == frames, f"{when}: {changes(got, frames)}")
            wait_until_free()
