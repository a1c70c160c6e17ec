#!/bin/sh
# The small model that ships looks at the synthetic world and fills all four strata by both measures.
# usage: strata_tiny.sh STRATA (in the source directory)
set -u
strata=$1
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
. tests/cli/expect.sh.inc

"$strata" synth --out "$out/world" --seed 100 --counts 0,0,120 --quiet >/dev/null 2>"$out/stderr" || {
    cat "$out/stderr"
    exit 77 # no cairo, no fonts
}
expect 0 -- score "$out/world/test.jsonl" --model models/strata-tiny --out "$out/run" --max-new-tokens 96 --quiet --json
for metric in pism cmab; do
    for stratum in easy medium hard unsolved; do
        count=$(grep -c "\"$metric\": {\"stratum\": \"$stratum\"" "$out/run/difficulty.jsonl")
        echo "$metric $stratum $count"
        [ "$count" -ge 4 ] || fail "$metric: only $count of 120 samples are $stratum"
    done
done
finish
