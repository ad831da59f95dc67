# SPDX-License-Identifier: GPL-2.0
"""The device is the standby of a failover master: its traffic goes by the standby, and by
another PCI device with the same address while there is one."""

import contextlib
import fcntl
import os
import re
import socket
import struct
import threading

from environment import Streams
from nic import read, run, settle, write
from vnrtest import Failed, Skip, case, check, equal, wait_for

ORDER = 47
OWN_GUEST = True
PARAMS = ["failover=on", "failover=on,queues=2,packed=on", "failover=on,plug=port"]
# Those whose standby stays where it is, one of them, and the one that the host takes away.
FIXED, ONE, PAIRED = "*q-failover=on", "*-1q-failover=on", "*-port-failover=on"
NET = "/sys/class/net"
UP = 1
SIOCGIFFLAGS, SIOCSIFFLAGS = 0x8913, 0x8914


def master_name(env):
    """The netdev that the device has beside its own."""
    folder = f"{env.dut.device}/net"
    names = [name for name in os.listdir(folder) if name != "dut"] if os.path.isdir(folder) else []
    return names[0] if names else None


def lower(name="master"):
    """What sends and receives for it."""
    return {entry.removeprefix("lower_") for entry in os.listdir(f"{NET}/{name}")
            if entry.startswith("lower_")}


def sent(name):
    return int(read(f"{NET}/{name}/statistics/tx_packets"))


def flags(name):
    return int(read(f"{NET}/{name}/flags"), 16)


def master_up(env):
    """The master, by that name, with the addresses in place of the standby."""
    env.dut.ip("addr flush dev dut")
    env.dut.ip(f"link set dev {master_name(env)} name master")
    env.dut.ip("link set dev master up")
    for address in (f"{env.dut.ip4}/24", f"{env.dut.ip6}/64 nodad"):
        env.dut.ip(f"addr add {address} dev master")
    wait_for(lambda: read(f"{NET}/master/carrier") == "1", "the master's carrier")


def check_goes_by(env, name, other=None):
    """Packets are sent by this device, and not by the other."""
    # The master sends by a primary as soon as that has a carrier, which takes longer than to wake up.
    wait_for(lambda: read(f"{NET}/{name}/carrier") == "1", f"the carrier of {name}")
    wait_for(env.reachable, f"traffic by {name}")
    before, others = sent(name), sent(other) if other else 0
    env.ping(count=20)
    check(sent(name) - before >= 20, f"{name} has sent {sent(name) - before} packets of 20")
    if other:
        check(sent(other) - others < 5, f"{other} has sent {sent(other) - others} packets of {name}'s")


def plug(env, **more):
    """Gives the guest another device with the same address; its name once it is a primary."""
    run("modprobe", "e1000e")
    index = env.nics.index(env.dut)
    env.control.ask(qmp="device_add", arguments={
        "driver": "e1000e", "id": "primary", "bus": f"slot{index}", "netdev": f"primary{index}",
        "mac": env.dut.mac, "romfile": "", **more})
    return wait_for(lambda: lower() - {"dut"}, "a primary", 30).pop()


def unplug(env, name):
    env.control.ask(qmp="device_del", arguments={"id": "primary"})
    wait_for(lambda: not os.path.exists(f"{NET}/{name}"), "the primary's end", 30)
    # QEMU lets go of it a little later.
    def is_gone():
        devices = env.control.ask(qmp="qom-list", arguments={"path": "/machine/peripheral"})
        return "primary" not in {device["name"] for device in devices}
    wait_for(is_gone, "the primary's end in QEMU", 30)


@contextlib.contextmanager
def primary(env):
    name = plug(env)
    try:
        yield name
    finally:
        if os.path.exists(f"{NET}/{name}"):
            unplug(env, name)


def check_is_standby(env):
    env.need("STANDBY")
    check(master_name(env), "there is no master")
    equal(os.path.basename(os.path.realpath(f"{NET}/dut/master")), master_name(env), "master")


@case(40, FIXED)
def standby_carries_traffic(env):
    """There is a master with the device's address and the first name; the device is below it."""
    check(env.dut.negotiated("STANDBY"), "STANDBY was not negotiated")
    check_is_standby(env)
    name = master_name(env)
    equal(read(f"{NET}/{name}/address"), env.dut.mac, "the master's address")
    equal(read(f"{NET}/dut/phys_port_name"), "sby", "name of the port")
    check("net_failover" in run("ethtool", "-i", name), "the master is somebody else's")
    check(int(read(f"{NET}/{name}/ifindex")) < int(read(f"{NET}/dut/ifindex")),
          "the standby comes before its master")
    master_up(env)
    check_goes_by(env, "dut")
    env.works()


@case(40, FIXED)
def standby_follows(env):
    """The standby has the master's MTU and state, and may be renamed meanwhile."""
    master_up(env)
    for turn in range(3):
        env.dut.ip(f"link set dev dut name other{turn}")
        env.dut.ip(f"link set dev other{turn} name dut")
    check_goes_by(env, "dut")
    env.dut.ip("link set dev master mtu 1400")
    equal(read(f"{NET}/dut/mtu"), "1400", "the standby's MTU")
    env.dut.ip("link set dev master mtu 1500")
    env.dut.ip("link set dev master down")
    check(not flags("dut") & UP, "the standby is up")
    env.dut.ip("link set dev master up")
    check(flags("dut") & UP, "the standby is down")
    env.dut.ip(f"addr replace {env.dut.ip6}/64 dev master nodad")
    wait_for(lambda: read(f"{NET}/master/carrier") == "1", "the master's carrier")
    env.dut.ip("link add link master name master.5 type vlan id 5")
    env.dut.ip("link del dev master.5")
    env.works()
    env.link(False)
    wait_for(lambda: read(f"{NET}/master/carrier") == "0", "no carrier")
    env.link(True)
    wait_for(lambda: read(f"{NET}/master/carrier") == "1", "the carrier again")
    check_goes_by(env, "dut")


@case(120, FIXED)
def primary_takes_over(env):
    """A device with the same address carries the traffic until it is unplugged."""
    master_up(env)
    check_goes_by(env, "dut")
    with primary(env) as name:
        wait_for(lambda: read(f"{NET}/{name}/carrier") == "1", "the primary's carrier")
        check_goes_by(env, name, "dut")
        env.works()
    equal(lower(), {"dut"}, "what is left")
    check_goes_by(env, "dut")
    env.works()


@case(120, FIXED)
def streams_go_on(env):
    """Streams that compare every byte are under way while a primary comes and goes, twice."""
    master_up(env)
    streams = Streams(env)
    for _ in range(2):
        streams.go_on()
        with primary(env):
            wait_for(env.reachable, "traffic by the primary")
            streams.go_on()
        wait_for(env.reachable, "traffic by the standby")
    streams.end()


def with_address(mac):
    """Network devices that have it."""
    return {name for name in os.listdir(NET) if read(f"{NET}/{name}/address") == mac}


@case(120, PAIRED)
def paired(env):
    """The host has a primary for the standby, which it keeps back until the driver takes the feature
    (QEMU's failover_pair_id); nobody in the guest needs to ask for it."""
    run("modprobe", "e1000e")
    env.unplug()
    probing = "/sys/bus/virtio/drivers_autoprobe"
    write(probing, "0")
    try:
        index = env.nics.index(env.dut)
        env.control.ask(plug=index)
        env.control.ask(qmp="device_add", arguments={
            "driver": "e1000e", "id": "primary", "bus": f"slot{index}", "netdev": f"primary{index}",
            "mac": env.dut.mac, "romfile": "", "failover_pair_id": f"nic{index}"})
        settle(2)
        equal(with_address(env.dut.mac), set(), "network devices before the driver has the standby")
        env.dut.returned(env.driver)
    finally:
        write(probing, "1")
    check_is_standby(env)
    name = wait_for(lambda: lower(master_name(env)) - {"dut"}, "a primary", 30).pop()
    try:
        master_up(env)
        check_goes_by(env, name, "dut")
        env.works()
        unplug(env, name)
        check_goes_by(env, "dut")
        env.works()
    finally:
        # The host would have it come again with each driver that takes the feature of this standby.
        env.unplug()
        for name in with_address(env.dut.mac):
            unplug(env, name)
        env.plug()


@case(120, ONE)
def comes_and_goes(env):
    """The driver leaves and gets the device while its master is up, with and without a
    primary, and is unloaded: nothing of the standby or of the master is left."""
    for _ in range(5):
        master_up(env)
        env.dut.unbind()
        check(not os.path.exists(f"{NET}/master"), "the master is left")
        env.dut.bind(env.driver)
        env.dut.configure()
    master_up(env)
    with primary(env) as name:
        env.modules.unload(env.driver)
        check(not os.path.exists(f"{NET}/master") and not os.path.exists(f"{NET}/dut"), "what is left")
        check(os.path.exists(f"{NET}/{name}"), "the primary is gone")
        env.modules.load(env.driver)
        env.dut.bind(env.driver)
        if env.driver == env.job["peer_driver"]:
            env.peer.bind(env.driver)
            env.peer.configure()
            env.stop_serving()
            env.serve()
        wait_for(lambda: env.dut.netdev(), "the netdev")
        env.dut.configure()
        equal(lower(master_name(env)), {"dut", name}, "what is below the new master")
        master_up(env)
        check_goes_by(env, name, "dut")
    check_goes_by(env, "dut")
    env.works()


@case(60, ONE)
def opened_at_once(env):
    """Somebody opens the master the moment that it appears, before its standby is there."""
    control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def set_up(name):
        try:
            request = struct.pack("16sH14x", name.encode(), 0)
            (now,) = struct.unpack_from("H", fcntl.ioctl(control, SIOCGIFFLAGS, request), 16)
            fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sH14x", name.encode(), now | UP))
        except OSError:
            pass

    def watch(end, known):
        while not end.is_set():
            for name in set(os.listdir(NET)) - known:
                set_up(name)
                return
    early = 0
    for _ in range(8):
        env.dut.unbind()
        end = threading.Event()
        watcher = threading.Thread(target=watch, args=(end, set(os.listdir(NET))))
        watcher.start()
        env.dut.bind(env.driver)
        end.set()
        watcher.join()
        standby = env.dut.netdev()
        env.dut.ip(f"link set dev {standby} name dut")
        name = master_name(env)
        if flags(name) & UP:
            early += 1
            check(flags("dut") & UP, "the master is up, and its standby is not")
        master_up(env)
        check_goes_by(env, "dut")
    check(early, "the master was never opened early")
    env.works()


@case(60, ONE)
def without_the_module(env):
    """Where net_failover cannot be loaded, the device is an ordinary one, and says so."""
    if env.driver == "c":
        raise Skip("the C driver is not loaded without net_failover")
    for nic in env.nics:
        nic.unbind()
    env.stop_serving()
    if env.modules.loaded("c"):
        env.modules.unload("c")
    run("modprobe", "-r", "net_failover")
    check(not os.path.isdir("/sys/module/net_failover"), "net_failover is still loaded")
    helper = "/proc/sys/kernel/modprobe"
    before = read(helper)
    write(helper, "/bin/false")
    try:
        env.dut.bind(env.driver)
        env.peer.bind(env.driver)
        check(not env.dut.negotiated("STANDBY"), "STANDBY was negotiated")
        equal(master_name(env), env.dut.netdev(), "the only netdev")
        check(re.search(r"virtio_net_rs virtio\d+: no standby", run("dmesg")), "nothing was said")
        env.dut.configure()
        env.peer.configure()
        env.serve()
        env.ping()
        env.stream("send", env.peer.ip4, 1 << 19)
        equal(read("/sys/module/virtio_net_rs/refcnt"), "0", "users of our module")
    finally:
        write(helper, before)
    # Its users hold it; nobody else does.
    env.dut.unbind()
    env.dut.bind(env.driver)
    check_is_standby_again(env)
    env.dut.unbind()
    run("rmmod", "net_failover")


def check_is_standby_again(env):
    check(env.dut.negotiated("STANDBY"), "STANDBY was not negotiated again")
    check(os.path.isdir("/sys/module/net_failover"), "net_failover was not loaded")
    try:
        run("rmmod", "net_failover")
    except Failed:
        return
    raise Failed("net_failover can be unloaded under a master")
