# SPDX-License-Identifier: GPL-2.0
"""Statistics that the device keeps. In a guest of its own: the C driver of Linux
7.3 asks for them in a way that the kernel complains of, when it is bound."""

import re

from nic import settle
from vnrtest import Skip, case, check, equal

ORDER = 36
# In small mode there is no large receive, nor what counts it.
PARAMS = ["device=model,device_stats=on,queues=4", "device=model,device_stats=on,mode=small,queues=4"]
STATS = 8


@case(60)
def device_statistics(env):
    """The model's own counters are shown by the driver."""
    shown = {name: value for name, value in env.dut.statistics().items() if "_hw_" in name}
    if not shown:
        raise Skip("the driver has no device statistics")
    asked = [record for record in env.model.port()["control"]["history"] if record["class"] == STATS]
    check(asked and all(record["ack"] == 0 for record in asked), f"commands: {asked}")
    env.stream("send", env.peer.ip4, 1 << 20)
    settle()
    shown, queues = env.dut.statistics(), env.dut.queue_counters()
    model = env.model.port()["stats"]
    for side in ("rx", "tx"):
        wanted = sum(queue["packets"] for queue in model[side])
        got = [value for name, value in shown.items() if re.fullmatch(rf"{side}\d+_hw_packets", name)]
        # Frames may pass between the two questions.
        check(abs(sum(got) - wanted) <= 3, f"{side}: {got} shown, {wanted} at the model")
        equal(shown[f"{side}_hw_packets"], sum(got), f"sum of {side}")
    # What the netdev family has a place for is there.
    for counter, key in (("hw_gso_packets", "gso_packets"), ("hw_gso_bytes", "gso_bytes"),
                         ("needs_csum", "needs_csum")):
        wanted = sum(queue[key] for queue in model["tx"])
        got = [value for (side, _, what), value in queues.items() if (side, what) == ("tx", counter)]
        check(got and abs(sum(got) - wanted) <= 3, f"{counter}: {got} shown, {wanted} at the model")
    check(shown["cq_hw_command_num"] > 0, f"commands: {shown}")
