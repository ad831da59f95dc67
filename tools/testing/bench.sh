#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# bench.sh [OPTION...] - compare the Rust with the C driver (make bench).
#   B="NAME..."   scenarios or patterns of their names, the quick set if empty; "all"
#   FULL=1        more repeats
#   SYMBOLS=1     print costs by symbol too
#   RATES=0       instruction counts only
# Options go to bench/bench.py; --help lists them.

. "$(dirname "$0")/../env/lib.sh"

args=() scenarios=${B:-}
[ "${FULL:-0}" = 0 ] || args+=(--full)
[ "${SYMBOLS:-0}" = 0 ] || args+=(--symbols)
[ "${RATES:-1}" != 0 ] || args+=(--no-rates)

case " $* " in
*" --rust-as c "* | *" --rust-as=c "* | *" --module"* | *" --help "*) ;;
*)
	[ -e "$project/virtio_net_rs.ko" ] ||
		die "virtio_net_rs.ko is not built" "make" \
			"or, for the C driver on both sides: tools/testing/bench.sh --rust-as c"
	;;
esac

set -f
cd "$project"
# A network namespace of its own holds the tap and vanishes with the run.
# shellcheck disable=SC2086
exec "$env_dir/in-tree.sh" unshare --net python3 -B tools/testing/bench/bench.py \
	${args[@]+"${args[@]}"} "$@" ${scenarios//,/ }
