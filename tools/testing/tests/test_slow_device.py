# SPDX-License-Identifier: GPL-2.0
"""A device that sends what it has only every now and then, and settings that change meanwhile."""

import array
import fcntl
import os
import termios

from vnrtest import case, check, equal, wait_for
from xsk import numbered

ORDER = 36
PARAMS = ["queues=2,tx=timer,x-txtimer=1500000000", "queues=2,tx=timer,x-txtimer=1500000000,queue_reset=off"]
PORT = 4001


def unsent(sender):
    """Bytes of memory of what the socket has sent that is not free yet."""
    value = array.array("i", [0])
    fcntl.ioctl(sender, termios.TIOCOUTQ, value)
    return value[0]


@case(60)
def queue_not_in_use(env):
    """The memory of packets in a queue that is taken out of use comes back, though QEMU leaves them there;
    the queue can be used again, and nobody takes it for one that is stuck."""
    frames = numbered(env, 20, PORT)

    def send(sender):
        cpus = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {1})
        for frame in frames:
            sender.send(frame)
        os.sched_setaffinity(0, cpus)

    before = env.dut.statistics()["tx_tx_timeouts"]
    with env.dut.packet_socket(protocol=0) as sender:
        for _ in range(3):
            send(sender)
            check(unsent(sender), "all was sent at once")
            env.dut.ethtool("-L", "combined", "1")
            wait_for(lambda: unsent(sender) == 0, "what was sent is free", 4)
            env.dut.ethtool("-L", "combined", "2")
            env.dut.wait_carrier()
            sent = env.dut.queue_counters()["tx", 1, "packets"]
            send(sender)
            wait_for(lambda: unsent(sender) == 0, "what was sent then is free", 4)
            # The queueing discipline drops some of what has waited for so long.
            check(env.dut.queue_counters()["tx", 1, "packets"] > sent, "nothing was sent")
    env.dut.command("ping", "-n", "-q", "-c", "1", "-W", "8", env.peer.ip4)
    equal(env.dut.statistics()["tx_tx_timeouts"], before, "times that a queue was taken for stuck")
