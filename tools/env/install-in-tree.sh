#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Runs inside the fresh tree: backports packages and the stock kernel, pinned
# where the mirror still has the pin. Leaves the chosen release in
# /etc/virtio-net-rs/kernel-release and what a user should hear in .../notice.

set -euo pipefail
. /tmp/versions.mk
export DEBIAN_FRONTEND=noninteractive
conf=/etc/virtio-net-rs
mkdir -p "$conf"
: >"$conf/notice"

release=$KERNEL_VERSION+$KERNEL_ABI-$KERNEL_FLAVOUR
if ! apt-cache show "linux-headers-$release" >/dev/null 2>&1; then
	newest=$(apt-cache pkgnames "linux-headers-$KERNEL_SERIES." |
		sed -nE "s/^linux-headers-($KERNEL_SERIES\.[0-9]+\+[a-z0-9]+-$KERNEL_FLAVOUR)$/\1/p" |
		sort -V | tail -n 1)
	if [ -z "$newest" ]; then
		echo "The mirror has no kernel of the $KERNEL_SERIES series in $DEBIAN_BACKPORTS." >&2
		echo "Set KERNEL_SERIES and KERNEL_VERSION in tools/versions.mk to one that it has:" >&2
		apt-cache pkgnames linux-headers- | grep -E -- "-$KERNEL_FLAVOUR$" | sort -V >&2
		exit 1
	fi
	echo "setup: the mirror no longer has kernel $release; taking $newest" >>"$conf/notice"
	release=$newest
fi
echo "$release" >"$conf/kernel-release"

bpo=$(sed 's/#.*//' /tmp/packages | tr -s ' ' '\n' | sed -n 's/@bpo$//p')
# The kernel's postinst would make an initramfs for a machine that never boots.
mkdir -p /etc/kernel
printf 'do_symlinks=no\n' >/etc/kernel-img.conf
# shellcheck disable=SC2086
apt-get install -y --no-install-recommends -t "$DEBIAN_BACKPORTS" \
	"linux-image-$release" "linux-headers-$release" "linux-source-$KERNEL_SERIES" $bpo
apt-get clean
rm -rf /var/lib/apt/lists/*
ln -sf gcc-14 /usr/bin/gcc
ln -sf gcc-14 /usr/bin/cc
