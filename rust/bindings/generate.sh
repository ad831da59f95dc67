#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# generate.sh KERNEL_BINDINGS PARAMETERS HEADER OUT CFLAGS... - write to OUT the
# bindings of HEADER, less whatever the kernel crate's own KERNEL_BINDINGS have.

set -eu
kernel=$1 parameters=$2 header=$3 out=$4
shift 4
trap 'rm -f "$out.raw"' EXIT

if [ ! -e "$kernel" ]; then
	echo "generate.sh: the kernel crate's bindings are missing: $kernel" >&2
	exit 1
fi

# Structures and unions that the kernel crate has must stay its own, but for
# those that it has only heard of. Aliases and enumerations are integers, the
# same by any path, and are filtered out of the result.
known_types() {
	awk '
		/^pub (struct|union) / { name = $3; sub(/[^A-Za-z0-9_].*/, "", name); next }
		name != "" && !/^    (_unused: \[u8; 0\]|pub _address: u8),$/ { print name }
		{ name = "" }
	' "$kernel" | paste -sd '|' -
}

# shellcheck disable=SC2046
"${BINDGEN:-bindgen}" "$header" \
	$(grep -Ev '^#|^$' "$parameters") --blocklist-type "$(known_types)" \
	--rust-target 1.85 --use-core --ctypes-prefix ffi --with-derive-default \
	--no-layout-tests --no-debug '.*' --enable-function-attribute-detection \
	-o "$out.raw" -- "$@"

# bindgen prints one function per extern block, one constant or alias per item,
# attributes on lines before. Types that both sides have only heard of are the
# kernel crate's, too. Functions and aliases with a type that the kernel crate has
# only heard of are generated anew, with the complete type.
awk -v first="$kernel" '
	function name_of(line) {
		sub(/^ *pub (const |type |fn |struct |static (mut )?)/, "", line)
		sub(/[^A-Za-z0-9_].*/, "", line)
		return line
	}
	function mentions_heard(text, words, n, i) {
		n = split(text, words, /[^A-Za-z0-9_]+/)
		for (i = 1; i <= n; i++)
			if (words[i] in heard) return 1
		return 0
	}
	function flush() { printf "%s", held; held = "" }
	FILENAME == first {
		if (/^    (_unused: \[u8; 0\]|pub _address: u8),$/) heard[name] = 1
		if (/^ *pub (const|type|fn|static|struct) /) known[name = name_of($0)] = 1
		next
	}

	/^(unsafe )?extern "C" \{$/ { block = $0; drop = 0; next }
	block != "" {
		block = block "\n" $0
		if (/^    pub (fn|static) / && name_of($0) in known) drop = 1
		if (/^\}$/) {
			if (!drop || mentions_heard(block)) print block
			block = ""
		}
		next
	}

	skipping { if (/[;}]$/) skipping = 0; next }
	alias != "" || /^pub (const|type) / && name_of($0) in known && !/^pub (const|type) _bindgen_ty_/ {
		alias = alias $0 "\n"
		if (/;$/) {
			if (mentions_heard(alias)) printf "%s", alias
			alias = ""
		}
		next
	}

	/^#\[/ { held = held $0 "\n"; next }
	/^pub struct .* \{$/ { held = held $0 "\n"; struct = name_of($0); next }
	struct != "" {
		if (struct in known && /^    (_unused: \[u8; 0\]|pub _address: u8),$/) {
			held = ""
			skipping = 1
		}
		struct = ""
		if (skipping) next
	}
	{ flush(); print }
' "$kernel" "$out.raw" |
	sed -E -e 's/^pub const RUST_CONST_HELPER_/pub const /' \
		-e 's/^( *)pub fn rust_helper_([A-Za-z0-9_]*)/\1#[link_name = "rust_helper_\2"]\n\1pub fn \2/' >"$out"
