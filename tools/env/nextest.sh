#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Build cargo-nextest into the cache, once for a version and a tree, and print
# the folder of the program.

. "$(dirname "$0")/lib.sh"
# shellcheck source=../cargo-tools.mk
. "$project/tools/cargo-tools.mk"
tree=$("$env_dir/tree.sh")
nextest=$cache/nextest-$CARGO_NEXTEST-${tree##*-}

make_nextest() {
	[ -e "$nextest/.complete" ] && return
	rm -rf "$nextest" "$nextest.new"
	# Its own work is short: optimising it would cost three times as much.
	step "building cargo-nextest $CARGO_NEXTEST (about 2 minutes, once)" \
		timeout 1200 "$env_dir/in-tree.sh" env CARGO_PROFILE_RELEASE_LTO=off \
		CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_CODEGEN_UNITS=256 \
		cargo install cargo-nextest --version "$CARGO_NEXTEST" --locked \
		--no-default-features --features default-no-update --no-track \
		--root "$nextest.new" --target-dir "$nextest.new/target"
	rm -rf "$nextest.new/target"
	: >"$nextest.new/.complete"
	mv "$nextest.new" "$nextest"
}

[ -e "$nextest/.complete" ] || with_lock nextest make_nextest
echo "$nextest/bin"
