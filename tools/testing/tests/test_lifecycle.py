# SPDX-License-Identifier: GPL-2.0
"""Modules come and go, devices are bound and unbound, CPUs and slots too."""

import os

from nic import DRIVERS, run, settle, write
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
    env.peer.ip(f"neigh replace {env.dut.ip4} lladdr {env.dut.mac} dev peer nud permanent")
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
        equal(process.poll(), None, "exit status of the traffic in the background")
        process.kill()
        process.wait()
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
    env.peer.ip(f"neigh replace {env.dut.ip4} lladdr {env.dut.mac} dev peer nud permanent")
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


@case(90)
def cpu_hotplug(env):
    """CPUs go offline and come back under traffic; queues and their affinity follow."""
    cpus = os.cpu_count()
    running = [env.start(env.dut, "stream", direction, env.peer.ip4, 7777, 256 << 20)
               for direction in ("send", "recv")]
    for cpu in range(1, cpus):
        write(f"/sys/devices/system/cpu/cpu{cpu}/online", "0")
        settle()
        env.ping()
    for cpu in range(1, cpus):
        write(f"/sys/devices/system/cpu/cpu{cpu}/online", "1")
        settle()
        env.ping()
    for process in running:
        equal(process.poll() in (None, 0), True, "the streams go on")
        process.kill()
        process.wait()
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
