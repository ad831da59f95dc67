#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# in-tree.sh COMMAND... - run a command inside the cached Debian tree, with the
# project and the cache at their own paths and the working directory kept.
# Inside, $VNR_TREE, $VNR_CACHE and $VNR_PROJECT name the three.

. "$(dirname "$0")/lib.sh"
tree=$("$env_dir/tree.sh")

if [ "${1:-}" = --inside ]; then
	shift
	root=$tree
	# A mount point for the root itself, so that chroot has /proc/mounts right.
	mount --bind "$root" "$root"
	mount --rbind /dev "$root/dev"
	mount --rbind /proc "$root/proc"
	mount --rbind /sys "$root/sys"
	mount -t tmpfs tmpfs "$root/tmp"
	mount -t tmpfs tmpfs "$root/run"
	for dir in "$project" "$cache" ${VNR_BIND:-}; do
		mkdir -p "$root$dir"
		mount --rbind "$dir" "$root$dir"
	done
	# Names and certificates as the host has them.
	for file in /etc/resolv.conf /etc/hosts /etc/ssl/certs/ca-certificates.crt; do
		[ -e "$file" ] || continue
		[ -e "$root$file" ] || : >"$root$file"
		mount --bind "$(realpath "$file")" "$(realpath "$root$file")"
	done
	export VNR_TREE=$root VNR_CACHE=$cache VNR_PROJECT=$project
	export HOME=$cache/home CARGO_HOME=$cache/cargo
	export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
	export LC_ALL=C.UTF-8
	unset CARGO_TARGET_DIR RUSTUP_HOME RUSTUP_TOOLCHAIN RUSTFLAGS PYTHONPATH PYTHONHOME
	mkdir -p "$HOME" "$CARGO_HOME"
	cwd=$PWD
	# shellcheck disable=SC2016
	exec chroot "$root" /bin/bash -c 'cd "$0" 2>/dev/null || cd /; exec "$@"' "$cwd" "$@"
fi

[ $# -gt 0 ] || die "usage: in-tree.sh COMMAND..."
flags=(--mount --propagation private)
if [ "$(id -u)" != 0 ]; then
	unshare --user --map-root-user true 2>/dev/null ||
		die "this machine does not let an ordinary user make a user namespace" \
			"run as root, or: sudo sysctl -w kernel.unprivileged_userns_clone=1" \
			"(on kernels with AppArmor: kernel.apparmor_restrict_unprivileged_userns=0)"
	flags+=(--user --map-root-user)
fi
exec unshare "${flags[@]}" -- "$0" --inside "$@"
