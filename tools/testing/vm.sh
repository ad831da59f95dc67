#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# vm.sh - a guest with Debian's kernel, two joined NICs, the module loaded and
# a shell: what `make vm` does after building the module.
#
#   DRIVER=c|rust  the driver of the first NIC (default: rust)
#   PARAMS=...     its device parameters, as for test.sh
#   DEBUG=1        the debug kernel instead of Debian's

. "$(dirname "$0")/../env/lib.sh"

"$env_dir/tree.sh" >/dev/null
cd "$project"
if [ -n "${DEBUG:-}" ]; then
	VNR_DEBUG=$("$env_dir/debug.sh")
	export VNR_DEBUG
	KDIR=$VNR_DEBUG/build BUILD='' "$env_dir/module.sh" >/dev/null
fi
VNR_HOST_NETNS=$(readlink /proc/self/ns/net)
export VNR_HOST_NETNS
# The runner builds the device model where there is no network.
"$env_dir/in-tree.sh" cargo fetch --quiet --locked --manifest-path tools/testing/model/Cargo.toml
exec "$env_dir/in-tree.sh" unshare --net -- env PYTHONDONTWRITEBYTECODE=1 \
	PYTHONPATH="$project/tools/testing" VNR_OUT=vm python3 -m vnr.shell
