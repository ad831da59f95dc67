#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Make the cached Debian tree that is both toolchain and guest root, and print
# its path. Works as root and as a user with user namespaces.

. "$(dirname "$0")/lib.sh"

tree=$cache/tree-$(key "$project/tools/versions.mk" "$env_dir/packages" "$env_dir/install-in-tree.sh")

need_mmdebstrap() {
	command -v mmdebstrap >/dev/null && return
	if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
		step "installing mmdebstrap on this machine" \
			sh -c 'apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends mmdebstrap uidmap'
	else
		die "mmdebstrap is not installed" \
			"install it: sudo apt-get install mmdebstrap uidmap"
	fi
}

# The Debian mirror that this machine's own apt uses.
own_mirror() {
	apt-get indextargets --no-release-info --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
		grep -E '/debian/?$' | sed 's|/$||' | sort -u | head -n 1
}

make_tree() {
	[ -e "$tree/.complete" ] && return
	need_mmdebstrap
	local mode=unshare packages keyring mirror
	mirror=${DEBIAN_MIRROR:-$(own_mirror || true)}
	[ -n "$mirror" ] || die "no Debian mirror found in this machine's apt sources" \
		"name one: make DEBIAN_MIRROR=http://MIRROR/debian"
	[ "$(id -u)" != 0 ] || mode=root
	keyring=/usr/share/keyrings/debian-archive-keyring.gpg
	[ -e "$keyring" ] || die "$keyring is missing" \
		"install it: sudo apt-get install debian-archive-keyring"
	rm -rf "$tree.new" "$tree.tar"
	mkdir -p "$tree.new"
	packages=$(sed 's/#.*//' "$env_dir/packages" | tr -s ' \n' '\n' | grep -v '@bpo' | paste -sd,)
	# A tarball in between gives every file to whoever runs this, so that a
	# user namespace with one mapped id can enter the tree.
	step "unpacking Debian $DEBIAN_SUITE (about 2 minutes)" \
		mmdebstrap --mode=$mode --variant=apt --components=main \
		--keyring="$keyring" \
		--aptopt='Acquire::Retries "3"' --aptopt='Acquire::Languages "none"' \
		--dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/doc/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		--include="$packages" \
		--customize-hook="cp $project/tools/versions.mk $env_dir/packages \$1/tmp/" \
		--customize-hook="cp $env_dir/install-in-tree.sh \$1/tmp/" \
		--customize-hook='chroot $1 bash /tmp/install-in-tree.sh' \
		"$DEBIAN_SUITE" "$tree.tar" \
		"deb $mirror $DEBIAN_SUITE main" \
		"deb $mirror $DEBIAN_BACKPORTS main"
	step "placing the tree" \
		tar -C "$tree.new" --exclude='./dev/*' --no-same-owner -xf "$tree.tar"
	rm -f "$tree.tar"
	cat "$tree.new/etc/virtio-net-rs/notice" >&2
	: >"$tree.new/.complete"
	rm -rf "$tree"
	mv "$tree.new" "$tree"
}

[ -e "$tree/.complete" ] || with_lock tree make_tree
echo "$tree"
