#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# canary.sh - build the driver once for each patch of canaries/, which takes one
# of its checks away: build/canaries/NAME.ko, or NAME.error if the patch does not
# apply or build. The suite "canary" then wants the hostile case that the patch
# names to fail. With T=canary, or FULL=1 of everything, all are built; otherwise two, others
# each day; none if T means something else.

. "$(dirname "$0")/../env/lib.sh"
cd "$project"
out=build/canaries
[[ ${DRIVER:-both} != c ]] || exit 0

names=(tools/testing/canaries/*.patch)
if [[ ,${T:-}, == *,canary.* ]]; then
	chosen=()
	for patch in "${names[@]}"; do
		name=$(basename "$patch" .patch)
		[[ ,$T, != *,canary.${name//-/_},* ]] || chosen+=("$patch")
	done
elif [[ ,${T:-}, == *,canary* || (${FULL:-0} != 0 && -z ${T:-}) ]]; then
	chosen=("${names[@]}")
elif [ -z "${T:-}" ]; then
	day=$(date +%-j)
	chosen=("${names[day * 2 % ${#names[@]}]}" "${names[(day * 2 + 1) % ${#names[@]}]}")
else
	exit 0
fi

mkdir -p $out
exec 8>$out/.lock
flock 8
# Those of another choice are not of this run; those of the same sources are still good.
key=$(find drivers rust Kbuild tools/env tools/versions.mk -name target -prune -o \
	-type f ! -name '*_generated.rs' -print | LC_ALL=C sort | xargs cat | sha256sum)
for ko in $out/*.ko $out/*.error; do
	name=$(basename "${ko%.*}")
	[[ $ko = *.ko && " ${chosen[*]} " == *"/$name.patch "* &&
		$(cat $out/"$name".key 2>/dev/null) == "$key $(sha256sum <"tools/testing/canaries/$name.patch")" ]] ||
		rm -f "$ko" $out/"$name".key
done

# A copy of what the module is made from, which keeps its objects from run to run: what differs
# has new times, as an object may be newer that a patched source was made into.
mkdir -p $out/src/tools
for folder in drivers rust tools/env; do
	[ ! -d "$out/src/$folder" ] || (cd "$out/src/$folder" && find . -type f -print0) |
		while IFS= read -rd '' file; do
			[ -e "$folder/$file" ] || rm "$out/src/$folder/$file"
		done
	(cd $folder && find . -type f -print0) |
		while IFS= read -rd '' file; do
			cmp -s "$folder/$file" "$out/src/$folder/$file" || {
				mkdir -p "$(dirname "$out/src/$folder/$file")"
				cp --preserve=mode "$folder/$file" "$out/src/$folder/$file"
			}
		done
done
cp -p Kbuild $out/src/
cp -p tools/versions.mk $out/src/tools/

for patch in "${chosen[@]}"; do
	name=$(basename "$patch" .patch)
	[ ! -e $out/"$name".ko ] || continue
	say "building the driver without its check: $name"
	log=$out/$name.log
	if ! patch -p1 --forward --batch -d $out/src <"$patch" >"$log" 2>&1; then
		echo "the patch does not apply any more (see $log)" >$out/"$name".error
	elif ! ko=$(env -u KDIR -u T $out/src/tools/env/module.sh 2>>"$log"); then
		echo "the driver does not build without this check (see $log)" >$out/"$name".error
	else
		cp "$ko" $out/"$name".ko
		echo "$key $(sha256sum <"$patch")" >$out/"$name".key
	fi
	# Back to what it was, with new times, so that all of it is built again.
	for file in $(sed -n 's|^+++ b/||p' "$patch"); do
		cp "$file" "$out/src/$file"
	done
	find $out/src \( -name '*.rej' -o -name '*.orig' \) -delete
done
