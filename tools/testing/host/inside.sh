# SPDX-License-Identifier: GPL-2.0
# inside.sh - sourced by the scripts here: the rest of them runs inside the tree.
# shellcheck shell=bash

. "$(dirname "$0")/../../env/lib.sh"

# Each starts itself again there, its arguments behind "--inside", with the folder of
# cargo-nextest in VNR_NEXTEST.
if [ "${1:-}" != --inside ]; then
	"$env_dir/tree.sh" >/dev/null
	VNR_NEXTEST=$("$env_dir/nextest.sh")
	export VNR_NEXTEST
	exec "$env_dir/in-tree.sh" "$0" --inside "$@"
fi
shift
cd "$project"
