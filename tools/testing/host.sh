#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# host.sh - the cases that need no guest, for test.sh: one line for each in
# build/test/host.results, "NAME STATUS SECONDS LOG COMMAND", then "end".

. "$(dirname "$0")/../env/lib.sh"
cd "$project"
out=build/test
host=tools/testing/host
mkdir -p $out
: >$out/host.results
# With one driver or parameters of one's own, the guests are what is wanted.
[ -z "${PARAMS:-}" ] && [[ ${DRIVER:-both} = both ]] || {
	echo end >>$out/host.results
	exit 0
}

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

# one NAME SECONDS COMMAND... - the time is for what hangs: with nothing cached, beside guests and
# what else the machine does, a step takes several times what it takes alone.
one() {
	local name=$1 limit=$2 log=$out/$1.log start=$SECONDS status=0
	shift 2
	wanted "$name" || return 0
	echo "# $name"
	# The settings of this run are not those of what it starts.
	env -u T -u FULL -u DRIVER -u PARAMS timeout -k 10 "$limit" "$@" >"$log" 2>&1 </dev/null &
	step=$!
	wait $step || status=$?
	# 77: not to be had here, as the last line of the log says.
	[ $status = 0 ] || [ $status = 77 ] || tail -n 20 "$log" >&2
	# The tables that a reader of the run should see.
	! table=$(sed -n '/^\(target  *executions\|wire  *lines\)/,/^$/p' "$log" | grep -v '^# ') ||
		[ -z "$table" ] || printf '%s\n' "$table" | sed 's/^/# /'
	echo "$name $status $((SECONDS - start)) $log $*" >>$out/host.results
}

# Two lanes side by side: what is compiled has one long step after the other. Who ends this ends
# their steps, of which each has a process group of its own.
step='' lane=''
codecs() {
	trap 'kill $step || :; exit 143' TERM
	one host.check_tree 120 tools/testing/check-tree.sh
	one host.wire 1800 $host/crate.sh test rust/wire/Cargo.toml build/wire
	one host.samples 1800 $host/crate.sh test samples/Cargo.toml build/samples --workspace
	one host.sanitize 1800 $host/sanitize.sh
	one host.coverage 1800 $host/coverage.sh
	one host.fuzz 1800 env FUZZ_RUNS=100000 $host/fuzz.sh
	one host.clippy_wire 1800 $host/crate.sh lint rust/wire/Cargo.toml build/lint-wire --all-features
	one host.clippy_samples 1800 $host/crate.sh lint samples/Cargo.toml build/lint-samples --workspace
	one host.clippy_fuzz 1800 $host/crate.sh lint rust/wire/fuzz/Cargo.toml build/lint-fuzz --no-default-features
}

model_and_module() {
	one host.model 1800 $host/crate.sh test tools/testing/model/Cargo.toml build/model
	one host.clippy_model 1800 $host/crate.sh lint tools/testing/model/Cargo.toml build/lint-model
	one host.pyflakes 60 make --no-print-directory pyflakes
	one host.runner 60 tools/env/in-tree.sh env PYTHONPATH=tools/testing PYTHONDONTWRITEBYTECODE=1 \
		python3 -m unittest -q vnr.test_console vnr.test_record
	one host.benchmark 300 tools/env/in-tree.sh env PYTHONDONTWRITEBYTECODE=1 \
		python3 -m unittest discover -s tools/testing/bench/tests
	one host.report_page 300 $host/report-page.sh
	one host.compile_fail 1800 tools/testing/compile-fail.sh
	one host.clippy 1800 make --no-print-directory clippy
	one host.fmtcheck 300 make --no-print-directory fmtcheck
	one host.vm 600 $host/vm.sh
}

trap 'kill $step $lane || :; exit 130' INT TERM HUP
# What several need is made before the clocks run. If it cannot be, each of them tells why.
if wanted host.wire || wanted host.samples || wanted host.model; then
	tools/env/nextest.sh >/dev/null &
	step=$!
	wait $step || :
fi
codecs &
lane=$!
model_and_module
wait $lane
echo end >>$out/host.results
