#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# kdir.sh [--folders] - print the kernel build folder that the module is built
# against: the stock kernel's, or the one that $KDIR names, with Rust metadata
# added in a copy where it has none. --folders: what it needs beside itself.

. "$(dirname "$0")/lib.sh"

# Folders outside a headers folder that its Makefile and links lead to.
folders() {
	local dir=$1 link
	echo "$dir"
	sed -nE 's|^include (/.*)/Makefile$|\1|p' "$dir/Makefile"
	for link in source scripts tools; do
		[ ! -L "$dir/$link" ] || realpath "$dir/$link"
	done
}

# existing - those of the folders on standard input that this machine has.
existing() {
	local dir
	while read -r dir; do
		[ ! -d "$dir" ] || printf '%s ' "$dir"
	done
}

if [ -z "${KDIR:-}" ]; then
	[ "${1:-}" = --folders ] || "$env_dir/kbuild.sh"
	exit
fi

kdir=$(realpath -e "$KDIR" 2>/dev/null) || die "KDIR=$KDIR does not exist" \
	"install the kernel's headers: apt-get install linux-headers-\$(uname -r)"
config=$kdir/.config
[ -e "$config" ] || die "$kdir has no .config" "it is no kernel build folder"
grep -q '^CONFIG_RUST=y' "$config" || die "the kernel of $kdir has no CONFIG_RUST=y" \
	"a Rust module needs it: Debian's 7.3 kernels of trixie-backports have it"
release=$(cat "$kdir/include/config/kernel.release")
bind=$(folders "$kdir" | sort -u | existing)

if [ ! -e "$kdir/rust/libkernel.rmeta" ]; then
	tree=$("$env_dir/tree.sh")
	headers=$kdir
	kdir=$cache/kbuild-$release-$(key "$env_dir/rust-metadata.sh" "$config" "$headers/Module.symvers")

	make_metadata() {
		[ -e "$kdir/.complete" ] && return
		local source=${KSRC:-}
		if [ -z "$source" ]; then
			# The tree's own source fits only a kernel of the same version.
			source=/usr/src/linux-source-$KERNEL_SERIES.tar.xz
			[ "${release%%+*}" = "$(sed 's/+.*//' "$tree/etc/virtio-net-rs/kernel-release")" ] ||
				die "the Rust metadata of $release has to be made from its source" \
					"name that: make KDIR=$KDIR KSRC=<folder or tarball of linux-source>"
		else
			source=$(realpath -e "$source") || die "KSRC=$KSRC does not exist"
			bind="$bind $(dirname "$source")"
		fi
		rm -rf "$kdir.new"
		VNR_BIND=$bind step "making Rust metadata for kernel $release (about 3 minutes, once)" \
			"$env_dir/in-tree.sh" "$env_dir/rust-metadata.sh" "$headers" "$source" "$kdir.new"
		sed -i "s|$kdir.new|$kdir|g" "$kdir.new/Makefile"
		: >"$kdir.new/.complete"
		rm -rf "$kdir"
		mv "$kdir.new" "$kdir"
	}
	[ -e "$kdir/.complete" ] || with_lock "kbuild-$release" make_metadata
fi

if [ "${1:-}" = --folders ]; then
	# What lies in the project or the cache is there anyway.
	for dir in $bind; do
		case $dir/ in
		"$project"/* | "$cache"/*) ;;
		*) printf '%s ' "$dir" ;;
		esac
	done
	echo
else
	echo "$kdir"
fi
