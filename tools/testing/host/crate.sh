#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# crate.sh test|lint MANIFEST TARGET-DIR [ARGUMENT...] - a crate of the host: its
# tests by cargo-nextest and those of its documentation by cargo, or its lints, of
# which a warning is an error.

. "$(dirname "$0")/inside.sh"

what=$1 manifest=$project/$2 target=$project/$3
shift 3
crate=(--locked --manifest-path "$manifest" --target-dir "$target" "$@")
tools/testing/host/libraries.sh take "$target" "$manifest"
case $what in
test)
	"$VNR_NEXTEST/cargo-nextest" nextest run "${crate[@]}" \
		--config-file "$project/tools/testing/host/nextest.toml"
	# Of a crate that is only a program there is none.
	! cargo metadata --no-deps --locked --format-version 1 --manifest-path "$manifest" |
		jq -e '[.packages[].targets[].kind[]] | index("lib")' >/dev/null ||
		cargo test --quiet --doc "${crate[@]}"
	;;
lint)
	# Its own folder: clippy's results and the compiler's keep each other out of date.
	cargo clippy --quiet --all-targets "${crate[@]}" -- -D warnings
	;;
*)
	die "crate.sh: $what is neither test nor lint"
	;;
esac
tools/testing/host/libraries.sh keep "$target" "$manifest"
