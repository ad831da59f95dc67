#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# host.sh - the cases that need no guest, for test.sh: one line for each in
# build/test/host.results, "NAME STATUS SECONDS LOG COMMAND".

. "$(dirname "$0")/../env/lib.sh"
cd "$project"
out=build/test
mkdir -p $out
: >$out/host.results
# With one driver or parameters of one's own, the guests are what is wanted.
[ -z "${PARAMS:-}" ] && [[ ${DRIVER:-both} = both ]] || exit 0

# wanted NAME - does $T (globs, separated by commas) mean it?
wanted() {
	local glob globs
	[ -n "${T:-}" ] || return 0
	IFS=, read -ra globs <<<"$T"
	for glob in "${globs[@]}"; do
		# shellcheck disable=SC2053
		[[ $1 = $glob || $1 = $glob.* ]] && return 0
	done
	return 1
}

# one NAME SECONDS COMMAND...
one() {
	local name=$1 limit=$2 log=$out/$1.log start=$SECONDS status=0
	shift 2
	wanted "$name" || return 0
	# The settings of this run are not those of what it starts.
	env -u T -u FULL -u DRIVER -u PARAMS timeout -k 10 "$limit" "$@" >"$log" 2>&1 </dev/null ||
		status=$?
	[ $status = 0 ] || tail -n 20 "$log" >&2
	echo "$name $status $((SECONDS - start)) $log $*" >>$out/host.results
}

one host.check_tree 120 tools/testing/check-tree.sh
one host.wire 900 tools/env/in-tree.sh cargo test --quiet --locked --target-dir build/wire \
	--manifest-path rust/wire/Cargo.toml
one host.compile_fail 900 tools/testing/compile-fail.sh
one host.clippy 900 make --no-print-directory clippy
one host.fmtcheck 300 make --no-print-directory fmtcheck
