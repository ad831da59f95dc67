#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# debug.sh [--cached] - make the cached debug kernel (debug.config, by
# debug-kernel.sh) and print its folder. With --cached only print it, and fail
# if it is not there.

. "$(dirname "$0")/lib.sh"
tree=$("$env_dir/tree.sh")

# The packages that it is made from: it outlives a tree that differs in others.
made_from() {
	awk '/^Package: / { name = $2 }
		/^Version: / && name ~ /^(linux-source-.*|(clang|lld|llvm)-19|rustc|rust-src|bindgen|pahole)$/ {
			print name, $2
		}' "$tree/var/lib/dpkg/status"
}

debug=$cache/debug-$(made_from | key "$env_dir/debug-kernel.sh" "$env_dir/debug.config" -)
# Kept over a failure or an interruption: the next run goes on in it.
work=$cache/debug-work-$(made_from | key -)

if [ "${1:-}" = --cached ]; then
	[ -e "$debug/.complete" ] || exit 1
	echo "$debug"
	exit
fi

# How far it is, once a minute, as long as this shell lives.
progress() {
	local rest
	# What it sleeps by would keep the output open of who waits for this script.
	trap 'kill $rest; exit' TERM
	while sleep 60 & rest=$!; wait $rest && kill -0 $$ 2>/dev/null; do
		say "  $(find "$work" -name '*.o' 2>/dev/null | wc -l) objects of about $DEBUG_OBJECTS"
	done
}

make_debug() {
	[ -e "$debug/.complete" ] && return
	mkdir -p "$work"
	progress 9>&- &
	local watch=$!
	# shellcheck disable=SC2064
	trap "kill $watch 2>/dev/null || :" EXIT
	step "building the debug kernel (about $DEBUG_MINUTES minutes on two idle cores, once)" \
		"$env_dir/in-tree.sh" "$env_dir/debug-kernel.sh" \
		"/usr/src/linux-source-$KERNEL_SERIES.tar.xz" "$env_dir/debug.config" "$work" "$debug.new"
	kill $watch
	: >"$debug.new/.complete"
	rm -rf "$debug"
	mv "$debug.new" "$debug"
	rm -rf "$work"
}

DEBUG_OBJECTS=1834 DEBUG_MINUTES=25
[ -e "$debug/.complete" ] || with_lock debug make_debug
echo "$debug"
