# SPDX-License-Identifier: GPL-2.0
"""Sets up the guest of `make vm` and gives its console to a shell. Usage:
shell.py JOB"""

import json
import os
import sys
from pathlib import Path

from environment import Modules
from nic import DRIVERS, Nic, run


def main():
    job = json.loads(Path(sys.argv[1]).read_text())
    driver = job["shell"]
    run("ip", "netns", "add", "peer")
    run("ip", "-n", "peer", "link", "set", "lo", "up")
    dut, peer = (Nic(n["place"], n["role"], n["mac"], n["mmio"], n["label"], n["port"])
                 for n in job["nics"])
    modules = Modules(job["module"])
    for name in ("c", "rust"):
        if name == "c" or os.path.exists(job["module"]):
            modules.load(name)
    peer.bind("c")
    dut.bind(driver)
    peer.configure()
    dut.configure()
    print(f"""
  dut   {dut.virtio}, {DRIVERS[driver]} ({dut.label}): {dut.ip4} {dut.ip6}
  peer  {peer.virtio}, virtio_net, in network namespace "peer": {peer.ip4} {peer.ip6}
  bind to the other driver: echo {dut.virtio} >/sys/bus/virtio/drivers/NAME/unbind, then bind
  as the peer: ip netns exec peer COMMAND, such as iperf3 -s
""", flush=True)
    os.chdir("/tmp")
    os.environ["TERM"] = "vt100"
    console = os.open("/dev/ttyS0", os.O_RDWR)
    for fd in range(3):
        os.dup2(console, fd)
    os.execvp("setsid", ["setsid", "--ctty", "--wait", "bash", "--norc", "-i"])


if __name__ == "__main__":
    main()
