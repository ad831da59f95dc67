# SPDX-License-Identifier: GPL-2.0
"""python3 -m vnr.shell: a guest with two joined NICs, the module loaded, and a
shell. DRIVER and PARAMS are as for the tests; vm.sh starts it."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from . import accel, build, kernel, model, network, paths
from .guest import Guest
from .params import ParamError, Params
from .plan import peer_of
from .session import describe_nics


def main():
    driver = os.environ.get("DRIVER") or "rust"
    if driver not in ("c", "rust"):
        sys.exit(f"DRIVER={driver}: c or rust is meant")
    booted = kernel.debug() or kernel.stock()
    if driver == "rust" and not booted.built.exists():
        sys.exit(f"{booted.built} is not built: run make first, or use DRIVER=c")
    try:
        dut = Params.parse(os.environ.get("PARAMS"))
    except ParamError as error:
        sys.exit(f"error: {error}")
    nics = [dut, peer_of([dut])]
    qemu, name = accel.choose()
    paths.OUT.mkdir(parents=True, exist_ok=True)
    build.traffic()
    booted.take_module()
    if dut.model:
        model.build()
    guest = Guest("vm", nics, {"shell": driver, **describe_nics(nics, booted)}, qemu, booted,
                  cpus=max(2, dut.pairs))
    print(f"starting a guest ({name}); leave it by exit, or Ctrl-A x", flush=True)
    try:
        with network.Wire(guest.taps()), guest.model, open(guest.errors, "wb") as errors, \
                tempfile.TemporaryDirectory(prefix="vnr") as scratch:
            guest.scratch = Path(scratch)
            status = subprocess.run(guest.command([], ["quiet", "loglevel=4"], verbose=False),
                                    stderr=errors).returncode
    except network.NetworkError as error:
        sys.exit(f"error: {error}")
    if status:
        sys.exit(f"the guest ended with status {status}; see {guest.errors}")


if __name__ == "__main__":
    main()
