#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# bench.sh [OPTION...] - compare the Rust with the C driver (make bench).
#   B="NAME..."   scenarios or patterns of their names, the quick set if empty; "all"
#   FULL=1        all of them, and more repeats; goes on where an earlier run of the same
#                 module was broken off
#   FRESH=1       does not: all is measured anew
#   RESUME=1      goes on without FULL=1, too
#   SYMBOLS=1     print costs by symbol too
#   RATES=0       instruction counts only
# bench.sh --compare OLD.json [NEW.json] - what got worse since; status 1 if anything did,
# 2 if there is nothing to compare. NEW is build/bench/report.json if it is not given.
# bench.sh --publish - the last report as Documentation/benchmarks-report.rst.
# Options go to bench/bench.py; --help lists them.

. "$(dirname "$0")/../env/lib.sh"

args=() scenarios=${B:-}
[ "${FULL:-0}" = 0 ] || {
	args+=(--full)
	RESUME=${RESUME:-1}
}
[ "${FRESH:-0}" = 0 ] || RESUME=0
[ "${RESUME:-0}" = 0 ] || args+=(--resume)
[ "${SYMBOLS:-0}" = 0 ] || args+=(--symbols)
[ "${RATES:-1}" != 0 ] || args+=(--no-rates)

case " $* " in
*" --compare "* | *" --render "* | *" --publish "*)
	# Of reports that are there already; paths as the caller means them, and seen in the tree.
	words=()
	for word in "$@"; do
		[[ $word = -* ]] || word=$(realpath -m -- "$word")
		[ ! -f "$word" ] || VNR_BIND="${VNR_BIND:-} $(dirname "$word")"
		words+=("$word")
	done
	export VNR_BIND
	exec "$env_dir/in-tree.sh" python3 -B "$project/tools/testing/bench/bench.py" "${words[@]}"
	;;
*" --rust-as c "* | *" --rust-as=c "* | *" --module"* | *" --help "*) ;;
*)
	[ -e "$project/virtio_net_rs.ko" ] ||
		die "virtio_net_rs.ko is not built" "make" \
			"or, for the C driver on both sides: tools/testing/bench.sh --rust-as c"
	;;
esac

set -f
cd "$project"
# Guests have Debian's kernel, and the module for that; another one is for `make` alone.
[ -z "${KDIR:-}" ] || die "KDIR is for building only: what is tested is the module for Debian's kernel" \
	"leave it out: env -u KDIR make ..."
VNR_COMMIT=$(git describe --always --dirty 2>/dev/null || true)
export VNR_COMMIT
# A network namespace of its own holds the tap and vanishes with the run.
# shellcheck disable=SC2086
exec "$env_dir/in-tree.sh" unshare --net python3 -B tools/testing/bench/bench.py \
	${args[@]+"${args[@]}"} "$@" ${scenarios//,/ }
