#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# test.sh - run the tests: what `make test` does after building the module.
#
#   T=PATTERN      only the suites or cases of that name (globs, commas)
#   DRIVER=c|rust  only one driver; otherwise both, side by side
#   PARAMS=...     device parameters instead of the suites' own, such as
#                  packed=on,mode=big,queues=4,transport=mmio,host_mtu=9000
#   FULL=1         everything, where a covering set is the default
#   ACCEL=tcg|kvm  do not find out whether KVM works

. "$(dirname "$0")/../env/lib.sh"

"$env_dir/tree.sh" >/dev/null
cd "$project"
VNR_HOST_NETNS=$(readlink /proc/self/ns/net)
export VNR_HOST_NETNS PYTHONPATH=$project/tools/testing PYTHONDONTWRITEBYTECODE=1
# One test run at a time in a checkout: they share build/test.
mkdir -p build/test
exec 8>build/test/.lock
flock -n 8 || {
	echo "another test run is using build/test; waiting for it" >&2
	flock 8
}
"$project/tools/testing/host.sh"
"$project/tools/testing/canary.sh"
# The runner builds the device model where there is no network.
"$env_dir/in-tree.sh" cargo fetch --quiet --locked --manifest-path tools/testing/model/Cargo.toml
exec "$env_dir/in-tree.sh" unshare --net -- \
	env PYTHONPATH="$PYTHONPATH" python3 -m vnr "$@"
