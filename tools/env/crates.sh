#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Fetch the registry crates that rust/wire's lock file names, checked against
# its checksums, into the cache, and print the folder.

. "$(dirname "$0")/lib.sh"
wire=$project/rust/wire
[ -e "$wire/Cargo.lock" ] || die "$wire/Cargo.lock is missing" "restore it: git checkout rust/wire"
# shellcheck disable=SC2119
crates=$cache/crates-$(key "$wire/Cargo.toml" "$wire/Cargo.lock")

fetch_crates() {
	[ -e "$crates/.complete" ] && return
	rm -rf "$crates" "$crates.new"
	mkdir -p "$crates.new"
	step "fetching the registry crates (seconds, once)" \
		timeout 300 "$env_dir/in-tree.sh" cargo vendor --locked \
		--manifest-path "$wire/Cargo.toml" "$crates.new"
	: >"$crates.new/.complete"
	mv "$crates.new" "$crates"
}

[ -e "$crates/.complete" ] || with_lock crates fetch_crates
echo "$crates"
