# SPDX-License-Identifier: GPL-2.0
"""The host end of the taps: TCP streams to and from the guest.

Runs in a network namespace of its own, made by unshare, that ends with the
benchmark; nothing of the host's network is touched.
"""

import fcntl
import os
import socket
import struct
import subprocess
import threading

# Of the NICs that have one, by their names in scenarios.py.
TAPS = {"tap": "vnrbench", "tx4": "vnrbench4"}
QUEUES = {"tx4": 4}
ADDRESS = "10.0.2.1"
PORT = 5001
TUNSETIFF = 0x400454CA
TUNSETPERSIST = 0x400454CB
IFF_TAP, IFF_NO_PI, IFF_VNET_HDR, IFF_MULTI_QUEUE = 0x0002, 0x1000, 0x4000, 0x0100
CHUNK = 1 << 18


class PeerError(Exception):
    """No tap can be had; the text says what to do."""


def make_tap(nic):
    """The tap that QEMU opens by name, up; that of the TCP streams is addressed."""
    name = TAPS[nic]
    try:
        fd = os.open("/dev/net/tun", os.O_RDWR)
        flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR
        if QUEUES.get(nic, 1) > 1:
            flags |= IFF_MULTI_QUEUE
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
        fcntl.ioctl(fd, TUNSETPERSIST, 1)
        os.close(fd)
    except OSError as error:
        raise PeerError(
            f"no tap: {error}; TCP and multi-queue scenarios need /dev/net/tun readable and "
            "writable (modprobe tun; chmod 666 /dev/net/tun); B=udp-rx,udp-tx,pktgen-tx does without"
        ) from error
    commands = [
        "ip link set lo up",
        f"sysctl -qw net.ipv6.conf.{name}.disable_ipv6=1",
    ]
    if nic == "tap":
        commands += [
            # As in the guest: full segments, whatever the load.
            "sysctl -qw net.ipv4.tcp_min_tso_segs=44",
            f"ip addr add {ADDRESS}/24 dev {name}",
        ]
    for command in [*commands, f"ip link set {name} up"]:
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
