# SPDX-License-Identifier: GPL-2.0
"""The host end of the tap: TCP streams to and from the guest.

Runs in a network namespace of its own, made by unshare, that ends with the
benchmark; nothing of the host's network is touched.
"""

import fcntl
import os
import socket
import struct
import subprocess
import threading

IFNAME = "vnrbench"
ADDRESS = "10.0.2.1"
PORT = 5001
TUNSETIFF = 0x400454CA
TUNSETPERSIST = 0x400454CB
IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x0002, 0x1000, 0x4000
CHUNK = 1 << 18


class PeerError(Exception):
    """No tap can be had; the text says what to do."""


def make_tap():
    """The tap that QEMU opens by name, up and addressed."""
    try:
        fd = os.open("/dev/net/tun", os.O_RDWR)
        flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", IFNAME.encode(), flags))
        fcntl.ioctl(fd, TUNSETPERSIST, 1)
        os.close(fd)
    except OSError as error:
        raise PeerError(
            f"no tap: {error}; TCP scenarios need /dev/net/tun readable and writable "
            "(modprobe tun; chmod 666 /dev/net/tun); B=udp-rx,udp-tx,pktgen-tx does without"
        ) from error
    for command in (
        "ip link set lo up",
        # As in the guest: full segments, whatever the load.
        "sysctl -qw net.ipv4.tcp_min_tso_segs=44",
        f"sysctl -qw net.ipv6.conf.{IFNAME}.disable_ipv6=1",
        f"ip addr add {ADDRESS}/24 dev {IFNAME}",
        f"ip link set {IFNAME} up",
    ):
        subprocess.run(command.split(), check=True)


def serve():
    """Starts the server in the background."""
    listener = socket.create_server((ADDRESS, PORT))
    threading.Thread(target=accept_loop, args=(listener,), daemon=True).start()


def accept_loop(listener):
    while True:
        sock, _ = listener.accept()
        threading.Thread(target=stream, args=(sock,), daemon=True).start()


def stream(sock):
    """One connection: a line "to-peer|from-peer WARM BYTES", then both parts."""
    with sock, sock.makefile("rb", buffering=0) as reader:
        direction, *amounts = reader.readline().split()
        try:
            for amount in map(int, amounts):
                if direction == b"to-peer":
                    read_all(sock, amount)
                    sock.sendall(b"d")
                elif sock.recv(1):
                    send_all(sock, amount)
        except ConnectionError:
            pass


def read_all(sock, amount):
    buffer = bytearray(CHUNK)
    while amount:
        got = sock.recv_into(buffer, min(CHUNK, amount))
        if not got:
            raise ConnectionError
        amount -= got


def send_all(sock, amount):
    data = memoryview(bytes(CHUNK))
    while amount:
        amount -= sock.send(data[: min(CHUNK, amount)])
