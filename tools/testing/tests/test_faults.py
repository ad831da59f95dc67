# SPDX-License-Identifier: GPL-2.0
"""Each allocation, ring operation and DMA mapping of probe, open and what is
asked of a netdev fails once: an error comes back or the work is done without
it, the device is as it was, and the next attempt works."""

import errno
import os

import fault
from knobs import ALLMULTI, PROMISC, UP, Knobs
from nic import BUS, DRIVERS, run, settle, write
from model import PORT
from packet import mac_bytes
from vnrtest import Skip, case, check, equal, wait_for

ORDER = 62
# No stock kernel has fault injection.
KERNELS = ("debug",)
OWN_GUEST = True
PARAMS = ["iommu_platform=on", "packed=on,queues=2,mode=small,iommu_platform=on"]

ADDS = {name: -12 for name in
        ("virtqueue_add_outbuf", "virtqueue_add_inbuf", "virtqueue_add_inbuf_ctx",
         "virtqueue_add_inbuf_premapped", "virtqueue_add_outbuf_premapped", "virtqueue_add_sgs")}
MAPS = {"dma_map_page_attrs": -1, "dma_map_phys": -1}


def steps(env, what, walked, failed, worked, needed=True):
    """Go through a walk: failed(step) or worked(step) after each; says how it went."""
    injected = errors = 0
    for step in walked:
        injected += step.injected
        errors += step.error is not None
        (failed if step.error else worked)(step)
    check(injected or not needed, f"{what}: nothing failed at all")
    write("/dev/kmsg", f"<6>vnr: {what}, {env.driver}: {injected} failures, {errors} errors\n")


def works(env):
    """Bound, configured, and passing traffic."""
    env.dut.configure()
    wait_for(env.reachable, "traffic afterwards", 10)


def now_and_then(env, step):
    """Whether all is tried after this step: it takes much longer than the step."""
    return not step.injected or step.number % (25 if env.quick else 5) == 1


def released(env):
    """The device without a driver, and a descriptor to bind it by."""
    env.stop_serving()
    fault.prepare()
    env.dut.unbind()
    return os.open(f"{BUS}/drivers/{DRIVERS[env.driver]}/bind", os.O_WRONLY)


@case(60)
def leaks_are_found(env):
    """What a module has forgotten is found, by what all other cases rely on."""
    if not os.path.exists(fault.KMEMLEAK):
        raise Skip("the kernel has no kmemleak")
    write(fault.KMEMLEAK, "clear")
    run("insmod", env.job["fault_module"], "leak=1")
    run("rmmod", "vnr_fault")
    found = fault.leaks(forgotten=True)
    check(found and 'comm "insmod"' in found, f"found: {found}")


def walk_probe(env, what, bind, walked, needed=True):
    """After a failure there is no netdev and no driver; now and then all is tried."""
    def failed(step):
        equal(env.dut.driver(), None, f"driver after failure {step.number}: {step.error}")
        check(not env.dut.netdev(), f"a netdev is left after failure {step.number}")
        if now_and_then(env, step):
            env.dut.bind(env.driver)
            works(env)
            env.dut.unbind()

    def worked(step):
        equal(env.dut.driver(), DRIVERS[env.driver], f"driver after failure {step.number}")
        if now_and_then(env, step):
            works(env)
        env.dut.unbind()

    with fault.NoLeaks(env):
        steps(env, what, walked, failed, worked, needed)
    os.close(bind)


@case(240)
def probe_allocations(env):
    """Every allocation of binding the device fails once."""
    bind = released(env)
    name = env.dut.virtio.encode()
    walk_probe(env, "allocations of probe", bind,
               fault.walk(lambda: os.write(bind, name), fault.numbers(env.stride(16))))


@case(120)
def probe_ring_adds(env):
    """Every buffer that binding adds to a ring is refused once."""
    bind = released(env)
    name = env.dut.virtio.encode()
    with fault.Calls(env, ADDS, env.driver) as calls:
        # With one queue pair there is nothing to say to the device.
        walk_probe(env, "ring additions of probe", bind, calls.walk(lambda: os.write(bind, name)),
                   needed="2q" in env.dut.label)


@case(60)
def probe_dma_maps(env):
    """Every DMA mapping of binding the device fails once."""
    bind = released(env)
    name = env.dut.virtio.encode()
    with fault.Calls(env, MAPS, device=dma_device(env)) as calls:
        walk_probe(env, "DMA mappings of probe", bind, calls.walk(lambda: os.write(bind, name)),
                   needed="2q" in env.dut.label)


def dma_device(env):
    """The name of the device that maps for the virtio device."""
    return os.path.basename(os.path.realpath(f"{env.dut.device}/.."))


def walk_open(env, what, walk, quick):
    """A netdev that was never up is brought up: after a failure it is down; a second
    attempt works, and what could not be had at first is made up for."""
    env.stop_serving()
    fault.prepare()
    knobs = Knobs(env.dut)

    def never_up():
        env.dut.unbind()
        env.dut.bind(env.driver)
        run("ip", "link", "set", "dev", env.dut.netdev(), "name", env.dut.name)

    def failed(step):
        check(not knobs.flags() & UP, f"up after failure {step.number}: {step.error}")
        knobs.up()
        if now_and_then(env, step):
            works(env)

    def worked(step):
        check(knobs.flags() & UP, f"down after failure {step.number}, but no error")
        if now_and_then(env, step):
            works(env)

    with fault.NoLeaks(env):
        steps(env, what, walk(knobs.up, fault.numbers(env.stride(quick), 32), never_up),
              failed, worked)


@case(240)
def open_allocations(env):
    """Every allocation of bringing the netdev up fails once."""
    walk_open(env, "allocations of open", fault.walk, 8)


@case(120)
def open_ring_adds(env):
    """Every buffer that is posted at open is refused once."""
    with fault.Calls(env, ADDS, env.driver) as calls:
        walk_open(env, "ring additions of open", calls.walk, 32)


@case(120)
def open_dma_maps(env):
    """Every DMA mapping at open fails once."""
    with fault.Calls(env, MAPS, device=dma_device(env)) as calls:
        walk_open(env, "DMA mappings of open", calls.walk, 32)


@case(120)
def going_down_cannot_fail(env):
    """Going down and unbinding get by without memory."""
    env.stop_serving()
    fault.prepare()
    knobs = Knobs(env.dut)

    def no_error(step):
        # What sysfs itself has not got memory for does not reach the driver.
        check(step.number <= 2, f"failure {step.number}: {step.error}")

    def down():
        knobs.down()

    def went_down(step):
        check(not knobs.flags() & UP, f"still up after failure {step.number}")
        knobs.up()

    with fault.NoLeaks(env):
        steps(env, "allocations of stop", fault.walk(down), no_error, went_down)
        unbind = os.open(f"{BUS}/drivers/{DRIVERS[env.driver]}/unbind", os.O_WRONLY)
        name = env.dut.virtio.encode()

        def unbound(step):
            equal(env.dut.driver(), None, f"driver after failure {step.number} of unbind")
            env.dut.bind(env.driver)
            run("ip", "link", "set", "dev", env.dut.netdev(), "name", env.dut.name, "up")

        steps(env, "allocations of removal", fault.walk(lambda: os.write(unbind, name),
                                                        fault.numbers(env.stride(5))),
              no_error, unbound)
        os.close(unbind)
    works(env)


@case(120)
def mtu_allocations(env):
    """Every allocation of a change of the MTU fails once, up and down."""
    env.stop_serving()
    fault.prepare()
    knobs = Knobs(env.dut)
    values = [1400, 1500]

    def change():
        knobs.mtu(values[0])

    def failed(step):
        equal(env.dut.link()["mtu"], values[1], f"MTU after failure {step.number}: {step.error}")

    def worked(step):
        equal(env.dut.link()["mtu"], values[0], f"MTU after failure {step.number}")
        values.reverse()

    with fault.NoLeaks(env):
        steps(env, "allocations of an MTU change", fault.walk(change), failed, worked)
    works(env)


def tolerate(number, function, *arguments):
    """Call it; that one error is none."""
    try:
        function(*arguments)
    except OSError as error:
        if error.errno != number:
            raise


def rx_filter(env):
    """(promiscuous, all multicast, multicast addresses) as the device has them."""
    index = env.nics.index(env.dut)
    state = env.control.ask(qmp="query-rx-filter", arguments={"name": f"nic{index}"})[0]
    return state["promiscuous"], state["multicast"] == "all", sorted(state["multicast-table"])


@case(120)
def filters_follow_after_failures(env):
    """Allocations of the receive mode and of address lists fail; the next change sets all right."""
    env.stop_serving()
    fault.prepare()
    knobs = Knobs(env.dut)
    before = rx_filter(env)
    extra = [f"01:00:5e:7f:00:{index:02x}" for index in range(20)]

    def change(on):
        # An error may come back, and what was not added cannot be removed.
        accepted = errno.ENOMEM if on else errno.ENOENT
        for address in extra:
            tolerate(accepted, knobs.multicast, mac_bytes(address), on)
        flags = knobs.flags() & ~(PROMISC | ALLMULTI)
        tolerate(accepted, knobs.set_flags, flags | (PROMISC | ALLMULTI if on else 0))

    with fault.NoLeaks(env), fault.Calls(env, fault.ALLOCATIONS, env.driver, deep=True) as calls:
        # The driver may set the receive mode later, in another task.
        failures = 0
        for nth in range(1, 30):
            calls.arm(nth)
            change(True)
            settle()
            failures += calls.failed()
            injected = calls.failed()
            calls.arm(0)
            change(False)
            wait_for(lambda: rx_filter(env) == before, f"the receive filter after failure {nth}")
            if not injected:
                break
        check(failures, "nothing failed at all")
        for step in fault.walk(lambda: knobs.set_flags(knobs.flags() ^ PROMISC)):
            del step
        knobs.set_flags(knobs.flags() & ~PROMISC)
        wait_for(lambda: rx_filter(env) == before, "the receive filter in the end")
    works(env)


@case(240)
def resize_allocations(env):
    """Every allocation of a change of the ring sizes fails once."""
    env.stop_serving()
    fault.prepare()
    knobs = Knobs(env.dut)
    full = knobs.rings()
    half = full[:4] + [full[4] // 2, 0, 0, full[7] // 2]
    try:
        knobs.set_rings(half)
        knobs.set_rings(full)
    except OSError as error:
        raise Skip("no ring resize") from error
    sizes = [half, full]

    def failed(step):
        equal(knobs.rings()[4:], sizes[1][4:], f"ring sizes after failure {step.number}: {step.error}")
        if step.number % 10 == 0:
            works(env)
        knobs.set_rings(sizes[1])

    def worked(step):
        equal(knobs.rings()[4:], sizes[0][4:], f"ring sizes after failure {step.number}")
        sizes.reverse()

    with fault.NoLeaks(env):
        steps(env, "allocations of a resize", fault.walk(lambda: knobs.set_rings(sizes[0]),
                                                     fault.numbers(env.stride(8), 32)),
              failed, worked)
    works(env)


def restarter(env):
    """env.restarter(), if the driver has what it needs."""
    restart = env.restarter()
    try:
        restart(0)
    except OSError as error:
        raise Skip("no queue management") from error
    return restart


@case(240)
def restart_allocations(env):
    """Every allocation of a restart of a receive queue fails once; the queue goes on with what it has."""
    env.stop_serving()
    fault.prepare()
    restart = restarter(env)

    def failed(step):
        equal(step.error.errno, errno.ENOMEM, f"error after failure {step.number}")
        worked(step)

    def worked(step):
        if now_and_then(env, step):
            works(env)

    with fault.NoLeaks(env):
        steps(env, "allocations of a restart", fault.walk(lambda: restart(0), fault.numbers(env.stride(4), 32)),
              failed, worked)
    restart(0)
    works(env)


@case(120)
def restarts_without_memory(env):
    """Receive queues restart under traffic, while a third of the driver's allocations fail: some do,
    others stay as they are, and the next attempt works."""
    fault.prepare()
    restart = restarter(env)

    def restarts():
        for turn in range(16):
            tolerate(errno.ENOMEM, restart, turn % env.dut.channels())

    with fault.NoLeaks(env):
        through_failures(env, fault.InDriver(env.driver, 33), restarts)
        for queue in range(env.dut.channels()):
            restart(queue)
    works(env)


def through_failures(env, failing, meanwhile=lambda: None):
    """Traffic both ways while `failing` is in force, and what else is to be done; afterwards not a byte
    is lost."""
    env.serve_dut()
    with failing:
        for nic, address in ((env.dut, env.peer.ip4), (env.peer, env.dut.ip4)):
            # What arrives is chance, the answer to how much it was too.
            sender = env.start(nic, "burst", address, PORT, 3000, 1000, 0)
            meanwhile()
            sender.communicate(timeout=100)
    wait_for(env.reachable, "traffic afterwards", 10)
    for address in (env.peer.ip4, env.peer.ip6):
        env.echo("udp", address, 0, 1472, 111)
        env.stream("send", address, 1 << 20)
        env.stream("recv", address, 1 << 20)


@case(120)
def traffic_without_memory(env):
    """A third of the driver's allocations fail under traffic; then all is well again."""
    fault.prepare()
    with fault.NoLeaks(env):
        through_failures(env, fault.InDriver(env.driver, 33))


class Every:
    """Context: every n-th call fails."""

    def __init__(self, calls, every):
        self.calls, self.every = calls, every

    def __enter__(self):
        self.calls.arm(1, self.every)

    def __exit__(self, *_):
        failures = self.calls.failed()
        self.calls.arm(0)
        check(failures, "nothing failed at all")


@case(120)
def traffic_with_full_rings(env):
    """Every fifth ring addition is refused under traffic; then all is well again."""
    fault.prepare()
    with fault.NoLeaks(env), fault.Calls(env, ADDS, env.driver) as calls:
        through_failures(env, Every(calls, 5))


@case(120)
def traffic_without_dma(env):
    """Every fifth DMA mapping fails under traffic; then all is well again."""
    fault.prepare()
    with fault.NoLeaks(env), fault.Calls(env, MAPS, device=dma_device(env)) as calls:
        through_failures(env, Every(calls, 5))
