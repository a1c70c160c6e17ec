#!/bin/sh
# The data script makes the layout of the reference copy: every record that stands in both is equal, and images are
# the same bytes. usage: easyvqa_data.sh (in the source directory)
set -eu
shared=${STRATA_SHARED:-../shared}/data/easyvqa
wheel=.cache/easy_vqa-1.0-py3-none-any.whl
[ -f "$wheel" ] || { echo "skipped: there is no $wheel (make data fetches it)"; exit 77; }
[ -f "$shared/test.jsonl" ] || { echo "skipped: there is no $shared to compare with"; exit 77; }

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
python3 scripts/easyvqa.py "$wheel" "$out/all" --all 2>/dev/null
python3 scripts/easyvqa.py "$wheel" "$out/drawn" 2>/dev/null
for split in test train; do
    # With every question written, each reference record must be there, letter for letter.
    sort "$shared/$split.jsonl" >"$out/reference"
    sort "$out/all/$split.jsonl" >"$out/ours"
    lost=$(comm -23 "$out/reference" "$out/ours" | wc -l)
    [ "$lost" -eq 0 ] || { echo "FAILED: $lost records of $shared/$split.jsonl come out different"; exit 1; }
    # The draw has the reference's size and its shares of abilities.
    for ability in '' '"ability": "color"' '"ability": "shape"' '"ability": "presence"'; do
        expected=$(grep -c "$ability" "$shared/$split.jsonl")
        drawn=$(grep -c "$ability" "$out/drawn/$split.jsonl")
        [ "$expected" -eq "$drawn" ] || { echo "FAILED: $split '$ability': $drawn records, not $expected"; exit 1; }
    done
    for image in "$shared/images/$split"-*.png; do
        cmp "$image" "$out/all/images/$(basename "$image")"
    done
done
echo "ok"
