#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# report-page.sh [PAGE] - does a browser show the benchmark's report as it should? Without
# PAGE one of made-up figures. The machine's own browser is asked, $BROWSER if that is set; without
# one the status is 77.

. "$(dirname "$0")/../../env/lib.sh"
cd "$project"
out=build/report-page
mkdir -p $out

find_browser() {
	local name
	for name in "${BROWSER:-}" chromium chromium-headless-shell chromium-browser google-chrome; do
		[ -n "$name" ] && type -P "$name" && return
	done
	return 1
}

if ! browser=$(find_browser); then
	echo "no chromium on this machine (or BROWSER=)"
	exit 77
fi
page=${1:-}
if [ -z "$page" ]; then
	tools/env/in-tree.sh python3 -B tools/testing/bench/tests/sample.py $out
	page=$out/report.html
fi

# The page with the checks at its end, and what they say in its last element.
checked=$out/checked.html
{
	cat "$page"
	echo "<script>"
	cat tools/testing/host/report-page.js
	echo "</script>"
} >$checked

profile=$(mktemp -d)
trap 'rm -rf "$profile"' EXIT
flags=(--headless --disable-gpu --no-first-run --user-data-dir="$profile" --virtual-time-budget=2000
	--timeout=30000 --host-resolver-rules="MAP * ~NOTFOUND")
[ "$(id -u)" != 0 ] || flags+=(--no-sandbox)

failed=0
for width in 1200 480; do
	for scheme in 0 1; do
		said=$(timeout 60 "$browser" "${flags[@]}" --window-size=$width,900 \
			--blink-settings=preferredColorScheme=$scheme --dump-dom "file://$project/$checked" \
			2>$out/browser.log | sed -n 's/.*<pre id="checked">\([^<]*\).*/\1/p')
		[ "$said" = "all is well" ] || failed=1
		echo "$width wide, $([ $scheme = 0 ] && echo dark || echo light): ${said:-nothing was shown; see $out/browser.log}"
	done
done
exit $failed
