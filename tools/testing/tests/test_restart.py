# SPDX-License-Identifier: GPL-2.0
"""AF_XDP sockets on devices that reset no single queue (queue_reset=off): ours resets the device for
each that comes or goes. Nobody but the sockets notices: all else is as it was. C serves in copy mode."""

import contextlib
import threading

from environment import Streams
from hostile import Log
from nic import read, run, settle, write
from packet import Capture, ethernet, udp4
from test_afxdp import PORT, clients, ready, transmit
from test_hash import KEY
from test_metadata import switch
from test_suspend import function_reset, seen, set_all, told
from test_umem import traffic
from vnrtest import Background, Skip, case, check, equal, wait_for
from xdp import Xdp
from xsk import (Client, Traffic, adds_up, all_dropped, can, forwarded, gather, mode, numbered, payload, pinned, queues,
                 send)

ORDER = 57
OWN_GUEST = True
PARAMS = ["queue_reset=off,queues=2,iommu_platform=on", "transport=legacy,mode=small",
          "device=model,queue_reset=off,queues=2,rss=on"]
FULL_PARAMS = [*PARAMS, "queue_reset=off,packed=on,mode=small,iommu_platform=on", "transport=mmio",
               "transport=mmio-legacy", "device=model,queue_reset=off,packed=on"]
PAIRS, MODEL = "*-2q*", "model-*"
FLOWS = 16
# How often a socket comes and goes in a long case.
TURNS = 20


# The processors that send by the first queue.
XPS = "/sys/class/net/dut/queues/tx-0/xps_cpus"


def is_ours(env):
    return env.driver == "rust"


def has_pairs(env):
    """Whether there is a choice by which queue to send."""
    return "-1q" not in env.dut.label


def all_is_free():
    """Until the memory of sockets that have ended is theirs no more; the debug kernel takes its time."""
    wait_for(lambda: pinned() == 0, "the memory of sockets is free", 40)


def comes_and_goes(env, queue=0):
    """A socket is bound, and closed."""
    all_is_free()
    with Client(env, mode(env), "--hold", queue=queue, mapped=False) as client:
        equal(client.zero_copy, mode(env) == "-z", "zero-copy")
        adds_up(client.end())
    all_is_free()


def taken(env, *words, queue):
    """A client, or None while the queue is another's, whose end takes a moment."""
    client = Client(env, *words, queue=queue)
    check(client.zero_copy is not None or "os error 16" in client.error, client.error)
    return client if client.zero_copy is not None else None


def flows(env, count):
    """Frames for the sockets, of several flows, each with its number."""
    return [ethernet(env.dut.mac, env.peer.mac, 0x0800,
                     udp4(env.peer.ip4, env.dut.ip4, payload(number, 18 + number * 37 % 1400),
                          ports=(4000 + number % FLOWS, PORT))) for number in range(count)]


def came_back(env, frames):
    """How many frames sockets have sent back, unchanged."""
    with Capture(env.peer) as capture:
        send(env, frames, gap=0.05)
        ports = range(4000, 4000 + FLOWS)
        got = [frame.data for frame in capture.frames(quiet=0.5)
               if not frame.outgoing and int.from_bytes(frame.data[34:36], "big") in ports]
    swapped = {frame[6:12] + frame[:6] + frame[12:] for frame in frames}
    equal(len(got), len(set(got)), "frames, each once")
    check(set(got) <= swapped, "frames are as they were")
    return len(got)


@case(120, nics=PAIRS)
def other_pairs(env):
    """Of sockets on two queue pairs, one goes and comes back: the other has its frames, and serves."""
    ready(env)
    if env.dut.negotiated("RSS"):
        # The host's random one can have all flows in one queue.
        env.dut.ethtool("-X", "hkey", KEY.hex(":"))
    frames = flows(env, 4 * FLOWS)
    words = (mode(env), "-l", "-p", "--verify")
    with contextlib.ExitStack() as stack:
        made = clients(env, stack, *words)
        ended = []
        equal(came_back(env, frames), len(frames), "frames that came back from both")
        for queue in queues(env):
            ended.append(made[queue].end())
            # The kernel unbinds behind the end of the process, and the device is away while it does.
            part = wait_for(lambda: came_back(env, frames), f"frames without queue {queue}", 20)
            check(part < len(frames), f"{part} of {len(frames)} frames came back without queue {queue}")
            made[queue] = stack.enter_context(wait_for(lambda q=queue: taken(env, *words, queue=q), "the queue", 10))
            equal(came_back(env, frames), len(frames), f"frames that came back with queue {queue} again")
        ended += [client.end() for client in made]
    for result in ended:
        adds_up(result)
        equal(result["wrong"], 0, f"changed frames, of {result}")
    all_is_free()
    env.works()


def shown(env):
    """What users, the device model, or QEMU's device say of the settings."""
    filters = None
    if env.dut.port is None:
        index = env.nics.index(env.dut)
        (filters,) = env.control.ask(qmp="query-rx-filter", arguments={"name": f"nic{index}"})
        filters = {key: sorted(value) if isinstance(value, list) else value for key, value in filters.items()}
    return seen(env), told(env), filters, read(XPS) if has_pairs(env) else None


@case(90)
def settings_survive(env):
    """Addresses, receive filter, VLANs, queue pairs, RSS, coalescing, who sends by a queue: as they were, to users and to the
    device, while a socket is bound, and afterwards."""
    run("modprobe", "8021q")
    set_all(env)
    env.dut.ethtool("-L", "combined", "1", check=False)
    if has_pairs(env):
        write(XPS, "0")
    for promiscuous in (True, False):
        env.dut.ip(f"link set dev dut promisc {'on' if promiscuous else 'off'}")
        settle(0.5)
        before = shown(env)
        with Client(env, mode(env), "--hold", mapped=False) as client:
            equal(shown(env), before, "settings with a socket")
            adds_up(client.end())
        all_is_free()
        equal(shown(env), before, "settings afterwards")
    env.works()


@case(60)
def vlan_is_received(env):
    """Frames of a VLAN get through a filter that was told before."""
    run("modprobe", "8021q")
    for nic, last in ((env.dut, 1), (env.peer, 2)):
        nic.ip(f"link add link {nic.name} name {nic.role}.7 type vlan id 7")
        nic.ip(f"addr add 198.51.100.{last}/24 dev {nic.role}.7")
        nic.ip(f"link set dev {nic.role}.7 up")
    for _ in range(3):
        env.ping("198.51.100.2")
        comes_and_goes(env)
    env.ping("198.51.100.2")
    env.echo("udp", "198.51.100.2", 0, 1472, 211)


@case(150)
def under_traffic(env):
    """Sockets come and go many times under streams that compare every byte: all are whole, the link
    does not go, and no counter goes back."""
    env.serve_dut()
    changes = int(env.dut.sysfs("carrier_changes"))
    streams = Streams(env)
    before = env.dut.counters()
    with traffic(env):
        for turn in range(env.turns(TURNS, TURNS)):
            streams.go_on()
            comes_and_goes(env, queue=turn % len(queues(env)))
            now = env.dut.counters()
            for key, value in before.items():
                check(now[key] >= value, f"{key} went back")
            wait_for(lambda: env.dut.counters()["rx_packets"] > now["rx_packets"] + 10,
                     f"traffic after turn {turn + 1}")
            before = now
    streams.end()
    equal(int(env.dut.sysfs("carrier_changes")), changes, "changes of the carrier")
    env.works()


@case(90)
def program_stays(env):
    """A program is the same before, while and after a socket is bound: it drops all frames."""
    xdp = Xdp(env)
    xdp.set()
    xdp.attach("drop")

    all_dropped(env, "before")
    with Client(env, mode(env), "--hold", mapped=False) as client:
        all_dropped(env, "with a socket")
        adds_up(client.end())
    all_is_free()
    all_dropped(env, "afterwards")
    xdp.detach()
    env.works()


@case(60)
def while_down(env):
    """On an interface that is down a socket comes and goes; up, all works."""
    env.dut.ip("link set dev dut down")
    comes_and_goes(env)
    equal(env.dut.link()["operstate"], "DOWN", "state")
    with Client(env, mode(env), "-t", "-C", 50, "-G", env.peer.mac, mapped=False) as client:
        env.dut.ip("link set dev dut up")
        env.dut.wait_carrier()
        env.dut.addresses()
        result = client.finish(30)
    adds_up(result)
    transmit(env, mode(env), count=50)
    env.works()


@case(60)
def queue_is_full(env):
    """What a process sends while others come and go on the same device is given back to it."""
    for _ in range(5):
        all_is_free()
        before = env.dut.counters()["tx_packets"]
        with Client(env, mode(env), "-t", "-b", 64, "-T", 2000, "-G", env.peer.mac, mapped=False) as client:
            wait_for(lambda: env.dut.counters()["tx_packets"] > before + 64, "frames are sent")
            for queue in queues(env)[1:]:
                with Client(env, mode(env), "--hold", queue=queue, mapped=False) as other:
                    adds_up(other.end())
            result = client.end()
        adds_up(result)
        check(result["tx"] > 0, f"frames sent: {result}")
    env.works()


@case(150, sample="modern-*")
def others_send_by_it(env):
    """What another device redirects here leaves while sockets come and go: the device, and the stack's
    queues, work on, and no queue stays stopped."""
    Xdp(env).attach("pass")
    timeouts = env.dut.statistics()["tx_tx_timeouts"]
    with env.joined() as (va, vb):
        xdp = Xdp(env, va)
        xdp.set(port=PORT, target=int(read("/sys/class/net/dut/ifindex")))
        xdp.attach("redirect")
        frames = [ethernet(env.peer.mac, env.dut.mac, 0x0800,
                           udp4(env.dut.ip4, env.peer.ip4, payload(number, 64), ports=(4000, PORT)))
                  for number in range(64)]
        with Traffic(env, frames, nic=vb):
            for turn in range(env.turns(TURNS, TURNS)):
                comes_and_goes(env, queue=turn % len(queues(env)))
                before = env.dut.statistics()["tx_xdp_tx"]
                wait_for(lambda past=before: env.dut.statistics()["tx_xdp_tx"] > past + 64,
                         f"frames of the other device leave after turn {turn + 1}")
                wait_for(env.reachable, f"traffic of the stack after turn {turn + 1}")
        # Longer than the watchdog waits.
        settle(7)
    equal(env.dut.statistics()["tx_tx_timeouts"], timeouts, "queues that stayed stopped")
    env.works()


@case(60, nics=PAIRS, sample="modern-*")
def frames_that_wait(env):
    """Frames with a launch time, and a socket that comes to the other queue: each frame is sent, or counted
    as lost, and the process has all of its memory back."""
    if not is_ours(env):
        raise Skip("the driver knows no launch times")
    switch(env, True)
    before = env.dut.statistics()["tx_xdp_tx_drops"]
    with Capture(env.peer) as capture:
        with Client(env, "-z", "-t", "-C", 8, "-b", 8, "-G", env.peer.mac, "--launch-time", 900000, queue=1,
                    mapped=False) as client:
            settle(0.2)
            with Client(env, "-z", "--hold", queue=0, mapped=False) as other:
                adds_up(other.end())
            adds_up(client.finish(30))
        sent = len(gather(capture, 8, 4096))
    lost = env.dut.statistics()["tx_xdp_tx_drops"] - before
    equal(sent + lost, 8, f"frames sent, {sent}, and lost, {lost}")
    all_is_free()
    env.works()


@case(90, nics=MODEL)
def does_not_come_back(env):
    """A device that refuses its features as a socket is bound, or closed: bind fails, nothing of the
    socket is kept, the log says so once, and a reset of the function heals it."""
    for lie_at_bind in (True, False):
        log = Log()
        before = env.model.told().get("features_refused", 0)
        if lie_at_bind:
            env.model.lie("features_refused", next=1)
            client = Client(env, mode(env), "--hold", mapped=False)
        else:
            client = Client(env, mode(env), "--hold", mapped=False)
            check(client.zero_copy is not None, client.error)
            env.model.lie("features_refused", next=1)
            adds_up(client.end())
        client.kill()
        all_is_free()
        lies = env.model.told().get("features_refused", 0) - before
        equal(lies, int(is_ours(env) and can(env)), "times that features were refused")
        env.model.honest()
        if not lies:
            continue
        equal(client.zero_copy is None, lie_at_bind, "whether the socket could not be bound")
        equal(len(log.new("did not come back")), 1, "lines of the log")
        check(not env.reachable(), "the device works")
        if not lie_at_bind:
            refused = Client(env, mode(env), "--hold", mapped=False)
            check("os error 19" in refused.error, f"a device that is away takes a socket: {refused.error!r}")
            refused.kill()
        function_reset(env)
        wait_for(env.dut.carrier, "the link")
        env.works()
    comes_and_goes(env)
    env.works()


@case(120, nics=MODEL)
def changes_while_away(env):
    """What users change on a device that is away holds when it is back: a program that has no large
    frames, and that the interface was down; no queue stays stopped, of those not in use neither."""
    xdp = Xdp(env)
    xdp.set()
    env.dut.ethtool("-L", "combined", "1")
    # Without a socket in zero-copy mode it does not go.
    away = mode(env) == "-z"
    if away:
        env.model.lie("features_refused", next=1)
        client = Client(env, mode(env), "--hold", mapped=False)
        check("os error 19" in client.error, f"the device came back: {client.error!r}")
        client.kill()
        all_is_free()
        env.model.honest()
    xdp.attach("pass")
    env.dut.ip("link set dev dut down")
    if away:
        function_reset(env)
    env.dut.ip("link set dev dut up")
    wait_for(env.dut.carrier, "the link")
    env.dut.addresses()
    env.works()
    before = env.dut.statistics()
    env.stream("recv", env.peer.ip4, 8 << 20)
    # Longer than the watchdog waits.
    settle(7)
    after = env.dut.statistics()
    for name in ("rx_xdp_drops", "rx_drops", "tx_tx_timeouts"):
        equal(after[name], before[name], name)
    xdp.detach()
    env.dut.ethtool("-L", "combined", "2")
    env.works()


@case(90, nics=MODEL)
def others_reset_it(env):
    """Somebody resets the PCI function while a socket is bound, and while sockets come and go."""
    xdp = ready(env)
    with contextlib.ExitStack() as stack:
        made = clients(env, stack, mode(env), "-l", "-p", "--verify")
        for turn in range(3):
            if is_ours(env):
                function_reset(env)
                wait_for(env.dut.carrier, "the link")
            wait_for(env.reachable, "traffic of the stack")
            forwarded(env, numbered(env, 64, PORT, first=64 * turn), PORT)
        for client in made:
            adds_up(client.end())
    xdp.detach()
    with contextlib.ExitStack() as stack:
        ended, resets = threading.Event(), 0

        def reset():
            nonlocal resets
            while is_ours(env) and not ended.wait(0.1):
                function_reset(env)
                resets += 1

        thread = Background(reset)
        thread.start()
        stack.callback(thread.done)
        stack.callback(ended.set)
        bound = 0
        for _ in range(20):
            client = Client(env, mode(env), "--hold", mapped=False)
            if client.zero_copy is not None:
                bound += 1
                adds_up(client.end())
            client.kill()
            all_is_free()
        check(bound, "no socket was bound at all")
        check(resets > 3 or not is_ours(env), f"only {resets} resets")
    wait_for(env.dut.carrier, "the link")
    env.works()


@case(90)
def driver_goes(env):
    """The driver goes from under sockets on all queue pairs, and the device from its slot: all is free,
    and it can come back."""
    for leave, come_back in env.dut.departures(env.driver):
        ready(env)
        with contextlib.ExitStack() as stack:
            made = clients(env, stack, mode(env), "-l", "-p")
            send(env, numbered(env, 50, PORT))
            leave()
            for client in made:
                client.kill()
        all_is_free()
        come_back()
        comes_and_goes(env)
    env.works()
