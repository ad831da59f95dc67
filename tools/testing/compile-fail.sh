#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# compile-fail.sh - misuse of knet must not build: for each file of compile-fail/
# one case. Prints KTAP; fails if a case fails.

. "$(dirname "$0")/../env/lib.sh"
cd "$project"
out=$project/build/compile-fail
rm -rf "$out"
tools/env/module.sh VNR_COMPILE_FAIL="$out" modules >/dev/null

number=0 failed=0
echo 'KTAP version 1'
for file in tools/testing/compile-fail/*.rs; do
	number=$((number + 1)) name=$(basename "$file" .rs)
	if [ -e "$out/$name" ] && [ ! -s "$out/$name" ]; then
		echo "ok $number $name"
	else
		failed=$((failed + 1))
		[ ! -e "$out/$name" ] || sed 's/^/# /' "$out/$name"
		echo "not ok $number $name"
	fi
done
echo "1..$number"
echo "# $((number - failed)) passed, $failed failed, 0 skipped"
[ $failed = 0 ]
