#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# sanitize.sh - the model's test that has unsafe code of its own, by AddressSanitizer.
# sanitize.sh --samples TARGET - build the samples with it, for the guest that runs them.
#
# Cargo starts this script in place of the compiler, too, for the project's crates only:
# dependencies are those of build/model and build/samples. What is generic in them, such as all of
# the library's queues, is compiled with the test, and so it is checked.

if [[ ${1:-} = *rustc ]]; then
	# The checks are LLVM's, from the tree's own compiler, which has to be told that it
	# may; what they call is GCC's, as Debian's Rust has none, and must be linked first.
	flags=(--cfg asan -Zsanitizer=address -Zexternal-clangrt)
	for word in -Wl,--push-state,--no-as-needed -lasan -Wl,--pop-state; do
		flags+=(-Zpre-link-args="$word")
	done
	RUSTC_BOOTSTRAP=1 exec "$@" "${flags[@]}"
fi

. "$(dirname "$0")/inside.sh"

# The dependencies of one target folder in another, without a copy's cost.
begin_as() {
	[ ! -e "$2/debug" ] || return 0
	mkdir -p "$2/new"
	cp -al "$1"/debug/{deps,build,.fingerprint} "$2/new/"
	mv "$2/new" "$2/debug"
}

if [ "${1:-}" = --samples ]; then
	begin_as build/samples "$2"
	# Programs that run as the others are built, too.
	RUSTC_WORKSPACE_WRAPPER=$project/tools/testing/host/sanitize.sh ASAN_OPTIONS=detect_leaks=0 \
		cargo build --quiet --locked --workspace --manifest-path samples/Cargo.toml --target-dir "$2"
	exit
fi
crate=(--locked --manifest-path tools/testing/model/Cargo.toml)
# The program in build/model is that of the guests, which must stay as it is: hence a
# folder of our own.
tools/testing/host/libraries.sh take build/model tools/testing/model/Cargo.toml
cargo build --quiet "${crate[@]}" --target-dir build/model --tests
begin_as build/model build/asan
run() {
	RUSTC_WORKSPACE_WRAPPER=$project/tools/testing/host/sanitize.sh ASAN_OPTIONS=detect_leaks=0 \
		"$VNR_NEXTEST/cargo-nextest" nextest run "${crate[@]}" --test virtio_drivers \
		--target-dir build/asan --config-file tools/testing/host/nextest.toml "$@"
}

run
if said=$(run --run-ignored only -E 'test(=hal::beyond_what_was_lent)' 2>&1); then
	die "the sanitizer did not notice a read behind a buffer"
fi
grep -q "ERROR: AddressSanitizer: use-after-poison" <<<"$said" || {
	echo "$said"
	die "a read behind a buffer failed, but not by the sanitizer"
}
echo "a read behind a buffer is noticed"
