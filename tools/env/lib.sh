# SPDX-License-Identifier: GPL-2.0
# Shared by the set-up scripts: messages, the cache, locking. Source it.

set -euo pipefail

env_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
project=$(cd "$env_dir/../.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/virtio-net-rs

# shellcheck source=../versions.mk
. "$project/tools/versions.mk"

say() { printf 'setup: %s\n' "$*" >&2; }

die() {
	printf 'setup: error: %s\n' "$1" >&2
	shift
	for hint in "$@"; do
		printf 'setup:   %s\n' "$hint" >&2
	done
	exit 1
}

# key FILE... - twelve hex digits that stand for the contents of the files.
key() { cat "$@" | sha256sum | cut -c1-12; }

# with_lock NAME COMMAND... - one maker at a time; others wait and then find
# the thing made.
with_lock() {
	local name=$1
	shift
	mkdir -p "$cache"
	exec 9>"$cache/.lock-$name"
	if ! flock -n 9; then
		say "another run is making $name; waiting for it"
		flock 9
	fi
	"$@"
	exec 9>&-
}

# step TEXT COMMAND... - run quietly into a log, with a line before and the
# time after; on failure show the log's end.
step() {
	local text=$1 log start
	shift
	log=$cache/log/$(printf '%s' "$text" | tr -c 'A-Za-z0-9.\n' '-' | cut -c1-60).log
	mkdir -p "$cache/log"
	start=$SECONDS
	say "$text ... (log: $log)"
	if ! "$@" >"$log" 2>&1 </dev/null; then
		tail -n 25 "$log" >&2
		die "failed: $text" "whole log: $log" "a second run goes on from here"
	fi
	say "$text: done in $((SECONDS - start)) s"
}
