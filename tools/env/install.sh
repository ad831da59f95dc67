#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Install the module that was built last below $INSTALL_MOD_PATH, into
# /lib/modules/<release>/updates, and run depmod there.

. "$(dirname "$0")/lib.sh"

kdir=$("$env_dir/kdir.sh")
release=$(cat "$kdir/include/config/kernel.release")
root=${INSTALL_MOD_PATH:-}
folder=$root/lib/modules/$release
built=$project/build/$release/virtio_net_rs.ko

[ -e "$built" ] || die "$built is missing" "build it: make"
if [ ! -d "$folder" ]; then
	[ -n "$root" ] || die "this machine has no kernel $release" \
		"name its root: make install INSTALL_MOD_PATH=<folder>" \
		"or build for the running kernel: make install KDIR=/lib/modules/\$(uname -r)/build"
	mkdir -p "$folder"
fi
mkdir -p "$folder/updates" 2>/dev/null && [ -w "$folder/updates" ] ||
	die "cannot write to $folder" "run as root: sudo make install"
install -m 644 "$built" "$folder/updates/virtio_net_rs.ko"

root=$(realpath "${root:-/}")
if command -v depmod >/dev/null; then
	depmod -b "$root" "$release"
else
	VNR_BIND=$(realpath "$folder") "$env_dir/in-tree.sh" \
		depmod -b "$root" "$release"
fi
say "installed $folder/updates/virtio_net_rs.ko"
