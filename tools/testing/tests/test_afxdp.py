# SPDX-License-Identifier: GPL-2.0
"""AF_XDP: processes receive into, and send from, memory of their own."""

import contextlib
import time

from packet import Capture
from vnrtest import Failed, case, check, equal, wait_for
from xdp import Xdp
from xsk import Client, adds_up, forwarded, gather, number_of, numbered, pinned, queues, send

ORDER = 56
PARAMS = ["iommu_platform=on", "packed=on,queues=2,iommu_platform=on", "mode=small,iommu_platform=on",
          "queue_reset=off,iommu_platform=on", ""]
PORT = 4001
ZERO_COPY, PLAIN = "*iommu_platform=on*", "modern-split-mergeable-1q-iommu_platform=on"
# What `make test` runs of cases that are about large packets, or several queues.
MERGEABLE = "*-mergeable-?q-iommu_platform=on"
EBUSY, EINVAL, EOPNOTSUPP = 16, 22, 95


def ready(env):
    """The program that gives the process what it is to have; what was seen is forgotten."""
    xdp = Xdp(env)
    xdp.set(port=PORT)
    xdp.attach("socket", overwrite=True)
    return xdp


def can(env):
    return env.dut.negotiated("RING_RESET")


def mode(env):
    return "-z" if can(env) else "-c"


def clients(env, stack, *words):
    """A client on each queue."""
    made = [stack.enter_context(Client(env, *words, queue=queue)) for queue in queues(env)]
    for client in made:
        equal(client.zero_copy, "-z" in words, "zero-copy")
    return made


def receive(env, xdp, *words, count=250, longest=1472):
    """All of what the peer sends arrives at the processes, once and unchanged."""
    with contextlib.ExitStack() as stack:
        made = clients(env, stack, "--verify", *words)
        send(env, numbered(env, count, PORT, longest), gap=0.05)
        wait_for(lambda: xdp.seen()["frames"] >= count, "frames at the program", 20)
        time.sleep(0.3)
        results = [client.end() for client in made]
    for result in results:
        adds_up(result)
        equal(result["wrong"], 0, f"changed frames, of {result}")
    equal(sum(result["right"] for result in results), count, f"frames of {results}")
    equal(sum(result["rx"] for result in results), count, f"frames received, of {results}")


def transmit(env, *words, count=200, size=64, queue=0):
    """All that a process sends arrives at the peer, once and unchanged."""
    with Capture(env.peer) as capture:
        with Client(env, "-t", "-C", count, "-s", size, "-G", env.peer.mac, "-H", env.dut.mac, *words,
                    queue=queue, mapped=False) as client:
            equal(client.zero_copy, "-z" in words, "zero-copy")
            result = client.finish(30)
        frames = gather(capture, count, 4096)
    adds_up(result)
    equal(result["packets"], count, "frames sent")
    got = [number_of(frame) for frame in frames]
    equal(got.count(None), 0, "changed frames")
    equal(len(got), len(set(got)), "frames, each once")
    missing = set(range(count)) - set(got)
    check(not missing and len(got) == count, f"{len(missing)} of {count} frames are missing")
    check(all(len(frame) >= size for frame in frames), "frames are as long as they were")


@case(60, nics=ZERO_COPY)
def receives(env):
    """A process receives what is meant for it, by poll, and the stack the rest."""
    xdp = ready(env)
    receive(env, xdp, mode(env), "-p")
    env.ping()


@case(90, nics=ZERO_COPY, sample=PLAIN)
def receives_by_turns(env):
    """The same without need-wakeup flags, by busy polling, and in chunks of other kinds."""
    xdp = ready(env)
    for words in (("-m", "-p"), ("-B",), ("-u", "-p"), ("-f", 2048, "-p")):
        xdp.set(port=PORT)
        receive(env, xdp, mode(env), *words, count=100)
    env.ping()


@case(90, nics=ZERO_COPY, sample="*iommu_platform=on")
def transmits(env):
    """What a process sends arrives as it was."""
    for queue in queues(env):
        for size in (64, 1514):
            transmit(env, mode(env), size=size, queue=queue)
    env.ping()


@case(60, nics=ZERO_COPY, sample=PLAIN)
def transmits_by_turns(env):
    """The same without need-wakeup flags, from chunks of other kinds, many, and by busy polling."""
    for words in (("-m",), ("-u",), ("-f", 2048)):
        transmit(env, mode(env), *words, count=100)
    transmit(env, mode(env), "-T", 20000, count=3000)
    transmit(env, mode(env), "-B", count=100)


@case(60, nics=ZERO_COPY, sample=PLAIN)
def forwards(env):
    """What a process sends back arrives as it was, with the addresses swapped."""
    xdp = ready(env)
    with contextlib.ExitStack() as stack:
        made = clients(env, stack, "-l", mode(env), "-p", "--verify")
        forwarded(env, numbered(env, 200, PORT), PORT)
        results = [client.end() for client in made]
    for result in results:
        adds_up(result)
        equal(result["wrong"], 0, f"changed frames, of {result}")
    equal(xdp.seen()["frames"], 200, "frames at the program")
    env.ping()


@case(90, nics="*-mergeable-*iommu_platform=on", sample=PLAIN)
def jumbo(env):
    """Frames over several chunks, received, sent and sent back, with an MTU of 9000."""
    for nic in (env.dut, env.peer):
        nic.ip(f"link set dev {nic.name} mtu 9000")
    xdp = Xdp(env)
    for chunk in (4096, 2048):
        words = (mode(env), "-F", "-f", chunk)
        for size in (chunk, chunk + 1, 9014):
            transmit(env, *words, count=60, size=size)
        xdp.set(port=PORT)
        xdp.attach("socket", frags=True, overwrite=True)
        receive(env, xdp, *words, "-p", count=100, longest=8972)
        with contextlib.ExitStack() as stack:
            made = clients(env, stack, *words, "-l", "-p", "--verify")
            forwarded(env, numbered(env, 100, PORT, 8972), PORT)
            for result in [client.end() for client in made]:
                adds_up(result)
                equal(result["wrong"], 0, f"changed frames, of {result}")
    env.ping(size=8000)


@case(60, nics=ZERO_COPY, sample=PLAIN)
def copies(env):
    """The same in copy mode."""
    xdp = ready(env)
    receive(env, xdp, "-c", "-p")
    transmit(env, "-c", count=100)
    env.ping()


@case(60, nics=ZERO_COPY, sample="*split-mergeable*")
def refusals(env):
    """What cannot be is refused with a reason, and changes nothing."""
    if not can(env):
        client = Client(env, "-z", "--hold", mapped=False)
        check(f"os error {EOPNOTSUPP}" in client.error, f"without queue reset: {client.error!r}")
    with Client(env, mode(env), "--hold", mapped=False) as first:
        for words, queue, error in (((mode(env),), 0, EBUSY), (("-c",), 0, EBUSY), ((mode(env),), 99, EINVAL)):
            client = Client(env, *words, "--hold", queue=queue, mapped=False)
            check(f"os error {error}" in client.error, f"{words} on queue {queue}: {client.error!r}")
        env.ping()
        adds_up(first.end())
    wait_for(lambda: pinned() == 0, "the memory of sockets is free")
    env.ping()


@case(60, nics=ZERO_COPY, sample=PLAIN)
def without_transmit_napi(env):
    """Where NAPI does not reclaim what was sent, a process is refused or served; and NAPI stays while
    there is one."""
    def use_napi(on):
        env.dut.ip("link set dev dut down")
        try:
            env.dut.ethtool("-C", "tx-frames", str(int(on)))
            return True
        except Failed:
            return False
        finally:
            env.dut.ip("link set dev dut up")
            env.dut.wait_carrier()
            env.dut.addresses()

    check(use_napi(False), "transmit NAPI cannot be turned off")
    client = Client(env, mode(env), "-t", "--hold", mapped=False)
    if client.zero_copy is None:
        check(f"os error {EOPNOTSUPP}" in client.error, client.error)
    else:
        client.end()
        transmit(env, mode(env))
    check(use_napi(True), "transmit NAPI cannot be turned on")
    with Client(env, mode(env), "-t", "--hold", mapped=False) as client:
        check(not use_napi(False), "transmit NAPI can be turned off while a socket is bound")
        adds_up(client.end())
    transmit(env, mode(env))


@case(60, nics="modern-split-mergeable-1q")
def without_iommu_platform(env):
    """A device that does without the DMA API serves, or refuses with a reason."""
    client = Client(env, "-z", "--hold", mapped=False)
    if client.zero_copy is None:
        check("os error" in client.error, client.error)
    else:
        adds_up(client.end())
        xdp = ready(env)
        receive(env, xdp, "-z", "-p")
        transmit(env, "-z")
    env.ping()


@case(120, nics=ZERO_COPY, sample=PLAIN)
def binds_under_traffic(env):
    """Twenty times bound and left, orderly or killed, while there is traffic."""
    xdp = ready(env)
    xdp.set(port=PORT)
    stream = env.start(env.dut, "stream", "recv", env.peer.ip4, 7777, 8 << 20)
    for turn in range(20):
        with Client(env, mode(env), *(("-t", "--tx-pkt-count", 64), ("-r",), ("-l", "-p"))[turn % 3]) as client:
            send(env, numbered(env, 20, PORT))
            if turn % 4 == 3:
                client.kill()
            else:
                adds_up(client.finish() if turn % 3 == 0 else client.end())
        wait_for(lambda: pinned() == 0, "the memory of a socket is free")
    _, good = env.finish(stream)
    check(good, "a stream beside it is whole")
    env.ping()
    env.echo("udp", env.peer.ip4, 0, 1472, 101)


@case(60, nics=ZERO_COPY, sample=PLAIN)
def killed(env):
    """The owner is killed amid its work: the queue is free, and works for the next one."""
    xdp = ready(env)
    for words in (("-r",), ("-t", "-G", env.peer.mac), ("-l",)):
        with Client(env, mode(env), *words) as client:
            send(env, numbered(env, 100, PORT))
            client.kill()
        wait_for(lambda: pinned() == 0, "the memory of a socket is free")
    xdp.set(port=PORT)
    receive(env, xdp, mode(env), "-p", count=100)
    transmit(env, mode(env), count=100)
    env.ping()


@case(90, nics=ZERO_COPY, sample=MERGEABLE)
def stack_beside(env):
    """Packets of the stack go on in both directions beside a socket that only sends."""
    with contextlib.ExitStack() as stack:
        made = clients(env, stack, "-t", mode(env), "-G", env.peer.mac, "-b", 8, "-T", 5000)
        env.stream("recv", env.peer.ip4, 1 << 20)
        env.stream("send", env.peer.ip4, 1 << 20)
        env.echo("udp", env.peer.ip4, 0, 1472, 101)
        results = [client.end() for client in made]
    for result in results:
        adds_up(result)
        check(result["tx"] > 0, f"frames sent: {result}")


@case(90, nics=ZERO_COPY, sample=PLAIN)
def stack_within(env):
    """Packets that the program passes get to the stack whole, from a queue that is bound."""
    xdp = ready(env)
    with contextlib.ExitStack() as stack:
        made = clients(env, stack, mode(env), "-p", "--verify")
        env.ping()
        env.ping(env.peer.ip6)
        env.echo("udp", env.peer.ip4, 0, 1472, 33)
        env.echo("tcp", env.peer.ip4, 1, 8192, 1021)
        env.stream("recv", env.peer.ip4, 1 << 20)
        xdp.set()
        xdp.attach("verify", overwrite=True)
        env.echo("udp", env.peer.ip4, 18, 1472, 101)
        seen = xdp.seen()
        check(seen["right"] > 10, f"the program saw {seen}")
        equal(seen["wrong"], 0, "wrong checksums")
        xdp.detach()
        # Without a program all is the stack's, large packets too.
        env.stream("recv", env.peer.ip4, 1 << 20)
        env.echo("tcp", env.peer.ip4, 1, 8192, 1021)
        for client in made:
            adds_up(client.end())


@case(90, nics=ZERO_COPY, sample=PLAIN)
def changes_while_bound(env):
    """Down and up, other ring sizes and other programs: a socket works on."""
    xdp = ready(env)
    with Client(env, mode(env), "-p", "--verify") as client:
        total = 0
        for change in ((), ("down", "up"), ("rings",), ("program",)):
            if change == ("down", "up"):
                env.dut.ip("link set dev dut down")
                env.dut.ip("link set dev dut up")
                env.dut.wait_carrier()
                env.dut.addresses()
                wait_for(env.reachable, "traffic")
            elif change == ("rings",) and can(env):
                env.dut.ethtool("-G", "rx", "128", "tx", "64")
            elif change == ("program",):
                xdp.attach("pass", overwrite=True)
                xdp.attach("socket", overwrite=True)
            xdp.set(port=PORT)
            send(env, numbered(env, 100, PORT, first=total), gap=0.05)
            total += 100
            wait_for(lambda: xdp.seen()["frames"] >= 100, f"frames at the program after {change}")
            time.sleep(0.3)
        result = client.end()
    adds_up(result)
    equal(result["right"], total, f"frames of {result}")
    transmit(env, mode(env), count=100)


@case(90, nics=ZERO_COPY, sample=PLAIN)
def driver_goes(env):
    """The driver goes from under a socket: all is free, and it can come back."""
    ready(env)
    for words in (("-r",), ("-t", "-G", env.peer.mac), ("-l", "-p")):
        with Client(env, mode(env), *words) as client:
            send(env, numbered(env, 50, PORT))
            env.dut.unbind()
            client.kill()
        wait_for(lambda: pinned() == 0, "the memory of a socket is free")
        env.dut.bind(env.driver)
        env.dut.configure()
        ready(env)
    env.ping()
    xdp = ready(env)
    receive(env, xdp, mode(env), "-p", count=100)
