#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# coverage.sh - how much of the wire crate its own tests execute: a line for each
# file, and a failure if it is less than 90 % of the lines or regions of one of them.

. "$(dirname "$0")/inside.sh"
out=$project/build/coverage
llvm=/usr/lib/llvm-19/bin
mkdir -p "$out"
exec 8>"$out/.lock"
flock 8
rm -rf "$out/profiles"

export RUSTFLAGS=-Cinstrument-coverage LLVM_PROFILE_FILE=$out/profiles/%p-%m.profraw
crate=(--locked --target-dir "$out/target" --manifest-path rust/wire/Cargo.toml)
tools/testing/host/libraries.sh take "$out/target" rust/wire/Cargo.toml
"$VNR_NEXTEST/cargo-nextest" nextest run "${crate[@]}" --status-level fail \
	--final-status-level fail >"$out/log" 2>&1 || { cat "$out/log"; exit 1; }
tools/testing/host/libraries.sh keep "$out/target" rust/wire/Cargo.toml
"$llvm/llvm-profdata" merge --sparse -o "$out/all.profdata" "$out"/profiles/*.profraw

objects=$("$VNR_NEXTEST/cargo-nextest" nextest list "${crate[@]}" --message-format json \
	--list-type binaries-only 2>>"$out/log" | jq -r '."rust-binaries"[]."binary-path" | "--object", .')
# shellcheck disable=SC2086
"$llvm/llvm-cov" export --instr-profile "$out/all.profdata" $objects >"$out/export.json"
python3 "$(dirname "$0")/coverage.py" "$project/rust/wire" 90 <"$out/export.json"
