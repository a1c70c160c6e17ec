#!/bin/sh
# Each message that docs/troubleshooting.md quotes is one that the sources can say: its parts, between the places that
# differ, stand in that order in one statement. usage: troubleshooting.sh STRATA (which is not used)
set -u
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
# shellcheck source=tests/cli/expect.sh.inc
. tests/cli/expect.sh.inc

# The sources, a statement a line, string literals that are written in pieces joined.
find src -name '*.c' | while read -r file; do
    tr '\n' ' ' <"$file" | sed 's/"  *"//g; s/\\"/"/g; s/strata_fail/\n&/g; s/snprintf/\n&/g'
done >"$out/sources"
cat scripts/*.sh >>"$out/sources"
# shellcheck disable=SC2016 # the back-ticks are Markdown's
sed -n 's/^### `\(.*\)`$/\1/p' docs/troubleshooting.md >"$out/messages"
while read -r message; do
    pattern=$(printf '%s\n' "$message" | sed 's/[][\\.*^$+?(){}|]/\\&/g; s/…/.{1,160}/g')
    # The longest part first: it leaves few statements for the whole.
    part=$(printf '%s\n' "$message" | sed 's/…/\n/g' | awk 'length > length(best) { best = $0 } END { print best }')
    grep -F -e "$part" "$out/sources" | grep -qE -e "$pattern" || fail "nothing says: $message"
done <"$out/messages"
count=$(wc -l <"$out/messages")
[ "$count" -ge 30 ] || fail "only $count messages were found"
echo "$count messages"
finish
