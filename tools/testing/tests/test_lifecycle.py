# SPDX-License-Identifier: GPL-2.0
"""Modules come and go, devices are bound and unbound, CPUs and slots too."""

import os
import re

from environment import Streams
from nic import DRIVERS, read, run, settle, write
from vnrtest import Skip, case, check, equal, wait_for

ORDER = 60
OWN_GUEST = True
PARAMS = ["packed=on,queues=4"]


def other(driver):
    return "rust" if driver == "c" else "c"


def need_both(env):
    if not os.path.exists(env.modules.path):
        raise Skip("the Rust module is not built")


@case(240)
def load_and_unload_100(env):
    """The module is loaded and unloaded 100 times; the devices come along."""
    for nic in env.nics:
        nic.unbind()
    for driver in DRIVERS:
        if env.modules.loaded(driver):
            env.modules.unload(driver)
    for turn in range(100):
        env.modules.load(env.driver)
        equal(env.dut.driver(), DRIVERS[env.driver], "driver after loading")
        if turn % 20 == 19:
            env.peer.configure()
            env.dut.configure()
            env.ping()
        env.modules.unload(env.driver)
        check(not env.modules.loaded(env.driver), "the module is still loaded")
        equal(env.dut.driver(), None, "driver after unloading")


@case(240)
def bind_and_unbind_100(env):
    """The device goes from driver to driver 100 times, with traffic running both ways."""
    both = os.path.exists(env.modules.path) and env.driver == "rust"
    if both and not env.modules.loaded("c"):
        env.modules.load("c")
    env.peer.knows(env.dut)
    running = [env.start(env.peer, "burst", env.dut.ip4, 7777, 10000000, 700, 2000),
               env.start(env.dut, "burst", env.peer.ip4, 7777, 10000000, 700, 2000)]
    for key in ("rx_packets", "tx_packets"):
        wait_for(lambda k=key: env.dut.counters()[k] > 50, f"traffic in the background ({key})", 20)
    for turn in range(100):
        env.dut.unbind()
        env.dut.bind("c" if both and turn % 2 == 0 else env.driver)
        env.dut.configure()
        if turn % 10 == 9:
            wait_for(env.reachable, f"traffic after bind {turn + 1}")
    for process in running:
        env.stop(process)
    equal(env.dut.driver(), DRIVERS[env.driver], "driver in the end")
    env.echo("udp", env.peer.ip4, 0, 1472, 101)
    env.stream("send", env.peer.ip4, 1 << 20)


@case(60)
def both_modules_loaded(env):
    """Both are loaded, this driver first: it has the devices; unloaded, the other takes them."""
    need_both(env)
    for nic in env.nics:
        nic.unbind()
    for driver in DRIVERS:
        if env.modules.loaded(driver):
            env.modules.unload(driver)
    env.modules.load(env.driver)
    env.modules.load(other(env.driver))
    for nic in (env.dut, env.peer):
        equal(nic.driver(), DRIVERS[env.driver], f"driver of the {nic.role}")
        nic.configure()
    env.ping()
    env.modules.unload(env.driver)
    for nic in (env.dut, env.peer):
        nic.bind(other(env.driver))
        nic.configure()
    env.ping()
    env.modules.load(env.driver)


@case(60, ci=True)
def unload_under_traffic(env):
    """The module goes while its netdev is up and busy."""
    env.peer.knows(env.dut)
    env.serve_dut()
    running = [env.start(env.peer, "burst", env.dut.ip4, 7777, 10000000, 1400, 0),
               env.start(env.dut, "stream", "send", env.peer.ip4, 7777, 1 << 30)]
    for key in ("rx_packets", "tx_packets"):
        wait_for(lambda k=key: env.dut.counters()[k] > 200, f"traffic in the background ({key})", 20)
    env.modules.unload(env.driver)
    check(not env.modules.loaded(env.driver), "the module is still loaded")
    equal(env.dut.netdev(), None, "netdev after unloading")
    for process in running:
        process.kill()
        process.wait()


@case(60)
def bind_while_down(env):
    """Unbinding a netdev that was never opened, 20 times."""
    for _ in range(20):
        env.dut.unbind()
        env.dut.bind(env.driver)
    env.dut.configure()
    env.ping()


@case(60)
def pci_remove_and_rescan(env):
    """The device's slot is removed under traffic and found again."""
    if env.dut.mmio:
        raise Skip("not a PCI device")
    running = env.start(env.dut, "burst", env.peer.ip4, 7777, 10000000, 700, 100)
    wait_for(lambda: env.dut.counters()["tx_packets"] > 50, "traffic in the background", 20)
    env.dut.remove()
    running.kill()
    running.wait()
    env.dut.rescan(env.driver)
    env.ping()
    env.stream("send", env.peer.ip4, 1 << 20)


def interrupts(env):
    """{queue's name: the processors that its interrupt goes to}."""
    found = {}
    for line in read("/proc/interrupts").splitlines():
        number, *_, name = line.split()
        if re.fullmatch(rf"{env.dut.virtio}-(in|out)put\.\d+", name):
            found[name] = read(f"/proc/irq/{number.rstrip(':')}/smp_affinity_list")
    check(found, "no interrupts of queues")
    return found


@case(120, full=900)
def cpu_hotplug(env):
    """CPUs go offline and come back under traffic, again and again: every byte arrives, and interrupts
    are where they were."""
    cpus = os.cpu_count()
    streams, before = Streams(env), interrupts(env)
    for turn in range(100 if env.full else 3):
        for state in ("0", "1"):
            for cpu in range(1, cpus):
                streams.go_on()
                write(f"/sys/devices/system/cpu/cpu{cpu}/online", state)
                if turn % 10 == 0:
                    settle()
                    env.ping()
    streams.end()
    equal(interrupts(env), before, "processors of the queues' interrupts")
    env.stream("send", env.peer.ip4, 4 << 20)


@case(60)
def namespace_moves(env):
    """The netdev goes to another network namespace and back, and works in both."""
    run("ip", "netns", "add", "other")
    try:
        for _ in range(5):
            env.dut.ip("link set dev dut netns other")
            run("ip", "-n", "other", "addr", "add", f"{env.dut.ip4}/24", "dev", "dut")
            run("ip", "-n", "other", "link", "set", "dev", "dut", "up")
            wait_for(lambda: " 1 received" in run(
                "ip", "netns", "exec", "other", "ping", "-n", "-c", "1", "-W", "1", env.peer.ip4,
                check=False), "traffic in the other namespace")
            run("ip", "-n", "other", "link", "set", "dev", "dut", "netns", "1")
            env.dut.configure()
            env.ping()
    finally:
        run("ip", "netns", "del", "other")
