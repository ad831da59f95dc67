#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# rust-metadata.sh HEADERS SOURCE OUT - make OUT, a build tree for the kernel
# whose headers folder is HEADERS: a copy of it plus rust/*.rmeta, rust/*.so and
# scripts/target.json, made from SOURCE (a kernel source folder or tarball of
# the same version) with the headers' own .config.

set -euo pipefail
headers=$1 source=$2 out=$3
jobs=$(nproc)
work=$(mktemp -d "$(dirname "$out")/rust-metadata.XXXXXX")
trap 'rm -rf "$work"' EXIT

if [ -d "$source" ]; then
	src=$source
else
	echo "unpacking $source"
	tar -C "$work" -xf "$source"
	src=$(echo "$work"/linux-source-*)
fi

obj=$work/obj
mkdir -p "$obj"
cp "$headers/.config" "$obj/.config"
make_kernel() {
	make -C "$src" O="$obj" ARCH=x86 CC=x86_64-linux-gnu-gcc-14 HOSTCC=gcc-14 -j"$jobs" "$@"
}
make_kernel olddefconfig
# Another toolchain than the kernel's would silently give another configuration.
if ! diff <(grep -E '^CONFIG_(RUST|RUSTC|GCC)' "$headers/.config") \
	<(grep -E '^CONFIG_(RUST|RUSTC|GCC)' "$obj/.config"); then
	echo "rustc, gcc or bindgen are not those that built this kernel (see above)" >&2
	exit 1
fi
make_kernel prepare

# The names that this metadata gives to Rust symbols must be the ones that the
# kernel exports; they carry a hash of the compiler and its options.
exported=$(awk '$2 ~ /^_R/ && $3 ~ /^(vmlinux|rust\/)/ { print $2 }' "$headers/Module.symvers" | sort -u)
made=$(nm -g --defined-only "$obj"/rust/*.o | awk '$2 ~ /[TRDB]/ { print $3 }' | sort -u)
missing=$(comm -23 <(echo "$exported") <(echo "$made") | wc -l)
echo "Rust symbols that the kernel exports: $(echo "$exported" | wc -l), missing here: $missing"
if [ "$missing" -ne 0 ]; then
	echo "the Rust metadata does not fit this kernel" >&2
	exit 1
fi

mkdir -p "$out"
cp -a "$headers/." "$out/"
# Debian links these to a folder beside the headers.
for link in scripts tools; do
	if [ -L "$out/$link" ]; then
		rm "$out/$link"
		cp -a "$(realpath "$headers/$link")" "$out/$link"
	fi
done
mkdir -p "$out/rust"
cp "$obj"/rust/*.rmeta "$obj"/rust/*.so "$out/rust/"
cp "$obj/rust/bindings/bindings_generated.rs" "$out/rust/" 2>/dev/null ||
	cp "$obj"/rust/bindings_generated.rs "$out/rust/"
cp "$obj/scripts/target.json" "$out/scripts/"
sed -i "s|$headers\$|$out|" "$out/Makefile"
