#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# test.sh [--debug] - run the tests: what `make test` does after building the
# module; with --debug what `make test-debug` does, on the debug kernel.
#
#   T=PATTERN      only the suites or cases of that name (globs, commas); "ci":
#                  what `make test` runs on the debug kernel
#   DRIVER=c|rust  only one driver; otherwise both, side by side
#   PARAMS=...     device parameters instead of the suites' own, such as
#                  packed=on,mode=big,queues=4,transport=mmio,host_mtu=9000
#   FULL=1         everything, where a covering set is the default
#   RESUME=1       without T=, or with FULL=1: without the guests that have passed in
#                  an earlier run of the kind, if nothing has changed since that they
#                  depend on
#   JOBS=N         guests at a time; otherwise one for each two processors, and two at least
#   QUICK=1        of what `faults` lets fail, a sample
#   DEBUG=1        build the debug kernel for `make test`, if it is not there
#   ACCEL=tcg|kvm  do not find out whether KVM works

. "$(dirname "$0")/../env/lib.sh"

"$env_dir/tree.sh" >/dev/null
cd "$project"
# Guests have Debian's kernel, and the module for that; another one is for `make` alone.
[ -z "${KDIR:-}" ] || die "KDIR is for building only: what is tested is the module for Debian's kernel" \
	"leave it out: env -u KDIR make ..."
export VNR_OUT=test VNR_KERNELS=stock
if [ "${1:-}" = --debug ]; then
	shift
	VNR_OUT=test-debug VNR_KERNELS=debug
	VNR_DEBUG=$("$env_dir/debug.sh")
elif [ -z "${T:-}${PARAMS:-}" ] && [[ ${DRIVER:-both} = both ]]; then
	VNR_KERNELS=both
	VNR_DEBUG=$("$env_dir/debug.sh" --cached || { [ -z "${DEBUG:-}" ] || "$env_dir/debug.sh"; })
fi
if [ -n "${VNR_DEBUG:-}" ]; then
	export VNR_DEBUG
	KDIR=$VNR_DEBUG/build BUILD='' "$env_dir/module.sh" >/dev/null
	KDIR=$VNR_DEBUG/build BUILD='' VNR_MODULE=tools/testing/kmod "$env_dir/module.sh" >/dev/null
fi
VNR_MODULE=tools/testing/kmod "$env_dir/module.sh" >/dev/null
# The kernel's own selftests, where cases that run them may be meant.
if [[ ${FULL:-0} != 0 || ${T:-} = *upstream* || ${T:-} = *xsk* || ${T:-} = *\** ]]; then
	VNR_SELFTESTS=$("$env_dir/selftests.sh")
	export VNR_SELFTESTS
fi
VNR_HOST_NETNS=$(readlink /proc/self/ns/net)
export VNR_HOST_NETNS PYTHONPATH=$project/tools/testing PYTHONDONTWRITEBYTECODE=1
# One test run at a time in a checkout: they share the folder of results.
mkdir -p "build/$VNR_OUT"
exec 8>"build/$VNR_OUT/.lock"
flock -n 8 || {
	echo "another test run is using build/$VNR_OUT; waiting for it" >&2
	flock 8
}
rm -f "build/$VNR_OUT/host.results" "build/$VNR_OUT/host.begin"
host='' runner=''
# Who ends this ends both.
finish() {
	# shellcheck disable=SC2086
	kill $host $runner 2>/dev/null || :
	wait
}
trap finish EXIT
trap 'exit 143' INT TERM HUP
[ $VNR_KERNELS = debug ] || {
	"$project/tools/testing/canary.sh"
	if [ -n "${T:-}" ]; then
		"$project/tools/testing/host.sh"
	else
		# Beside the guests, which wait now and then, and whose cases are timed: from when the runner
		# has built what the guests need. It waits for them at its end.
		{
			until [ -e "build/$VNR_OUT/host.begin" ]; do sleep 1; done
			exec nice -n 5 "$project/tools/testing/host.sh"
		} &
		host=$!
		export VNR_HOST=$host
	fi
}
# The runner builds the device model and the samples where there is no network.
for crate in tools/testing/model samples; do
	"$env_dir/in-tree.sh" cargo fetch --quiet --locked --manifest-path "$crate/Cargo.toml"
done
"$env_dir/in-tree.sh" unshare --net -- \
	env PYTHONPATH="$PYTHONPATH" python3 -m vnr "$@" &
runner=$!
wait $runner
