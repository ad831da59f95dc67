#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# module.sh [MAKE-ARGUMENT...] - run Kbuild over the project, by default to
# build the module, inside the cached tree. From the environment: KDIR, another
# kernel build folder than the stock kernel's; KSRC, that kernel's source where
# its Rust metadata has to be made; BUILD, the folder for the results; VNR_MODULE,
# another module's folder than the project; V. Prints the path of the module
# built, or for VNR_MODULE the folder of the results.

. "$(dirname "$0")/lib.sh"
[ $# -gt 0 ] || set -- modules

# First, as the others run in it, with their time limits and their logs.
"$env_dir/tree.sh" >/dev/null
crates=$("$env_dir/crates.sh")
kdir=$("$env_dir/kdir.sh")
release=$(cat "$kdir/include/config/kernel.release")
source=$project build=${BUILD:-$project/build/$release}
if [ -n "${VNR_MODULE:-}" ]; then
	source=$project/$VNR_MODULE build=$build/${VNR_MODULE##*/}
fi
mkdir -p "$build"

arguments=()
! grep -q '^CONFIG_CC_IS_CLANG=y' "$kdir/.config" || arguments+=(LLVM=-19)
[ -z "${V:-}" ] || arguments+=("V=$V")

# A build that another run of make started in the same folder is waited for.
exec 8>"$build/.lock"
flock 8
# The job server of an outer make is a file that the tree does not see.
unset MAKEFLAGS MFLAGS MAKELEVEL
VNR_BIND="${VNR_BIND:-} $("$env_dir/kdir.sh" --folders)" \
	"$env_dir/in-tree.sh" make -C "$kdir" M="$source" MO="$build" -j"$(nproc)" \
	--no-print-directory VNR_CRATES="$crates" "${arguments[@]}" "$@" 8>&- >&2
if [ -n "${VNR_MODULE:-}" ]; then
	echo "$build"
else
	echo "$build/virtio_net_rs.ko"
fi
