# SPDX-License-Identifier: GPL-2.0
"""The wire between a guest's NICs: one tap for each, with vnet headers, on a
bridge that never learns, all in the runner's private network namespace."""

import os
import subprocess

BRIDGE = "vnrbr"
# The largest MTU of a tap; a guest may use less.
MTU = 65521
# A wire sends no frames of its own, as IPv6 does, and looks into none, as the host's
# netfilter does on bridges where that is loaded: it drops IP headers that are wrong.
KNOBS = {f"ipv6/conf/{name}/disable_ipv6": "1" for name in ("default", "all")}
KNOBS |= {f"bridge/bridge-nf-call-{name}": "0" for name in ("iptables", "ip6tables", "arptables")}
# Frames that a cable between two NICs of a guest keeps (datagrams).
KNOBS |= {"unix/max_dgram_qlen": "512"}


class NetworkError(Exception):
    pass


def _ip(batch):
    done = subprocess.run(["ip", "-batch", "-"], input=batch, text=True,
                          capture_output=True, timeout=20)
    if done.returncode:
        raise NetworkError(
            f"cannot set up the test network: {done.stderr.strip()}\n"
            "It needs a private network namespace with bridges and taps: run as root, or allow\n"
            "unprivileged user namespaces, and load the modules: modprobe -a tun bridge")


def require_private():
    """Refuse to touch the machine's own network."""
    if os.readlink("/proc/thread-self/ns/net") == os.environ.get("VNR_HOST_NETNS"):
        raise NetworkError("the runner is in the host's network namespace; start it by test.sh")
    if not os.path.exists("/dev/net/tun"):
        raise NetworkError("/dev/net/tun is missing: load the module (modprobe tun), or, in a\n"
                           "container, pass the device in (--device /dev/net/tun)")
    try:
        os.close(os.open("/dev/net/tun", os.O_RDWR))
    except OSError as error:
        raise NetworkError(f"/dev/net/tun does not open: {error.strerror}; load the module "
                           "(modprobe tun) or let this user open the device") from error


def of_one_guest():
    """Give the calling thread, and what it starts, a network of its own."""
    try:
        os.unshare(os.CLONE_NEWNET)
    except OSError as error:
        raise NetworkError(f"cannot have a network namespace for a guest: {error.strerror}") from error


class Wire:
    """Context: taps `names` (name, queues) on one bridge."""

    def __init__(self, taps):
        self.taps = taps

    def __enter__(self):
        require_private()
        for knob, value in KNOBS.items():
            try:
                with open(f"/proc/sys/net/{knob}", "w") as file:
                    file.write(value)
            except OSError:
                pass  # there is no such thing here, or /proc is read-only
        _ip("link set lo up\n"
            f"link add {BRIDGE} type bridge ageing_time 0 mcast_snooping 0 stp_state 0 "
            "forward_delay 0\n")
        try:
            for name, queues in self.taps:
                multi = "multi_queue " if queues > 1 else ""
                _ip(f"tuntap add name {name} mode tap vnet_hdr {multi}\n"
                    f"link set dev {name} mtu {MTU} master {BRIDGE} up\n")
            _ip(f"link set dev {BRIDGE} mtu {MTU} up\n")
        except NetworkError:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for name in [tap for tap, _ in self.taps] + [BRIDGE]:
            subprocess.run(["ip", "link", "del", name], capture_output=True, timeout=20)

    def drops(self):
        """What the host itself lost, by tap: {name: (rx_dropped, tx_dropped)}."""
        found = {}
        for name, _ in self.taps:
            # /sys shows the namespace that mounted it; this file shows this thread's.
            with open("/proc/thread-self/net/dev") as file:
                for line in file:
                    if line.strip().startswith(name + ":"):
                        fields = line.split(":")[1].split()
                        found[name] = (int(fields[3]), int(fields[11]))
        return found
