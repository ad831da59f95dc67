# SPDX-License-Identifier: GPL-2.0
"""Large packets inside UDP tunnels that come from the device: the model passes on what the peer
sends."""

from nic import read
from packet import NEEDS_CSUM, Capture, Frame
from test_tunnel import average, tunnel
from vnrtest import case, check, equal, wait_for
from xdp import Xdp

ORDER = 48
BITS = ",".join(f"{side}_udp_tunnel_gso{csum}=on" for side in ("guest", "host") for csum in ("", "_csum"))
PARAMS = [f"device=model,{BITS}"]
FULL_PARAMS = [*PARAMS, f"device=model,packed=on,{BITS}", f"device=model,mode=big,{BITS}"]
PEER = BITS
VXLAN = 4789
# What is around a frame in a tunnel over IPv4.
OUTER = 14 + 20 + 8 + 8


@case(90)
def large_packets(env):
    """Streams through the tunnel come in large packets, and are intact."""
    for feature in ("GUEST_UDP_TUNNEL_GSO", "GUEST_UDP_TUNNEL_GSO_CSUM"):
        check(env.dut.negotiated(feature), f"without {feature}")
    for options in ("noudpcsum", "udpcsum"):
        for address in tunnel(env, options):
            env.ping(address)
            before = env.dut.counters()
            size = average(env, address, "recv")
            check(size > 3000, f"{options}, {address}: {size:.0f} bytes a packet")
            after = env.dut.counters()
            for key in ("rx_errors", "rx_frame_errors", "rx_dropped"):
                equal(after[key] - before[key], 0, key)
            env.echo("udp", address, 1, 4000, 777)


@case(60)
def redirected(env):
    """A program sends them elsewhere, whole: both checksums are complete."""
    tunnel(env, "udpcsum")
    env.serve_dut()
    xdp = Xdp(env)
    with env.joined() as (va, vb):
        for nic in (va, vb):
            nic.ip(f"link set dev {nic.name} mtu 65535")
        xdp.set(port=VXLAN, target=int(read("/sys/class/net/va/ifindex")))
        before = env.dut.counters()["rx_bytes"]
        stream = env.start(env.peer, "stream", "send", "198.51.100.1", 7777, 1 << 30)
        wait_for(lambda: env.dut.counters()["rx_bytes"] > before + (4 << 20), "a stream")
        with Capture(vb) as capture:
            xdp.attach("redirect", frags=True)
            got = [frame for frame in capture.frames(quiet=1) if not frame.outgoing]
        stream.kill()
        stream.communicate()
        xdp.detach()
    tunnelled = [(frame, Frame(0, 0, 0, False, frame.data[OUTER:])) for frame in got
                 if frame.ports() and frame.ports()[1] == VXLAN]
    check(any(len(frame.data) > 2000 for frame, _ in tunnelled),
          f"no large ones: {[len(frame.data) for frame, _ in tunnelled]}")
    for frame, inner in tunnelled:
        equal(frame.flags & NEEDS_CSUM, 0, "what is left to be done")
        check(frame.checksum_right(), f"outer checksum of {len(frame.data)} bytes")
        # The peer's kernel has other things to say too, as which groups it listens to.
        if inner.ports():
            check(inner.checksum_right(), f"inner checksum of {len(frame.data)} bytes")
