#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# report-page.sh [PAGE] - does a browser show the benchmark's report as it should? Without
# PAGE one of made-up figures.

. "$(dirname "$0")/../../env/lib.sh"
if [ "${1:-}" != --inside ]; then
	exec "$env_dir/in-tree.sh" "$0" --inside "$@"
fi
shift
cd "$project"
out=build/report-page
mkdir -p $out
page=${1:-}
if [ -z "$page" ]; then
	python3 -B tools/testing/bench/tests/sample.py $out
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

# There is no sandbox for root, and nothing that comes from elsewhere.
flags=(--no-sandbox --disable-gpu --no-first-run --user-data-dir=/tmp/profile --virtual-time-budget=2000
	--timeout=30000 --host-resolver-rules="MAP * ~NOTFOUND")

failed=0
for width in 1200 480; do
	for scheme in 0 1; do
		said=$(timeout 60 chromium-headless-shell "${flags[@]}" --window-size=$width,900 \
			--blink-settings=preferredColorScheme=$scheme --dump-dom "file://$project/$checked" \
			2>$out/browser.log | sed -n 's/.*<pre id="checked">\([^<]*\).*/\1/p')
		[ "$said" = "all is well" ] || failed=1
		echo "$width wide, $([ $scheme = 0 ] && echo dark || echo light): ${said:-nothing was shown; see $out/browser.log}"
	done
done
exit $failed
