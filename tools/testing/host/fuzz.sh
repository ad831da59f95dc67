#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# fuzz.sh - run the wire crate's fuzz targets, one after the other, beginning with
# the seeds that its unit tests record and what earlier runs found worth keeping.
#
#   FUZZ_S=SECONDS   for each target (default 60)
#   FUZZ_RUNS=N      that many executions of each instead
#   FUZZ=TARGETS     only these
#
# All below build/fuzz: corpus/, seeds/, log/, and findings/, whose files are inputs
# that broke an assertion; give one to the target as its argument to see it again.

. "$(dirname "$0")/inside.sh"
out=$project/build/fuzz
triple=x86_64-unknown-linux-gnu
bin=$out/target/$triple/release
mkdir -p "$out"/{seeds,log,findings,corpus}
exec 8>"$out/.lock"
flock 8

# libFuzzer's counters and its tables of comparisons, from the stable compiler: the
# pass is LLVM's. No sanitizer: the crate forbids unsafe code.
flags="--cfg fuzzing -Ccodegen-units=1 -Cpasses=sancov-module"
for option in level=4 inline-8bit-counters pc-table trace-compares; do
	flags+=" -Cllvm-args=-sanitizer-coverage-$option"
done
tools/testing/host/libraries.sh take "$out/target" rust/wire/fuzz/Cargo.toml
echo "fuzz: building the targets (a minute, the first time)"
CXX=g++-14 RUSTFLAGS=$flags cargo build --quiet --locked --release --target $triple \
	--target-dir "$out/target" --manifest-path rust/wire/fuzz/Cargo.toml
tools/testing/host/libraries.sh keep "$out/target" rust/wire/fuzz/Cargo.toml
echo "fuzz: recording seeds"
WIRE_SEEDS=$out/seeds "$VNR_NEXTEST/cargo-nextest" nextest run --locked --lib \
	--target-dir build/wire --manifest-path rust/wire/Cargo.toml \
	--cargo-quiet --status-level fail --final-status-level fail >"$out/log/seeds" 2>&1 ||
	{ cat "$out/log/seeds"; exit 1; }

targets=${FUZZ:-$(sed -n '/^\[\[bin]]/,$s/^name = "\([a-z_]*\)"$/\1/p' rust/wire/fuzz/Cargo.toml)}
if [ -n "${FUZZ_RUNS:-}" ]; then
	bound=(-runs="$FUZZ_RUNS")
else
	bound=(-max_total_time="${FUZZ_S:-60}")
fi

# executions LOG - how many there were when the log's last line was written.
executions() {
	sed -nE 's/^(stat::number_of_executed_units: |#)([0-9]+).*/\2/p' "$1" | tail -n 1
}

# fuzz TARGET - run it, with a line every ten seconds.
fuzz() {
	local target=$1 log=$out/log/$1 pid start=$SECONDS
	mkdir -p "$out"/{corpus,seeds,findings}/"$target"
	"$bin/$target" "${bound[@]}" -max_len=4096 -timeout=10 -rss_limit_mb=1024 \
		-print_final_stats=1 -artifact_prefix="$out/findings/$target/" \
		"$out/corpus/$target" "$out/seeds/$target" >"$log" 2>&1 </dev/null &
	pid=$!
	while sleep 0.2; kill -0 $pid 2>/dev/null; do
		[ $(((SECONDS - start) % 10)) = 0 ] && [ "$SECONDS" != "$start" ] || continue
		printf 'fuzz: %-10s %4d s %13s executions\n' "$target" $((SECONDS - start)) "$(executions "$log")"
		sleep 1
	done
	wait $pid
}

rows=() failed=0
for target in $targets; do
	start=$SECONDS finding=none
	if ! fuzz "$target"; then
		failed=1
		tail -n 25 "$out/log/$target"
		finding=$(sed -n 's/.*Test unit written to //p' "$out/log/$target" | tail -n 1)
		: "${finding:=not run, see build/fuzz/log/$target}"
	fi
	seeds=$(find "$out/seeds/$target" -type f | wc -l)
	features=$(sed -nE 's/.* ft: ([0-9]+) .*/\1/p' "$out/log/$target" | tail -n 1)
	rows+=("$(printf '%-10s %13s %8s %6s %9s  %s' "$target" "$(executions "$out/log/$target")" \
		"$((SECONDS - start)) s" "$seeds" "$features" "${finding#"$project"/}")")
done
printf '\n%-10s %13s %8s %6s %9s  %s\n' target executions time seeds features finding
printf '%s\n' "${rows[@]}"
exit $failed
