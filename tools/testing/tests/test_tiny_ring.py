# SPDX-License-Identifier: GPL-2.0
"""A device whose transmit ring has fewer descriptors than a packet can have pieces."""

from test_traffic import sendfile
from vnrtest import case

ORDER = 35
PARAMS = ["device=model,tx_queue_size=16"]
# As many as suites of the model need, so that they share a guest.
CPUS = 4


@case(60)
def long_packets(env):
    """Packets of more pieces than that arrive, and so do those after them."""
    # A page of the file each.
    sendfile(env)
    env.echo("udp", env.peer.ip4, 0, 1472, 211)
    env.ping()
