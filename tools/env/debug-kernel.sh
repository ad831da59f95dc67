#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# debug-kernel.sh SOURCE CONFIG WORK OUT - inside the tree: build the kernel of
# the tarball SOURCE with CONFIG on top of allnoconfig, by clang, which Rust
# with KASAN needs. WORK keeps what is built, so that a run that was broken off
# goes on there. OUT gets
#
#   bzImage, config, System.map, release, vmlinux.btf
#   lib/modules/RELEASE    its modules
#   build                  what modules are built against

set -euo pipefail
source=$1 config=$2 work=$3 out=$4
# Below its source, the object folder is named by relative paths only.
src=$work/source obj=$work/source/obj

make_kernel() {
	make -C "$src" O="$obj" ARCH=x86_64 LLVM=-19 -j"$(nproc)" "$@"
}

if [ ! -e "$work/.unpacked" ]; then
	echo "unpacking $source"
	rm -rf "$src"
	mkdir -p "$src"
	tar -C "$src" --strip-components=1 -xf "$source"
	: >"$work/.unpacked"
fi
mkdir -p "$obj"
make_kernel KCONFIG_ALLCONFIG="$config" allnoconfig

# A symbol that is gone, renamed, or lacks what it depends on, is dropped silently.
lost=$(grep -E '^CONFIG_' "$config" | grep -vxFf "$obj/.config" || true)
if [ -n "$lost" ]; then
	echo "These lines of $config did not get into the configuration:" >&2
	while read -r line; do
		echo "  $line, but: $(grep -E "^(# )?${line%%=*}[ =]" "$obj/.config" ||
			echo 'no such symbol, or one whose dependencies are off')" >&2
	done <<<"$lost"
	exit 1
fi

start=$SECONDS
make_kernel bzImage modules
echo "built in $((SECONDS - start)) s: $(find "$obj" -name '*.o' | wc -l) objects"

rm -rf "$out"
mkdir -p "$out"
release=$(cat "$obj/include/config/kernel.release")
make_kernel INSTALL_MOD_PATH="$out" INSTALL_MOD_STRIP=1 modules_install
rm -f "$out/lib/modules/$release/build"
cp "$obj/arch/x86/boot/bzImage" "$obj/System.map" "$out"
cp "$obj/.config" "$out/config"
echo "$release" >"$out/release"
llvm-objcopy-19 --dump-section .BTF="$out/vmlinux.btf" "$obj/vmlinux" "$work/discard"

# The kernel's own script for what modules need leaves out Rust's part.
make_kernel run-command KBUILD_RUN_COMMAND="+\$(srctree)/scripts/package/install-extmod-build $out/build"
cp "$obj/.config" "$out/build/.config"
mkdir -p "$out/build/rust"
cp "$obj"/rust/*.rmeta "$obj"/rust/*.so "$out/build/rust/"
cp "$obj/rust/bindings/bindings_generated.rs" "$out/build/rust/"
cp "$obj/scripts/target.json" "$out/build/scripts/"
