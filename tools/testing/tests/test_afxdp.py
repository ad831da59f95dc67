# SPDX-License-Identifier: GPL-2.0
"""AF_XDP: processes receive into, and send from, memory of their own."""

import contextlib
import socket
import time

import test_hash
import test_xdp
from bind import CHUNK, Socket
from bpf_link import Map
from genl import Changes, claims_zero_copy
from hostile import Log
from nic import read
from packet import Capture
from vnrtest import Failed, case, check, equal, wait_for
from xdp import PLACE, Xdp, little
from xsk import (FCS, Client, adds_up, anywhere, can, forwarded, gather, in_place, mode, number_of, numbered, pinned,
                 queues, room, send)

ORDER = 56
PARAMS = ["iommu_platform=on", "packed=on,queues=2,hash=on,iommu_platform=on", "mode=small,iommu_platform=on",
          "queue_reset=off,iommu_platform=on", ""]
FULL_PARAMS = [*PARAMS, "in_order=on,queue_reset=off,iommu_platform=on",
               "packed=on,in_order=on,queue_reset=off,queues=4,iommu_platform=on",
               "queues=4,iommu_platform=on", "packed=on,mode=small,queues=4,iommu_platform=on",
               "packed=on,queues=4,queue_reset=off,iommu_platform=on",
               "mode=small,queue_reset=off,iommu_platform=on"]
PORT = 4001
ZERO_COPY, PLAIN = "*iommu_platform=on*", "modern-split-mergeable-1q-iommu_platform=on"
# What `make test` runs of cases that are about large packets, or several queues.
MERGEABLE = "*-mergeable-?q-iommu_platform=on"
# Of cases about long frames.
JUMBO = "*-mergeable-*iommu_platform=on*"
# Of those that are about sockets that come and go, or what changes under them.
BOTH = f"{PLAIN}*"
EBUSY, EINVAL, EOPNOTSUPP = 16, 22, 95


def ready(env):
    """The program that gives the process what it is to have; what was seen is forgotten."""
    xdp = Xdp(env)
    xdp.set(port=PORT)
    xdp.attach("socket", overwrite=True)
    return xdp


def other_rings(env):
    """Whether rings can have other sizes."""
    return env.dut.negotiated("RING_RESET")


def wait_until_free():
    """Until the queues of processes that have ended can be bound again."""
    wait_for(lambda: pinned() == 0, "the memory of sockets is free")


def clients(env, stack, *words):
    """A client on each queue."""
    wait_until_free()
    made = [stack.enter_context(Client(env, *words, queue=queue)) for queue in queues(env)]
    for client in made:
        equal(client.zero_copy, "-z" in words, "zero-copy")
    return made


def arrived(env, xdp, count):
    """Waits until the program has seen so many frames; if some do not come, says which NIC had how many since it
    was bound, and whether they come with others."""
    try:
        wait_for(lambda: xdp.seen()["frames"] >= count, "frames at the program", 20)
    except Failed as failed:
        counters = [{key: value for key, value in {**nic.counters(), **nic.statistics()}.items() if value}
                    for nic in (env.dut, env.peer)]
        seen = xdp.seen()
        raise Failed(f"{failed}: {seen} of {count}; a ping comes back: {env.reachable()}, then {xdp.seen()}; "
                     f"counters: {counters}") from failed


def receive(env, xdp, *words, count=250, longest=1472, step=37):
    """All of what the peer sends arrives at the processes, once and unchanged; what they say."""
    with contextlib.ExitStack() as stack:
        made = clients(env, stack, "--verify", *words)
        send(env, numbered(env, count, PORT, longest, step=step), gap=0.05)
        arrived(env, xdp, count)
        time.sleep(0.3)
        results = [client.end() for client in made]
    for result in results:
        adds_up(result)
        equal(result["wrong"], 0, f"changed frames, of {result}")
    equal(sum(result["right"] for result in results), count, f"frames of {results}")
    equal(sum(result["rx"] for result in results), count, f"frames received, of {results}")
    return results


def transmit(env, *words, count=200, size=64, queue=0, refused=False):
    """All that a process sends arrives at the peer, once and unchanged, but for what the core may have
    refused, and counted."""
    wait_until_free()
    with Capture(env.peer) as capture:
        with Client(env, "-t", "-C", count, "-s", size + FCS, "-G", env.peer.mac, "-H", env.dut.mac, *words,
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
    equal(len(missing), result["invalid_descs"] if refused else 0, f"frames of {count} that are missing, of {result}")
    equal(len(got), count - len(missing), "frames, and none beside them")
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
    for words in (("-m", "-p"), ("-B",), *([("-u", "-p")] if anywhere() else []), ("-f", 2048, "-p")):
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
    for words in (("-m",), *([("-u",)] if anywhere() else []), ("-f", 2048)):
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


def large_mtu(env, mtu=9000):
    for nic in (env.dut, env.peer):
        nic.ip(f"link set dev {nic.name} mtu {mtu}")


def one_queue(env):
    """All frames come by the queue of the only socket."""
    env.dut.ethtool("-L", "combined", "1")


def several(env):
    """The program that gives the process what it is to have, in any number of chunks."""
    xdp = Xdp(env)
    xdp.set(port=PORT)
    xdp.attach("socket", frags=True, overwrite=True)
    return xdp


@case(120, nics=JUMBO, sample=PLAIN)
def jumbo(env):
    """Frames over several chunks, received, sent and sent back, with an MTU of 9000."""
    large_mtu(env)
    for chunk in (4096, 2048):
        words = (mode(env), "-F", "-f", chunk)
        for size in (chunk, chunk + 1, 9014):
            transmit(env, *words, count=60, size=size)
        xdp = several(env)
        for result in receive(env, xdp, *words, "-p", "--fill-first", count=100, longest=8972, step=911):
            if can(env):
                in_place(result, chunk, 9014)
        with contextlib.ExitStack() as stack:
            made = clients(env, stack, *words, "-l", "-p", "--verify")
            forwarded(env, numbered(env, 100, PORT, 8972, step=911), PORT)
            for result in [client.end() for client in made]:
                adds_up(result)
                equal(result["wrong"], 0, f"changed frames, of {result}")
    env.ping(size=8000)


@case(120, nics=JUMBO, sample=PLAIN)
def jumbo_by_turns(env):
    """They are received in place with a headroom of the process's own, in chunks at any place, and with
    another MTU."""
    for mtu, words, chunk, headroom in ((9000, ("--headroom", 512), 4096, 512), (9000, ("-u",), 4096, 0),
                                        (9000, ("-u", "-f", 2048, "--headroom", 128), 2048, 128),
                                        (1500, ("-f", 2048), 2048, 0), (1500, (), 4096, 0),
                                        (room(4096) - 18, (), 4096, 0), (room(4096) - 14, (), 4096, 0),
                                        (room(4096) - 13, (), 4096, 0)):
        if "-u" in words and not anywhere():
            continue
        large_mtu(env, mtu)
        xdp = several(env)
        words = (mode(env), "-F", "-p", "--fill-first", *words)
        for result in receive(env, xdp, *words, count=100, longest=mtu - 28, step=911):
            if can(env):
                in_place(result, chunk, mtu + 14, headroom)
    env.ping()


@case(60, nics=JUMBO, sample=PLAIN)
def jumbo_few_at_once(env):
    """A process that polls for fewer frames at once than one of its own has parts sends it all the same."""
    large_mtu(env)
    transmit(env, mode(env), "-F", "-f", 2048, "-B", "-b", 4, count=60, size=9014)


@case(120, nics=JUMBO, sample=PLAIN)
def jumbo_tails(env):
    """A program takes off, or adds to, the ends of frames over several chunks, wherever that ends."""
    large_mtu(env)
    xdp = several(env)
    # What is behind the IP packet is not looked at.
    frames = [frame + bytes(9014 - len(frame)) for frame in numbered(env, 60, PORT, 1300)]
    with contextlib.ExitStack() as stack:
        made = clients(env, stack, mode(env), "-F", "-f", 2048, "-p", "--fill-first", "--verify")
        # In the last chunk, the whole of it, more of them, all but the first, and into that.
        for tail in (-1, -500, -566, -567, -1974, -5000, -7606, -7607, 0, 100):
            xdp.set(port=PORT, tail=tail)
            send(env, frames, gap=0.05)
            wait_for(lambda: xdp.seen()["frames"] >= len(frames), f"frames at the program with {tail}", 20)
            equal(xdp.seen()["refused"], 0, f"tails of {tail} refused")
        time.sleep(0.3)
        results = [client.end() for client in made]
    for result in results:
        adds_up(result)
        equal(result["wrong"], 0, f"changed frames, of {result}")
    equal(sum(result["rx"] for result in results), 10 * len(frames), f"frames received, of {results}")
    env.ping(size=8000)


@case(120, nics=JUMBO, sample=PLAIN)
def jumbo_for_others(env):
    """Frames over several chunks that a program passes, sends back, or sends elsewhere are whole; those that
    it drops leave nothing behind."""
    large_mtu(env)
    xdp = several(env)
    with contextlib.ExitStack() as stack:
        made = clients(env, stack, mode(env), "-F", "-f", 2048, "-p", "--fill-first", "--verify")
        env.ping(size=8000)
        env.ping(env.peer.ip6, size=8000)
        env.echo("udp", env.peer.ip4, 0, 8972, 701)
        env.echo("tcp", env.peer.ip4, 1, 32768, 4093)
        env.stream("recv", env.peer.ip4, 4 << 20)
        xdp.set()
        xdp.attach("verify", frags=True, overwrite=True)
        env.echo("udp", env.peer.ip4, 18, 8972, 701)
        seen = xdp.seen()
        check(seen["right"] > 10 and seen["frags"] > 5, f"the program saw {seen}")
        equal(seen["wrong"], 0, "wrong checksums")
        target = int(read(f"/sys/class/net/{env.dut.name}/ifindex"))
        xdp.set(port=PORT, target=target)
        xdp.update("devices_frags", 0, little(target, 4))
        # What comes back by a device's number is for the other one as it was.
        env.peer.ip(f"link set dev {env.peer.name} promisc on")
        for program in ("tx", "redirect", "devmap"):
            xdp.attach(program, frags=True, overwrite=True)
            frames = numbered(env, 100, PORT, 8972, step=911)
            swapped = {frame[6:12] + frame[:6] + frame[12:] for frame in frames}
            with Capture(env.peer) as capture:
                send(env, frames, gap=0.05)
                got = gather(capture, len(frames), PORT)
            equal(len(got), len(frames), f"frames that came back by {program}")
            check(set(got) == (swapped if program == "tx" else set(frames)), f"they are as they were by {program}")
        xdp.update("processors_frags", 0, little(512, 4))
        xdp.set()
        xdp.attach("cpumap", frags=True, overwrite=True)
        env.ping(size=8000)
        env.echo("udp", env.peer.ip4, 18, 8972, 701)
        xdp.set()
        xdp.attach("meta", frags=True, overwrite=True)
        env.ping(size=8000)
        seen = xdp.seen()
        check(seen["frames"] > 0 and not seen["refused"], f"metadata, of {seen}")
        for program in ("drop", "aborted", "nonsense"):
            xdp.set(port=PORT)
            xdp.attach(program, frags=True, overwrite=True)
            send(env, numbered(env, 1000, PORT, 8972, step=911), gap=0.02)
            wait_for(lambda: xdp.seen()["frames"] >= 990, f"frames at the program {program}")
        # Without a program all is the stack's, large packets too.
        xdp.detach()
        env.ping(size=8000)
        env.echo("tcp", env.peer.ip4, 1, 32768, 4093)
        env.stream("recv", env.peer.ip4, 4 << 20)
        several(env)
        send(env, numbered(env, 100, PORT, 8972, step=911), gap=0.05)
        wait_for(lambda: xdp.seen()["frames"] >= 100, "frames at the program")
        time.sleep(0.3)
        results = [client.end() for client in made]
    for result in results:
        adds_up(result)
        equal(result["wrong"], 0, f"changed frames, of {result}")
    equal(sum(result["rx"] for result in results), 100, f"frames received, of {results}")


@case(120, nics=JUMBO, sample=PLAIN)
def jumbo_few_frames(env):
    """A process with few chunks gets none of them lost, however long what it receives."""
    large_mtu(env)
    xdp = several(env)
    count = 96
    with contextlib.ExitStack() as stack:
        made = clients(env, stack, mode(env), "-F", "-f", 2048, "-p", "--verify", "--chunks", count)
        # More than it can take.
        send(env, numbered(env, 2000, PORT, 8972, step=911))
        wait_for(lambda: xdp.seen()["frames"] > 0, "frames at the program")
        time.sleep(1)
        before = xdp.seen()["frames"]
        # And no more than that.
        for at in range(50):
            send(env, numbered(env, 2, PORT, 8972, first=10000 + 2 * at, step=911))
            wait_for(lambda: xdp.seen()["frames"] >= before + 2 * at + 2, "frames at the program")
            time.sleep(0.02)
        time.sleep(0.3)
        results = [client.end() for client in made]
    for result in results:
        adds_up(result, count)
        equal(result["wrong"], 0, f"changed frames, of {result}")
    lost = sum(result["rx_dropped"] + result["rx_ring_full"] for result in results)
    equal(sum(result["rx"] for result in results) + lost, xdp.seen()["frames"], f"frames, of {results}")
    check(sum(result["right"] for result in results) >= 100, f"frames, of {results}")
    wait_until_free()
    receive(env, xdp, mode(env), "-F", "-p", count=100, longest=8972, step=911)


@case(120, nics=JUMBO, sample=PLAIN)
def jumbo_single_buffer(env):
    """A program that works on frames in one buffer has those that fit there, wherever the device has put
    them; longer ones are lost and counted, and nothing else with them."""
    large_mtu(env, 3000)
    env.peer.ip(f"link set dev {env.peer.name} mtu 9000")
    xdp = ready(env)
    with contextlib.ExitStack() as stack:
        made = clients(env, stack, mode(env), "-F", "-f", 2048, "-p", "--fill-first", "--verify")
        dropped = env.dut.statistics()["rx_xdp_drops"]
        send(env, numbered(env, 99, PORT, 2972, step=911) + numbered(env, 1, PORT, 8000, first=5000) +
             numbered(env, 101, PORT, 2972, first=100, step=911), gap=0.05)
        wait_for(lambda: xdp.seen()["frames"] >= 200, "frames at the program", 20)
        time.sleep(0.3)
        equal(env.dut.statistics()["rx_xdp_drops"] - dropped, 1, "frames dropped")
        equal(xdp.seen()["frags"], 0, "frames over several buffers at the program")
        results = [client.end() for client in made]
    for result in results:
        adds_up(result)
        equal(result["wrong"], 0, f"changed frames, of {result}")
    equal(sum(result["right"] for result in results), 200, f"frames of {results}")
    env.ping()


@case(120, nics=JUMBO, sample=PLAIN)
def jumbo_changes(env):
    """Another MTU, longer frames than that, other ring sizes, down and up: a socket works on, also if its
    owner gives chunks twice; then it is killed, and the driver goes."""
    xdp = several(env)
    with contextlib.ExitStack() as stack:
        made = clients(env, stack, mode(env), "-F", "-p", "--verify")
        total = 0
        for change in ("none", "mtu", "longer", "rings", "down"):
            if change == "mtu":
                large_mtu(env)
            elif change == "longer":
                env.peer.ip(f"link set dev {env.peer.name} mtu 16000")
            elif change == "rings" and other_rings(env):
                env.dut.ethtool("-G", "rx", "64", "tx", "64")
            elif change == "down":
                env.dut.ip("link set dev dut down")
                env.dut.ip("link set dev dut up")
                env.dut.wait_carrier()
                env.dut.addresses()
                wait_for(env.reachable, "traffic")
            longest = {"none": 1472, "longer": 15972}.get(change, 8972)
            xdp.set(port=PORT)
            send(env, numbered(env, 100, PORT, longest, first=total, step=911), gap=0.1)
            total += 100
            wait_for(lambda: xdp.seen()["frames"] >= 100, f"frames at the program after {change}")
            time.sleep(0.3)
        results = [client.end() for client in made]
    for result in results:
        adds_up(result)
        equal(result["wrong"], 0, f"changed frames, of {result}")
    equal(sum(result["right"] for result in results), total, f"frames of {results}")
    for words in (("--twice", "-f", 2048), ("-l",), ("-f", 2048)):
        with contextlib.ExitStack() as stack:
            made = clients(env, stack, mode(env), "-F", "-p", *words)
            send(env, numbered(env, 300, PORT, 8972, step=911))
            if words == ("-f", 2048):
                env.dut.unbind()
            for client in made:
                client.kill()
        wait_until_free()
    env.dut.bind(env.driver)
    env.dut.configure()
    large_mtu(env)
    receive(env, several(env), mode(env), "-F", "-p", count=100, longest=8972, step=911)


@case(60, nics="*-small-*iommu_platform=on")
def chunks_below_mtu(env):
    """Ordinary frames over two chunks, where a device does not merge buffers."""
    xdp = several(env)
    for result in receive(env, xdp, mode(env), "-F", "-f", 2048, "-p", "--fill-first", step=911):
        if can(env):
            in_place(result, 2048, 1514)
    env.ping(size=1400)
    env.stream("recv", env.peer.ip4, 1 << 20)


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


def available():
    """Bytes of memory that anybody could have."""
    with open("/proc/meminfo") as file:
        return 1024 * next(int(line.split()[1]) for line in file if line.startswith("MemAvailable:"))


@case(90, nics=PLAIN)
def redirects_that_fail(env):
    """Frames that a program sends to a device that is down are dropped and counted, and cost no memory."""
    count, xdp = 8000, Xdp(env)
    with env.joined() as (va, _), Client(env, mode(env), "-r", "-p") as client:
        target = int(read("/sys/class/net/va/ifindex"))
        xdp.update("devices", 0, little(target, 4))
        va.ip("link set dev va down")
        for program in ("redirect", "devmap"):
            xdp.set(port=7777, target=target)
            xdp.attach(program, overwrite=True)
            before, dropped = available(), env.dut.statistics()["rx_drops"]
            burst = env.start(env.peer, "burst", env.dut.ip4, 7777, 10000000, 200, 100)
            wait_for(lambda: xdp.seen()["frames"] >= count, "frames at the program", 40)
            env.stop(burst)
            lost, frames = before - available(), xdp.seen()["frames"]
            check(lost < 1024 * frames, f"{program}: {lost} bytes lost with {frames} frames")
            if env.driver == "rust":
                check(env.dut.statistics()["rx_drops"] - dropped >= count, "frames that were dropped are counted")
        xdp.detach()
        adds_up(client.end())
    env.ping()


def use_napi(env, on):
    """Whether NAPI may be told to reclaim what was sent, or not to."""
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


def claims(env):
    """Whether the NIC says that it has zero-copy."""
    with env.dut.enter():
        return claims_zero_copy(socket.if_nametoindex(env.dut.name))


@case(60, nics="*-2q*-iommu_platform=on")
def memory_of_several_queues(env):
    """Sockets on several queues share memory: each sends of it and receives into it what is its own, also
    when the one that brought it has gone."""
    frames = numbered(env, 16, PORT, flows=16)
    # Other flows: one is received by the queue that has sent it.
    back = [frame[6:12] + frame[:6] + frame[12:] for frame in numbered(env, 16, PORT + 1)]
    xdp = ready(env)
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(contextlib.closing(Socket(env.dut)))
        first.bind()
        second = stack.enter_context(contextlib.closing(Socket(env.dut, queue=1, shares=first)))
        second.bind()
        each = {first: range(0, 16), second: range(16, 32)}
        sent = {}

        def send_by(made, some):
            sent.setdefault(made, [])
            for index in some:
                data = back[index % 16]
                made.memory[CHUNK * index:CHUNK * index + len(data)] = data
                sent[made].append((CHUNK * index, len(data), 0))
            made.send(sent[made])
            wait_for(lambda: len(made.completed()) == len(sent[made]), "all come back")
            equal(sorted(made.completed()), sorted(address for address, _, _ in sent[made]), "addresses")

        with Capture(env.peer) as capture:
            for made, chunks in each.items():
                send_by(made, chunks)
            test_xdp.same(test_xdp.meant(capture.frames(quiet=1), PORT + 1), 2 * back)
        with Map(f"{PLACE}-maps/sockets") as sockets:
            for made in each:
                sockets.update(made.queue, made.socket.fileno())
            for made, base in (first, 32), (second, 48):
                made.fill([CHUNK * index for index in range(base, base + 16)])
                # Nothing new: the call has the queue looked after.
                made.send(sent[made])
            send(env, frames)
            wait_for(lambda: sum(len(made.received()) for made in each) == len(frames), "all frames are received")
        for made, base in (first, 32), (second, 48):
            chunks = [address // CHUNK for address, _ in made.received()]
            check(chunks and set(chunks) <= set(range(base, base + 16)), f"queue {made.queue}: chunks {chunks}")
        test_xdp.same([data for made in each for _, data in made.received()], frames)
        first.close()
        with Capture(env.peer) as capture:
            send_by(second, range(8))
            test_xdp.same(test_xdp.meant(capture.frames(quiet=1), PORT + 1), back[:8])
    wait_until_free()
    xdp.detach()
    env.ping()


@case(60, nics=ZERO_COPY, sample=PLAIN)
def without_transmit_napi(env):
    """Where NAPI does not reclaim what was sent, a process is refused or served; and NAPI stays while
    there is one."""
    equal(claims(env), can(env) or env.driver == "c", "claim of zero-copy")
    with env.dut.enter(), Changes() as changes:
        env.dut.ip("link set dev dut down")
        env.dut.ethtool("-C", "tx-frames", "0")
        equal(changes.zero_copy_of(socket.if_nametoindex(env.dut.name)), [False] if can(env) else [],
              "claims that were announced")
    check(use_napi(env, False), "transmit NAPI cannot be turned off")
    equal(claims(env), False, "claim of zero-copy without transmit NAPI")
    client = Client(env, mode(env), "-t", "--hold", mapped=False)
    if client.zero_copy is None:
        check(f"os error {EOPNOTSUPP}" in client.error, client.error)
    else:
        client.end()
        transmit(env, mode(env))
    check(use_napi(env, True), "transmit NAPI cannot be turned on")
    with Client(env, mode(env), "-t", "--hold", mapped=False) as client:
        check(not use_napi(env, False), "transmit NAPI can be turned off while a socket is bound")
        adds_up(client.end())
    transmit(env, mode(env))


@case(90, nics=JUMBO, sample=PLAIN)
def jumbo_with_napi_later(env):
    """A driver that came without transmit NAPI has all of zero-copy once that is switched on."""
    try:
        env.reload("napi_tx=0")
        check(not claims(env), "zero-copy is claimed without transmit NAPI")
        check(use_napi(env, True), "transmit NAPI cannot be turned on")
        large_mtu(env)
        transmit(env, mode(env), "-F", count=60, size=9014)
    finally:
        env.reload()


@case(60, nics="modern-split-mergeable-1q")
def without_iommu_platform(env):
    """A device that does without the DMA API serves, or refuses with a reason."""
    client = Client(env, "-z", "--hold", mapped=False)
    equal(bool(client.zero_copy), can(env), f"zero-copy ({client.error!r})")
    if not client.zero_copy:
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


def counted(env, side, action, count, length):
    """The action's frames, of so many bytes in all, are each counted once for the device and once for queue 0.
    The stack has a few of its own meanwhile, in any queue."""
    def now():
        total, queues = env.dut.counters(), env.dut.queue_counters()
        return [(total[f"{side}_{unit}"], queues.get((side, 0, unit), 0)) for unit in ("packets", "bytes")]

    before = now()
    action()
    for unit, meant, few, *pairs in zip(("packets", "bytes"), (count, length), (12, 12 * 128), before, now()):
        (device, queue), (later, queue_later) = pairs
        for what, change in (("the device", later - device), ("queue 0", queue_later - queue)):
            check(meant <= change <= meant + few, f"{side} {unit} of {what}: {change} for {meant}")


@case(60, nics=ZERO_COPY, sample=BOTH)
def counts(env):
    """Every frame that a process sends or receives is counted, once, and its bytes without the header."""
    one_queue(env)
    xdp = ready(env)
    frames = numbered(env, 250, PORT)
    counted(env, "rx", lambda: receive(env, xdp, mode(env), "-p"), 250, sum(map(len, frames)))
    counted(env, "tx", lambda: transmit(env, mode(env), count=500, size=300), 500, 500 * 300)


@case(60, nics=ZERO_COPY, sample=BOTH)
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


@case(90, nics=ZERO_COPY, sample=BOTH)
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


@case(60, nics="*hash=on*")
def hashes_within(env):
    """Packets of the stack from a queue that is bound have the device's hash, and programs are told of it."""
    ready(env)
    with contextlib.ExitStack() as stack:
        made = clients(env, stack, mode(env), "-p", "--verify")
        test_hash.hash_report(env)
        env.dut.command("bpftool", "net", "detach", "xdpdrv", "dev", env.dut.name)
        test_xdp.hashes(env)
        for client in made:
            adds_up(client.end())


@case(90, nics="*-mergeable-*iommu_platform=on*", sample="*-mergeable-1q-iommu_platform=on")
def large_packets_within(env):
    """Packets that are to be cut into segments get to the stack as they came from a queue that is bound,
    and in large ones: with and without a program that passes them."""
    xdp = several(env)

    def segments():
        before = env.dut.counters()
        env.stream("recv", env.peer.ip4, 4 << 20)
        after = env.dut.counters()
        return (after["rx_bytes"] - before["rx_bytes"]) / (after["rx_packets"] - before["rx_packets"])

    with contextlib.ExitStack() as stack:
        made = clients(env, stack, mode(env), "-F", "-p", "--verify")
        size = segments()
        if env.driver == "rust":
            check(size > 3000, f"{size:.0f} bytes a packet with a program")
        xdp.detach()
        size = segments()
        check(size > 3000, f"{size:.0f} bytes a packet without a program")
        for client in made:
            adds_up(client.end())


@case(90, nics=ZERO_COPY, sample=BOTH)
def changes_while_bound(env):
    """Down and up, other ring sizes and other programs: a socket works on."""
    one_queue(env)
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
            elif change == ("rings",) and other_rings(env):
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


@case(90, nics=ZERO_COPY, sample=PLAIN + "*")
def driver_goes(env):
    """The driver goes from under a socket, or the whole module, and the device from its slot: all is free, and it
    can come back."""
    ready(env)
    log = Log()
    unbound, *others = env.dut.departures(env.driver)
    others.append((lambda: env.modules.unload(env.driver), env.fresh))
    turns = [(words, unbound) for words in (("-r",), ("-t", "-G", env.peer.mac), ("-l", "-p"))]
    turns += [(("-l", "-p"), way) for way in others]
    for words, (leave, come_back) in turns:
        with Client(env, mode(env), *words) as client:
            send(env, numbered(env, 50, PORT))
            leave()
            client.kill()
        wait_for(lambda: pinned() == 0, "the memory of a socket is free")
        come_back()
        ready(env)
    said = log.new("did not come back")
    check(not said, f"a device that goes is said to keep a queue: {said}")
    env.ping()
    xdp = ready(env)
    receive(env, xdp, mode(env), "-p", count=100)
