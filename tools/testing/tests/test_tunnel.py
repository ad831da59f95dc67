# SPDX-License-Identifier: GPL-2.0
"""Segmentation inside UDP tunnels: VXLAN between the two NICs."""

from vnrtest import case, check, equal

ORDER = 48
# No large packets towards the guest: QEMU 11.1 leaves the offsets of the inner and outer
# headers out when it passes one on, and every correct driver drops that.
OFF = "guest_tunnel=off,guest_tunnel_csum=off"
PARAMS = [f"{OFF},packed=on"]
FULL_PARAMS = [*PARAMS, OFF, f"{OFF},mode=big"]
LENGTH = 3 << 20
SEND, CSUM = "tx-udp_tnl-segmentation", "tx-udp_tnl-csum-segmentation"


def tunnel(env, *options):
    """A VXLAN device on each NIC; the addresses of the peer's end, IPv4 and IPv6."""
    for near, far, last in ((env.dut, env.peer, 1), (env.peer, env.dut, 2)):
        near.ip("link del vx0", check=False)
        near.ip(f"link add vx0 type vxlan id 42 local {near.ip4} remote {far.ip4} dstport 4789 "
                f"dev {near.name}", *options)
        near.ip(f"addr add 198.51.100.{last}/24 dev vx0")
        near.ip(f"addr add 2001:db8:1::{last}/64 dev vx0 nodad")
        near.ip("link set dev vx0 up")
    return "198.51.100.2", "2001:db8:1::2"


def average(env, address, direction="send"):
    """Bytes of the packets that the device under test is given, or gives, for a stream."""
    side = {"send": "tx", "recv": "rx"}[direction]
    before = env.dut.counters()
    env.stream(direction, address, LENGTH)
    after = env.dut.counters()
    packets, size = (after[f"{side}_{key}"] - before[f"{side}_{key}"] for key in ("packets", "bytes"))
    check(size >= LENGTH, f"{size} bytes for a stream of {LENGTH}")
    return size / packets


@case(60)
def large_packets(env):
    """Streams through the tunnel are intact, and leave in large packets."""
    env.need("HOST_UDP_TUNNEL_GSO", why="the host's tap does not segment inside tunnels")
    equal(env.dut.features()[SEND], (True, True), "segmentation in tunnels")
    equal(env.dut.features()[CSUM][0], env.dut.negotiated("HOST_UDP_TUNNEL_GSO_CSUM"),
          "segmentation with outer checksum")
    for options in ("noudpcsum", "udpcsum"):
        for address in tunnel(env, options):
            env.ping(address)
            size = average(env, address)
            check(size > 3000, f"{options}, {address}: {size:.0f} bytes a packet")
            env.stream("recv", address, 1 << 20)
            env.echo("udp", address, 1, 4000, 777)


@case(40)
def switched_off(env):
    """Without the offload, the stack segments: no packet is longer than the MTU."""
    tunnel(env, "udpcsum")
    env.dut.ethtool("-K", SEND, "off", CSUM, "off")
    size = average(env, "198.51.100.2")
    check(size <= 1514, f"{size:.0f} bytes a packet")
