#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Make the cached build tree for the stock kernel, and print its path: a copy
# of Debian's headers folder plus the Rust metadata that Debian leaves out.

. "$(dirname "$0")/lib.sh"
tree=$("$env_dir/tree.sh")
kbuild=$cache/kbuild-$(key "$env_dir/rust-metadata.sh")-${tree##*-}

make_kbuild() {
	[ -e "$kbuild/.complete" ] && return
	local release
	release=$(cat "$tree/etc/virtio-net-rs/kernel-release")
	rm -rf "$kbuild.new"
	step "making Rust metadata for kernel $release (about 3 minutes, once)" \
		"$env_dir/in-tree.sh" "$env_dir/rust-metadata.sh" \
		"/usr/src/linux-headers-$release" \
		"/usr/src/linux-source-$KERNEL_SERIES.tar.xz" "$kbuild.new"
	# The tree names itself in its Makefile: give it its final path.
	sed -i "s|$kbuild.new|$kbuild|g" "$kbuild.new/Makefile"
	: >"$kbuild.new/.complete"
	rm -rf "$kbuild"
	mv "$kbuild.new" "$kbuild"
}

[ -e "$kbuild/.complete" ] || with_lock kbuild make_kbuild
echo "$kbuild"
