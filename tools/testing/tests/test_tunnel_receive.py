# SPDX-License-Identifier: GPL-2.0
"""Large packets inside UDP tunnels that come from the device: the model passes on what the peer
sends."""

from test_tunnel import average, tunnel
from vnrtest import case, check, equal

ORDER = 48
BITS = ",".join(f"{side}_udp_tunnel_gso{csum}=on" for side in ("guest", "host") for csum in ("", "_csum"))
PARAMS = [f"device=model,{BITS}"]
FULL_PARAMS = [*PARAMS, f"device=model,packed=on,{BITS}", f"device=model,mode=big,{BITS}"]
PEER = BITS


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
