#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# libraries.sh take|keep TARGET-DIR MANIFEST - the compiled libraries that a crate of the
# host depends on, from the cache to a target folder of cargo's that is not there yet, or
# from one to the cache. Inside the tree; the crate's own objects do not go along.

. "$(dirname "$0")/../../env/lib.sh"

what=$1 target=$(realpath -m "$2") manifest=$3 cache=$VNR_CACHE
name=$(realpath --relative-to="$project/build" "$target" | tr / -)
made_from() {
	cat "$manifest" "$(dirname "$manifest")/Cargo.lock"
	rustc -vV
}
kept=$cache/libraries-$name-$(made_from | key -)
# In a target folder that has nothing but what was compiled from this.
fresh=$target/.fresh

case $what in
take)
	[ ! -e "$target" ] || exit 0
	if [ ! -e "$kept" ]; then
		mkdir -p "$target"
		basename "$kept" >"$fresh"
		exit 0
	fi
	mkdir -p "$(dirname "$target")"
	cp -a "$kept" "$target.$$"
	# Whoever was first has it.
	mv -T "$target.$$" "$target" 2>/dev/null || rm -rf "$target.$$"
	;;
keep)
	[ ! -e "$kept" ] && [ "$(cat "$fresh" 2>/dev/null)" = "$(basename "$kept")" ] || exit 0
	new=$kept.$$
	mkdir -p "$cache"
	rm -rf "$cache/libraries-$name"-????????????
	cp -a "$target" "$new"
	# No program, nothing of a crate of this project.
	rm "$new/.fresh"
	find "$new" -type d -name incremental -prune -exec rm -rf {} +
	find "$new" -path '*/deps/*' -type f ! -name '*.*' -delete
	find "$new" -maxdepth 3 -path "*/debug/*" -type f ! -path '*/deps/*' ! -path '*/.fingerprint/*' -delete
	# For this platform only: what others need was never downloaded.
	cargo metadata --locked --format-version 1 --manifest-path "$manifest" \
		--filter-platform "$(rustc -vV | sed -n 's/^host: //p')" |
		jq -r '.packages[] | select(.source == null).name' | while read -r crate; do
		find "$new" \( -name "$crate-*" -o -name "lib${crate//-/_}-*" \) -prune -exec rm -rf {} +
	done
	mv -T "$new" "$kept" 2>/dev/null || rm -rf "$new"
	;;
*)
	die "libraries.sh: $what is neither take nor keep"
	;;
esac
