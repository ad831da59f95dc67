# SPDX-License-Identifier: GPL-2.0
"""The device loses its state, by suspend, hibernation or a reset of its PCI function, and
gets it back: traffic goes on, and all settings are as they were."""

import contextlib
import os
import re

from environment import Streams
from nic import read, run, settle, write
from vnrtest import case, check, equal, wait_for
from xdp import Xdp
from xsk import Client, Traffic, adds_up, all_dropped, forwarded, mode, numbered

ORDER = 45
IN_MEMORY = True
OWN_GUEST = True
PARAMS = ["packed=on,queues=4", "device=model,queues=4,rss=on"]
FULL_PARAMS = [*PARAMS, "", "mode=big", "mode=small,queues=2", "iommu_platform=on",
               "queue_reset=off,queues=2,iommu_platform=on"]
MODEL, QEMU = "model-*", "modern-*"
PORT = 7777
TURNS, FULL_TURNS = 20, 100


def suspend(state="mem", test="devices"):
    """One cycle of the kernel's own test, which stops where the name says."""
    delay = "/sys/module/suspend/parameters/pm_test_delay"
    if os.path.exists(delay):
        write(delay, "0")
    write("/sys/power/pm_test", test)
    write("/sys/power/state", state)


def sleep_for(seconds):
    """Suspends to memory; the clock wakes the machine."""
    write("/sys/power/pm_test", "none")
    check("deep" in read("/sys/power/mem_sleep"), "the machine has no S3")
    write("/sys/power/mem_sleep", "deep")
    before = read("/sys/power/suspend_stats/success")
    run("rtcwake", "-m", "mem", "-s", str(seconds), timeout=60)
    equal(int(read("/sys/power/suspend_stats/success")) - int(before), 1, "times that it slept")


@contextlib.contextmanager
def to_the_end(env):
    """What is said when the driver leaves the device belongs to this case, too."""
    try:
        yield
    finally:
        env.dut.unbind()


def under_traffic(env, cycle, turns):
    """Streams that compare every byte go on over all turns."""
    env.serve_dut()
    streams = Streams(env)
    burst = env.start(env.peer, "burst", env.dut.ip4, PORT, 10000000, 700, 1000)
    begin = env.dut.counters()
    wait_for(lambda: env.dut.counters()["rx_packets"] > begin["rx_packets"] + 50, "traffic")
    for turn in range(turns):
        streams.go_on()
        before = env.dut.counters()
        cycle()
        wait_for(lambda: env.dut.counters()["rx_packets"] > before["rx_packets"] + 20,
                 f"traffic after turn {turn + 1}")
    env.stop(burst)
    streams.end()
    for key, value in begin.items():
        check(env.dut.counters()[key] >= value, f"{key} went back")
    env.works()


@case(150, full=600)
def suspend_under_traffic(env):
    """The devices go to sleep and wake, many times, while streams are under way."""
    under_traffic(env, suspend, env.turns(TURNS, FULL_TURNS))


@case(90)
def hibernate_under_traffic(env):
    """The same as hibernation has it: freeze and thaw."""
    with to_the_end(env):
        under_traffic(env, lambda: suspend("disk"), 2)


@case(90, QEMU)
def suspend_to_memory(env):
    """The whole machine sleeps (S3)."""
    under_traffic(env, lambda: sleep_for(2), 2)


@case(60)
def suspend_while_down(env):
    """An interface that is down comes back down, and goes up."""
    env.dut.ip("link set dev dut down")
    suspend()
    equal(env.dut.link()["operstate"], "DOWN", "state")
    env.dut.ip("link set dev dut up")
    env.dut.wait_carrier()
    env.dut.addresses()
    env.works()


@case(60)
def gone_afterwards(env):
    """A device that was away can be unbound, bound and suspended again."""
    suspend()
    env.dut.unbind()
    suspend()
    env.dut.bind(env.driver)
    env.dut.configure()
    suspend()
    env.works()


def set_all(env):
    """Settings of all kinds; returns those that this device has."""
    dut = env.dut
    dut.ip("link set dev dut mtu 1400")
    dut.ip("link set dev dut address 02:00:00:00:00:77 promisc on allmulticast on")
    dut.ip("maddress add 33:33:00:00:12:34 dev dut")
    dut.ip("link add link dut name dut.77 type vlan id 77")
    dut.ip("link set dev dut.77 up")
    dut.ip("link set dev dut promisc off")
    tried = [("-G", "rx", "64", "tx", "128"), ("-L", "combined", "3"),
             ("-C", "rx-usecs", "50", "rx-frames", "16", "tx-usecs", "70", "tx-frames", "32"),
             ("-K", "rx-gro-hw", "off"), ("-X", "weight", "1", "0", "2")]
    for words in tried:
        dut.ethtool(*words, check=False)


def seen(env):
    """What users see of the settings."""
    shown = [env.dut.ethtool(word, check=False) for word in ("-g", "-l", "-c", "-k", "-x")]
    link = env.dut.ip("-d link show dev dut").splitlines()[0]
    return re.sub(r"state \S+", "", link), shown


@case(90)
def settings_survive(env):
    """Ring sizes, queue pairs, addresses, VLANs, coalescing: as they were, to users and to
    the device."""
    set_all(env)
    before = seen(env), told(env)
    # PCI functions need not be reset by suspend; they are by hibernation.
    suspend("disk")
    with to_the_end(env):
        wait_for(env.dut.carrier, "the link")
        equal(seen(env), before[0], "settings, to users")
        equal(told(env), before[1], "settings, to the device")
        env.works()


def told(env):
    """What the model has been told, but for how and how often."""
    if env.dut.port is None:
        return None
    port = env.model.port()
    told = {key: value for key, value in port["control"].items()
            if key not in ("history", "commands")}
    return told, [queue["coalescing"] for queue in port["queues"]]


def function_reset(env):
    write(f"{os.path.realpath(f'{env.dut.device}/..')}/reset", "1")


@case(90, MODEL)
def function_reset_under_traffic(env):
    """Somebody resets the PCI function under the driver: traffic goes on."""
    resets = env.model.port()["stats"]["resets"]
    under_traffic(env, lambda: function_reset(env), 5)
    check(env.model.port()["stats"]["resets"] >= resets + 5, "the model was not reset")


@case(60, MODEL)
def reset_heals(env):
    """Queues that were given up work after a reset of the function."""
    env.dut.ethtool("-L", "combined", "1")
    env.model.lie("used_id_beyond", next=1, queue=0)
    wait_for(lambda: not env.reachable(), "the end of traffic", 30)
    env.model.honest()
    function_reset(env)
    env.works()


@case(120)
def program_survives(env):
    """A program that drops all frames does so after suspend, hibernation and a reset of the
    function, under traffic, until it is taken off."""
    env.dut.ip(f"link set dev dut xdpdrv obj {env.job['bpf']}/xdp.o program drop")
    # The program has nobody ask for it.
    env.peer.knows(env.dut)
    cycles = [suspend, lambda: suspend("disk")]
    if env.dut.port is not None and env.driver == "rust":
        cycles.append(lambda: function_reset(env))
    with to_the_end(env):
        for turn, cycle in enumerate(cycles):
            burst = env.start(env.peer, "burst", env.dut.ip4, PORT, 10000000, 300, 300)
            wait_for(lambda before=drops(env): drops(env) > before + 20, "frames are dropped")
            cycle()
            wait_for(env.dut.carrier, "the link")
            wait_for(lambda before=drops(env): drops(env) > before + 20, f"frames are dropped after turn {turn + 1}")
            env.stop(burst)
            settle(0.3)
            all_dropped(env, f"after turn {turn + 1}")
        env.dut.ip("link set dev dut xdpdrv off")
        env.works()


def drops(env):
    """Frames that programs have dropped."""
    return env.dut.statistics()["rx_xdp_drops"]


@case(150)
def sockets_survive(env):
    """A process that has bound a queue, for zero-copy where that can be, receives and sends after suspend,
    hibernation and a reset of the function while it does so, and has all of its frames in the end."""
    env.dut.ethtool("-L", "combined", "1")
    xdp = Xdp(env)
    xdp.set(port=4001)
    xdp.attach("socket")
    cycles = [lambda: None, suspend, lambda: suspend("disk")]
    if env.dut.port is not None and env.driver == "rust":
        cycles.append(lambda: function_reset(env))
    with to_the_end(env), Client(env, "-l", mode(env), "-p", "--verify") as client:
        for turn, cycle in enumerate(cycles):
            with Traffic(env, numbered(env, 8, 4001, first=100000), pause=0.02):
                begin = xdp.seen()["frames"]
                wait_for(lambda at=begin: xdp.seen()["frames"] > at + 16, "frames at the program")
                cycle()
                wait_for(env.dut.carrier, "the link")
                begin = xdp.seen()["frames"]
                wait_for(lambda at=begin: xdp.seen()["frames"] > at + 16, f"frames after turn {turn + 1}")
            wait_for(env.reachable, "traffic of the stack")
            settle(0.3)
            forwarded(env, numbered(env, 64, 4001, first=64 * turn), 4001)
        result = client.end()
        adds_up(result)
        equal(result["wrong"], 0, f"changed frames, of {result}")
        # Those that came all the while are eight, again and again.
        equal(result["right"], 64 * len(cycles) + 8, f"frames of {result}")
        xdp.detach()
        env.works()
