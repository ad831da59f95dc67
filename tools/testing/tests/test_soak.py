# SPDX-License-Identifier: GPL-2.0
"""Mixed traffic for a while, with every lost datagram accounted for."""

import re
import time

from nic import read
from vnrtest import case, check, equal

ORDER = 90
OWN_GUEST = True
PARAMS = ["queues=4"]
SECONDS, FULL_SECONDS = 60, 600


def udp_receive_errors(nic):
    """Datagrams that the sockets of a namespace had no room for."""
    total = 0
    for file, pattern in (("/proc/net/snmp6", r"Udp6InErrors\s+(\d+)"),):
        total += sum(map(int, re.findall(pattern, nic.command("cat", file))))
    rows = [line.split() for line in nic.command("cat", "/proc/net/snmp").splitlines()
            if line.startswith("Udp:")]
    return total + int(dict(zip(*rows))["InErrors"])


def own_losses(nic):
    """What the interface itself says that it dropped."""
    counters = nic.counters()
    return sum(counters[f"{side}_{key}"] for side in ("rx", "tx") for key in ("dropped", "errors"))


def losses(env):
    """Everything between the two sockets that may say it dropped something."""
    total = env.host_drops()
    total += own_losses(env.peer)
    for nic in (env.dut, env.peer):
        total += udp_receive_errors(nic)
        total += sum(map(int, re.findall(r"dropped (\d+)", nic.command(
            "tc", "-s", "qdisc", "show", "dev", nic.name))))
        total += sum(int(line.split()[1], 16) for line in read("/proc/net/softnet_stat").splitlines())
    return total


@case(FULL_SECONDS + 120)
def mixed(env):
    """TCP, UDP and ICMP of many sizes, IPv4 and IPv6, both ways at once; no loss unaccounted, and
    none by the device under test."""
    seconds = FULL_SECONDS if env.full else SECONDS
    env.serve_dut()
    before, own_before = losses(env), own_losses(env.dut)
    jobs = []
    for near, far in ((env.dut, env.peer), (env.peer, env.dut)):
        for address in (far.ip4, far.ip6):
            jobs += [(near, ("stream", "send", address, 7777, 8 << 20)),
                     (near, ("echo", "udp", address, 7777, 0, 1472, 7)),
                     (near, ("echo", "tcp", address, 7777, 1, 65536, 997)),
                     (near, ("echo", "icmp", address, 7777, 0, 1400, 13))]
        jobs.append((near, ("burst", far.ip4, 7777, 2000, 1400, 300)))
    counts = {"lost": 0, "rounds": 0, "sent": 0}
    running = [[near, words, env.start(near, *words)] for near, words in jobs]
    end = time.monotonic() + seconds
    while running:
        for entry in list(running):
            near, words, process = entry
            if process.poll() is None:
                continue
            result, good = env.finish(process)
            counts["rounds"] += 1
            if words[0] == "burst":
                # The server counts one run at a time; two bursts share it only
                # if they go to the same server, and they do not.
                check(not result["changed"] and not result["repeated"], f"{words}: {result}")
                counts["lost"] += result["sent"] - result["received"]
                counts["sent"] += result["sent"]
            elif not good:
                check(not result.get("changed", 0), f"{words}: {result}")
                check("lost" in result and words[1] != "tcp", f"{words}: {result}")
                counts["lost"] += result["lost"]
            if time.monotonic() < end:
                entry[2] = env.start(near, *words)
            else:
                running.remove(entry)
    dropped = losses(env) - before
    equal(own_losses(env.dut) - own_before, 0, "packets that the device under test dropped")
    print(f"soak: {counts}, drops counted: {dropped}")
    check(counts["rounds"] >= len(jobs), f"only {counts['rounds']} rounds in {seconds} s")
    check(counts["lost"] <= dropped,
          f"{counts['lost']} lost, but only {dropped} counted as dropped anywhere")
