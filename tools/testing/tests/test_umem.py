# SPDX-License-Identifier: GPL-2.0
"""Where the frames of AF_XDP sockets are: whatever happens, all come back."""

import contextlib
import random
import time
from collections import Counter

import test_xdp
from bind import CHUNK, Socket
from bpf_link import Map
from packet import Capture
from test_afxdp import PORT, large_mtu, other_rings, ready, several
from test_suspend import function_reset
from vnrtest import Failed, case, check, equal, wait_for
from xdp import PLACE, Xdp
from xsk import Client, Traffic, adds_up, anywhere, mode, numbered, pinned, queues

ORDER = 59
PARAMS = ["iommu_platform=on", "packed=on,queues=2,iommu_platform=on", "mode=small,iommu_platform=on",
          "queue_reset=off,queues=2,iommu_platform=on", "tx=timer,x-txtimer=200000000,iommu_platform=on",
          "device=model,queues=2,iommu_platform=on"]
FULL_PARAMS = [*PARAMS, "in_order=on,queue_reset=off,queues=4,iommu_platform=on",
               "packed=on,in_order=on,queue_reset=off,iommu_platform=on",
               "packed=on,mode=small,queues=4,iommu_platform=on", "packed=on,queue_reset=off,iommu_platform=on"]
# The other end of the memory of two devices.
PEER = "iommu_platform=on"
SLOW, OTHERS = "*-tx=timer*", "*[nf]"
ROUNDS, FULL_ROUNDS = 12, 1000
KINDS = (("-r",), ("-t",), ("-l",))
WAYS = ((), ("-p",), ("-B",), ("-m", "-p"))
CHUNKS = ((), ("-u",), ("-f", 2048), ("-u", "-f", 2048))


def traffic(env, longest=1472):
    """Frames from the peer, some for sockets, some for the stack, by all queues, until the end; a context."""
    return Traffic(env, numbered(env, 40, PORT, longest, step=911, flows=16),
                   numbered(env, 10, PORT + 1, longest, step=911))


def change(env, what, chance, xdp, client, frags):
    """What happens to a socket that is bound."""
    if what == "down":
        env.dut.ip("link set dev dut down")
        env.dut.ip("link set dev dut up")
    elif what == "rings" and other_rings(env):
        env.dut.ethtool("-G", *(str(word) for name in ("rx", "tx") for word in (name, chance.choice((64, 128, 256)))))
    elif what == "program":
        xdp.detach()
        xdp.attach("socket", frags)
    elif what == "reset" and env.driver == "rust" and env.dut.port is not None:
        # C does not hear of it, and no other device has it.
        function_reset(env)
    elif what == "kill":
        client.kill()
    elif what == "unbind":
        env.dut.unbind()


def sockets(env, rounds, prepare, frags=False, longest=1472):
    """Sockets of all kinds, by turns, with traffic, and with what may happen meanwhile."""
    seed = env.job["seed"]
    chance = random.Random(seed)
    if env.driver == "c" and env.dut.port is not None:
        # Its header for frames of processes may be where the model has no memory.
        env.model.holes_are_zeros()
    kinds_of_chunks = CHUNKS if anywhere() else CHUNKS[::2]
    xdp = prepare(env)
    # Of sockets that came to an orderly end.
    ended, moved = Counter(), Counter()
    for number in range(FULL_ROUNDS if env.full else rounds):
        words = (mode(env), *chance.choice(KINDS), *chance.choice(WAYS), *chance.choice(kinds_of_chunks),
                 *(["-F"] if frags else []), "-G", env.peer.mac,
                 "-b", chance.choice((1, 8, 64)), "-T", 1000)
        what = chance.choice(("nothing", "down", "rings", "program", "reset", "kill", "unbind"))
        queue = chance.choice(queues(env))
        told = f"round {number} of seed {seed}: {words}, {what}"
        with traffic(env, longest):
            with Client(env, *words, queue=queue) as client:
                time.sleep(chance.random() * 0.2)
                change(env, what, chance, xdp, client, frags)
                if what not in ("kill", "unbind"):
                    try:
                        result = client.end()
                        adds_up(result)
                        ended[words[1]] += 1
                        moved.update({key: result[key] for key in ("rx", "tx")})
                    except Failed as error:
                        raise Failed(f"{told}: {error}") from error
            client.kill()
        wait_for(lambda: pinned() == 0, f"all memory is free after {told}")
        if what == "unbind":
            env.dut.bind(env.driver)
            env.dut.configure()
            xdp = prepare(env)
    # Few may have had no time to.
    check(moved["rx"] or ended["-r"] + ended["-l"] < 3, f"no socket received anything, of {ended}")
    check(moved["tx"] or ended["-t"] < 2, f"no socket sent anything, of {ended}")
    wait_for(env.reachable, "traffic")
    env.ping()
    check(pinned() == 0, "memory is pinned")


@case(200, nics=OTHERS, full=3600)
def all_come_back(env):
    """All do that receive frames in one chunk."""
    sockets(env, ROUNDS, ready)


@case(200, nics="*-mergeable-*iommu_platform=o*[nf]", full=3600)
def long_ones_come_back(env):
    """All do that receive frames over several chunks."""
    def prepare(env):
        large_mtu(env)
        return several(env)

    sockets(env, ROUNDS // 2, prepare, frags=True, longest=8972)


@case(60, nics="*-split-mergeable-1q-iommu_platform=on")
def memory_of_several_devices(env):
    """Sockets on two devices, one of this driver and one of the other, share memory: what one sends of it the
    other receives into it, both ways, also when the one that brought it has gone."""
    meant = {env.dut: numbered(env, 16, PORT)}
    meant[env.peer] = [frame[6:12] + frame[:6] + frame[12:] for frame in meant[env.dut]]
    programs = [Xdp(env, nic) for nic in meant]
    programs[0].set(port=PORT)
    for program in programs:
        program.attach("socket", overwrite=True)
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(contextlib.closing(Socket(env.dut)))
        first.bind()
        with env.peer.enter():
            second = stack.enter_context(contextlib.closing(Socket(env.peer, shares=first)))
        second.bind()
        sockets = stack.enter_context(Map(f"{PLACE}-maps/sockets"))
        sent = {first: [], second: []}
        for (sender, receiver, frames), base in zip(((second, first, meant[env.dut]), (first, second, meant[env.peer])),
                                                    (0, 16)):
            sockets.update(0, receiver.socket.fileno())
            receiver.fill([CHUNK * index for index in range(base + 32, base + 48)])
            # Nothing new: the call has the queue looked after.
            receiver.send(sent[receiver])
            sent[sender] = [(CHUNK * (base + index), len(frame), 0) for index, frame in enumerate(frames)]
            for (at, length, _), frame in zip(sent[sender], frames):
                sender.memory[at:at + length] = frame
            sender.send(sent[sender])
            wait_for(lambda: len(receiver.received()) == len(frames), "all frames are received")
            test_xdp.same([data for _, data in receiver.received()], frames)
            chunks = {address // CHUNK for address, _ in receiver.received()}
            check(chunks <= set(range(base + 32, base + 48)), f"chunks {chunks}")
            wait_for(lambda: len(sender.completed()) == len(frames), "all come back")
            equal(sorted(sender.completed()), [at for at, _, _ in sent[sender]], "addresses")
        first.close()
        programs[0].detach()
        with Capture(env.dut) as capture:
            second.send(2 * sent[second])
            wait_for(lambda: len(second.completed()) == 2 * len(sent[second]), "all come back")
            test_xdp.same(test_xdp.meant(capture.frames(quiet=1)), meant[env.dut])


@case(60, nics=SLOW)
def idle_stack(env):
    """A process that keeps the ring of a slow device full, while the stack has nothing to send, does
    not make a stuck queue of it."""
    before = env.dut.statistics()["tx_tx_timeouts"]
    # The watchdog's time, and more, since the stack has sent anything.
    env.dut.ip("addr flush dev dut")
    env.dut.command("sysctl", "-qw", "net.ipv6.conf.dut.disable_ipv6=1")
    time.sleep(6)
    with Client(env, mode(env), "-t", "-d", 8, "-G", env.peer.mac, mapped=False) as client:
        result = client.finish(40)
    adds_up(result)
    check(result["tx"] > 256, f"frames sent: {result}")
    equal(env.dut.statistics()["tx_tx_timeouts"], before, "times that the watchdog barked")
