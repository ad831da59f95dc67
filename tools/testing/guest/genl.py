# SPDX-License-Identifier: GPL-2.0
"""What the kernel's "netdev" generic netlink family tells: page pools, queues."""

import os
import socket
import struct

NETLINK_GENERIC, CTRL_ID, CTRL_GETFAMILY = 16, 16, 3
NLM_F_REQUEST, NLM_F_DUMP = 1, 0x300
NLMSG_ERROR, NLMSG_DONE = 2, 3
FAMILY_ID, FAMILY_NAME, MCAST_GROUPS = 1, 2, 7
GROUP_NAME, GROUP_ID = 1, 2
SOL_NETLINK, NETLINK_ADD_MEMBERSHIP = 270, 1
DEV_GET, DEV_IFINDEX, DEV_XDP_FEATURES, DEV_XSK_FEATURES = 1, 1, 3, 6
XSK_ZEROCOPY = 8
DEV_CHANGE_NTF = 4
XSK_FEATURES = {1: "tx-timestamp", 2: "tx-checksum", 4: "tx-launch-time-fifo"}
PAGE_POOL_GET = 5
PAGE_POOL_STATS_GET, STATS_INFO = 9, 1
QSTATS_GET, QSTATS_IFINDEX, QSTATS_QUEUE_ID, QSTATS_SCOPE, SCOPE_QUEUE = 12, 1, 3, 4, 1
QSTATS = dict(enumerate(
    [(side, what) for side in ("rx", "tx") for what in ("packets", "bytes")]
    + [("rx", what) for what in (
        "alloc_fail", "hw_drops", "hw_drop_overruns", "csum_complete", "csum_unnecessary",
        "csum_none", "csum_bad", "hw_gro_packets", "hw_gro_bytes", "hw_gro_wire_packets",
        "hw_gro_wire_bytes", "hw_drop_ratelimits")]
    + [("tx", what) for what in (
        "hw_drops", "hw_drop_errors", "csum_none", "needs_csum", "hw_gso_packets", "hw_gso_bytes",
        "hw_gso_wire_packets", "hw_gso_wire_bytes", "hw_drop_ratelimits", "stop", "wake")], 8))
POOL = {1: "id", 2: "ifindex", 3: "napi_id", 4: "inflight", 5: "inflight_mem", 6: "detach_time"}


def _attribute(kind, payload):
    size = 4 + len(payload)
    return struct.pack("=HH", size, kind) + payload + bytes(-size % 4)


def _attributes(data):
    found = {}
    while len(data) >= 4:
        size, kind = struct.unpack_from("=HH", data)
        found[kind & 0x3FFF] = data[4:size]
        data = data[(size + 3) & ~3:]
    return found


def _request(link, family, command, flags, payload=b""):
    """Send one message; yield the attributes of each answer."""
    body = struct.pack("=BBH", command, 1, 0) + payload
    link.send(struct.pack("=IHHII", 16 + len(body), family, NLM_F_REQUEST | flags, 1, 0) + body)
    while True:
        data = link.recv(65536)
        while data:
            size, kind = struct.unpack_from("=IH", data)
            if kind == NLMSG_DONE:
                return
            if kind == NLMSG_ERROR:
                code = struct.unpack_from("=i", data, 16)[0]
                if code:
                    raise OSError(-code, os.strerror(-code))
                return
            yield _attributes(data[20:size])
            data = data[(size + 3) & ~3:]
        if not flags & NLM_F_DUMP:
            return


def _dump(command, payload=b""):
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_GENERIC) as link:
        link.settimeout(5)
        name = _attribute(FAMILY_NAME, b"netdev\0")
        answer = next(_request(link, CTRL_ID, CTRL_GETFAMILY, 0, name))
        family = struct.unpack("=H", answer[FAMILY_ID])[0]
        yield from _request(link, family, command, NLM_F_DUMP, payload)


def _number(value):
    return int.from_bytes(value, "little")


def _device(ifindex):
    return next(device for device in _dump(DEV_GET) if _number(device[DEV_IFINDEX]) == ifindex)


def claims_zero_copy(ifindex):
    """Whether a netdev says that AF_XDP sockets can have its queues."""
    return _zero_copy(_device(ifindex))


def _zero_copy(device):
    return bool(_number(device[DEV_XDP_FEATURES]) & XSK_ZEROCOPY)


def _xsk_features(device):
    bits = _number(device.get(DEV_XSK_FEATURES, b""))
    return {name for bit, name in XSK_FEATURES.items() if bits & bit}


def xsk_features(ifindex):
    """What a netdev says that it does for frames of AF_XDP sockets."""
    return _xsk_features(_device(ifindex))


class Changes:
    """What is announced of netdevs from now on; a context."""

    def __enter__(self):
        self.link = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_GENERIC)
        answer = next(_request(self.link, CTRL_ID, CTRL_GETFAMILY, 0, _attribute(FAMILY_NAME, b"netdev\0")))
        groups = [_attributes(group) for group in _attributes(answer[MCAST_GROUPS]).values()]
        number = next(_number(group[GROUP_ID]) for group in groups if group[GROUP_NAME] == b"mgmt\0")
        self.link.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, number)
        self.link.settimeout(1)
        return self

    def of(self, ifindex):
        """The features for AF_XDP of a netdev, as often as it was said to have changed."""
        return [_xsk_features(device) for device in self._said(ifindex)]

    def zero_copy_of(self, ifindex):
        """Whether it claims zero-copy, likewise."""
        return [_zero_copy(device) for device in self._said(ifindex)]

    def _said(self, ifindex):
        found = []
        try:
            while True:
                data = self.link.recv(65536)
                device = _attributes(data[20:])
                if data[16] == DEV_CHANGE_NTF and _number(device[DEV_IFINDEX]) == ifindex:
                    found.append(device)
        except TimeoutError:
            return found

    def __exit__(self, *_):
        self.link.close()


def page_pools():
    """[{"id", "ifindex", "inflight", "detach_time", ...}] of this thread's namespace."""
    return [{POOL[kind]: _number(value) for kind, value in pool.items() if kind in POOL}
            for pool in _dump(PAGE_POOL_GET)]


def page_pool_statistics(ifindex):
    """{pool: pages that it allocated in any way} of a netdev's page pools."""
    found = {}
    for answer in _dump(PAGE_POOL_STATS_GET):
        pool = {POOL.get(kind): _number(value)
                for kind, value in _attributes(answer[STATS_INFO]).items()}
        if pool.get("ifindex") == ifindex:
            found[pool["id"]] = sum(_number(answer.get(kind, b"")) for kind in (8, 9, 10, 12))
    return found


def device_statistics(ifindex):
    """{("rx" or "tx", "packets", ...): count} of a netdev as a whole."""
    payload = _attribute(QSTATS_IFINDEX, struct.pack("=I", ifindex))
    return {QSTATS[kind]: _number(value) for answer in _dump(QSTATS_GET, payload)
            for kind, value in answer.items() if kind in QSTATS}


def queue_statistics(ifindex):
    """{("rx" or "tx", queue, "packets", ...): count} of a netdev's queues in use."""
    payload = _attribute(QSTATS_IFINDEX, struct.pack("=I", ifindex)) \
        + _attribute(QSTATS_SCOPE, struct.pack("=I", SCOPE_QUEUE))
    found = {}
    for answer in _dump(QSTATS_GET, payload):
        queue = _number(answer[QSTATS_QUEUE_ID])
        for kind, (side, what) in QSTATS.items():
            if kind in answer:
                found[side, queue, what] = _number(answer[kind])
    return found
