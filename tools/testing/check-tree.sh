#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Rules of the tree that no compiler checks. Prints KTAP; fails if a case fails.
# check-tree.sh [FOLDER] checks another checkout than its own.

set -u
cd "${1:-$(dirname "$0")/../..}" || exit 1

helper_lines_max=300
number=0 failed=0

# files PATTERN... - sources of the project that match one of the globs.
files() {
	local names=() pattern
	for pattern in "$@"; do
		names+=(-o -name "$pattern")
	done
	find . \( -path ./build -o -path ./.git -o -name target -o -name crates \
		-o -name __pycache__ \) -prune -o \
		-type f \( "${names[@]:1}" \) ! -name '*_generated.rs' ! -name '*.mod.c' -print |
		sed 's|^\./||' | sort
}

# result NAME OFFENCES - one case: ok when there are no offences.
result() {
	number=$((number + 1))
	if [ -z "$2" ]; then
		echo "ok $number $1"
	else
		failed=$((failed + 1))
		printf '%s\n' "$2" | sed 's/^/# /'
		echo "not ok $number $1"
	fi
}

licence() {
	# COPYING is the licence itself.
	{ git ls-files || files '*'; } 2>/dev/null | grep -vx COPYING | while read -r file; do
		[ ! -f "$file" ] || head -n 5 "$file" | grep -q 'SPDX-License-Identifier: GPL-2.0' ||
			echo "$file: no SPDX line in its first five lines"
	done
}

helper_lines() {
	local lines
	lines=$(files '*.c' '*.h' | grep '^rust/helpers/' | xargs -r cat | wc -l)
	[ "$lines" -le $helper_lines_max ] ||
		echo "rust/helpers has $lines lines, more than $helper_lines_max"
}

# Every definition has a contract in the comment before it.
helper_contracts() {
	files '*.c' | grep '^rust/helpers/' | xargs -r awk '
		FNR == 1 { comment = "" }
		/^\/\*/ { comment = "" }
		/^(\/\*| \*)/ { comment = comment $0 }
		/^[a-z].*rust_helper_[a-z0-9_]*\(/ && !/;$/ && comment !~ /[Ss]afety:/ {
			print FILENAME ":" FNR ": no \"Safety:\" in the comment before it"
		}
		/^}/ { comment = "" }
	'
}

# The drivers name the word only to forbid it, which each root file does.
driver_unsafe() {
	local root
	grep -rnw unsafe drivers --include='*.rs'
	grep -rn 'allow(unsafe_code)' drivers --include='*.rs'
	for root in $(grep -rlE '^module! *\{' drivers --include='*.rs'); do
		grep -qx '#!\[forbid(unsafe_code)\]' "$root" ||
			echo "$root: no #![forbid(unsafe_code)]"
	done
}

wire_unsafe() {
	grep -qx '#!\[forbid(unsafe_code)\]' rust/wire/virtio_net_wire.rs ||
		echo "rust/wire/virtio_net_wire.rs: no #![forbid(unsafe_code)]"
	find rust/wire -name target -prune -o -name '*.rs' -print |
		xargs -r grep -nwE 'unsafe *(\{|fn|impl)'
}

# A reason within six lines above each block and implementation, or on the
# lines of the same statement.
safety_comments() {
	files '*.rs' | grep '^rust/knet/' | xargs -r awk '
		FNR == 1 { reason = -100 }
		/SAFETY:/ { reason = FNR }
		{ code = $0; sub(/\/\/.*/, "", code) }
		code ~ /(^|[^A-Za-z0-9_"])unsafe +(\{|impl[ <])/ && FNR - reason > 6 {
			print FILENAME ":" FNR ": no SAFETY comment within six lines above"
		}
	'
}

# The words are put together here, so that this file does not hold them itself.
foreign_words() {
	local pattern='(^|[^A-Za-z0-9_.])/(ro''ot|wo''rk|ho''me/[a-z]+)/'
	pattern+='|(index|static)\.cra''tes\.io|arti''factory|deb\.internal'
	files '*' | grep -v '\.\(png\|ko\|o\|pcap\|pyc\)$' | xargs -r grep -nIE "$pattern"
}

# Patches that take a check away apply, and name a case that there is.
canaries() {
	local patch case
	for patch in tools/testing/canaries/*.patch; do
		patch -p1 --dry-run --forward --batch --silent <"$patch" >/dev/null || echo "$patch does not apply"
		case=$(sed -n 's/^Case: //p' "$patch")
		grep -Eq "${case%%_*}" tools/testing/tests/test_hostile.py || echo "$patch: no case $case"
	done
}

echo "KTAP version 1"
echo "1..8"
result "every file names its licence" "$(licence)"
result "the C helpers have at most $helper_lines_max lines" "$(helper_lines)"
result "each C helper states its safety contract" "$(helper_contracts)"
result "no unsafe code in drivers" "$(driver_unsafe)"
result "no unsafe code in the wire crate" "$(wire_unsafe)"
result "each unsafe block of knet has its reason" "$(safety_comments)"
result "no path or host of a single machine" "$(foreign_words)"
result "the canaries apply" "$(canaries)"
echo "# $((number - failed)) passed, $failed failed, 0 skipped"
[ $failed -eq 0 ]
