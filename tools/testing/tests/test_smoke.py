# SPDX-License-Identifier: GPL-2.0
"""The least that must work: load, bind, ping, TCP and UDP."""

import re

from nic import DRIVERS
from vnrtest import case, check, equal

PARAMS = [""]


@case()
def load_and_bind(env):
    """The module is loaded, the device bound, and the netdev says who drives it."""
    check(env.modules.loaded(env.driver), "the module is not loaded")
    equal(env.dut.driver(), DRIVERS[env.driver], "driver on the virtio bus")
    info = env.dut.ethtool("-i")
    equal(re.search(r"driver: (\S+)", info)[1], DRIVERS[env.driver], "driver by ethtool -i")
    check(re.search(r"bus-info: \S+", info), "ethtool -i has no bus-info")
    equal(env.dut.address, env.dut.mac, "MAC address")


@case(ci=True)
def ping(env):
    """ICMP and ICMPv6, both ways."""
    env.ping(env.peer.ip4)
    env.ping(env.peer.ip6)
    env.ping(env.dut.ip4, nic=env.peer)
    env.ping(env.dut.ip6, nic=env.peer)


@case()
def udp(env):
    """UDP there and back, some sizes, compared."""
    for address in (env.peer.ip4, env.peer.ip6):
        env.echo("udp", address, 0, 1472, 64)


@case()
def tcp(env):
    """TCP both ways, compared."""
    for address in (env.peer.ip4, env.peer.ip6):
        env.echo("tcp", address, 1, 4096, 511)
        env.stream("send", address, 4 << 20)
        env.stream("recv", address, 4 << 20)


@case(ci=True)
def unbind_and_unload(env):
    """The netdev goes with the device's driver, and the module can go."""
    env.dut.unbind()
    equal(env.dut.netdev(), None, "netdev after unbind")
    for nic in env.nics:
        nic.unbind()
    env.modules.unload(env.driver)
    check(not env.modules.loaded(env.driver), "the module is still loaded")
