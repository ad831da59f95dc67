#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Make the cached copy of the kernel's own selftests of network drivers, XDP and AF_XDP,
# with their programs built, and print its folder.

. "$(dirname "$0")/lib.sh"
tree=$("$env_dir/tree.sh")

# The packages that it is made from: it outlives a tree that differs in others.
made_from() {
	awk '/^Package: / { name = $2 }
		/^Version: / && name ~ /^(linux-source-.*|gcc-14|clang-19|bpftool|libc6-dev|libelf-dev|python3)$/ {
			print name, $2
		}' "$tree/var/lib/dpkg/status"
}

selftests=$cache/selftests-$(made_from | key "$env_dir/make-selftests.sh" -)

make_selftests() {
	[ -e "$selftests/.complete" ] && return
	rm -rf "$selftests" "$selftests.new"
	step "unpacking and building the kernel's selftests (about a minute, once)" \
		timeout 900 "$env_dir/in-tree.sh" "$env_dir/make-selftests.sh" \
		"/usr/src/linux-source-$KERNEL_SERIES.tar.xz" "$selftests.new"
	: >"$selftests.new/.complete"
	mv "$selftests.new" "$selftests"
}

[ -e "$selftests/.complete" ] || with_lock selftests make_selftests
echo "$selftests"
