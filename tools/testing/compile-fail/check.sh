#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# check.sh FILE OUT RUSTC... - a fragment of a driver must build by the command
# RUSTC, and must not with --cfg misuse: then each line marked "//~ ERROR TEXT"
# has an error with TEXT in it, such as its code, and no other line has one.
# What is wrong goes to OUT, which is empty if nothing is.

file=$1 out=$2
shift 2
name=$(basename "$file" .rs)

compile() {
	"$@" --error-format=short --crate-name "$name" --emit=metadata="$out.rmeta" "$file" 2>&1
}

compile "$@" >"$out.right" || {
	echo "$file: does not build without the misuse:"
	sed 's/^/  /' "$out.right"
} >"$out"
[ ! -s "$out" ] || exit 0

if compile "$@" --cfg misuse >"$out.wrong"; then
	echo "$file: the misuse builds" >"$out"
	exit 0
fi
# "LINE TEXT" of the marks, and "LINE MESSAGE" of the errors.
grep -n '//~ ERROR ' "$file" | sed -E 's|^([0-9]+):.*//~ ERROR |\1 |' >"$out.expected"
sed -nE 's/^[^ ]*\.rs:([0-9]+):[0-9]+: error(.*)/\1 error\2/p' "$out.wrong" >"$out.actual"
{
	[ -s "$out.expected" ] || echo "$file: marks no error"
	while read -r line text; do
		grep "^$line " "$out.actual" | grep -qF -- "$text" ||
			echo "$file:$line: no error with \"$text\""
	done <"$out.expected"
	while read -r line message; do
		grep -q "^$line " "$out.expected" || echo "$file:$line: unexpected $message"
	done <"$out.actual"
} >"$out"
[ ! -s "$out" ] || sed 's/^/  /' "$out.wrong" >>"$out"
