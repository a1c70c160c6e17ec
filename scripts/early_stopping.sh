#!/bin/sh
# Early stopping changes nothing: scores the first RECORDS of EasyVQA's test set with and without --full-curve and wants
# every sample's stratum and first failing ratio to be equal. usage: scripts/early_stopping.sh STRATA [RECORDS]
set -eu
cd "$(dirname "$0")/.."

strata=$1
records=${2:-200}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
for curve in "" --full-curve; do
    # shellcheck disable=SC2086 # nothing or one word
    "$strata" score data/easyvqa/test.jsonl --model models/easyvqa-tiny --metric pism --limit "$records" \
        --max-new-tokens 40 --out "$out/run$curve" $curve >"$out/summary$curve"
done
grep "^PISM draws" "$out/summary"
"$strata" compare "$out/run" "$out/run--full-curve"
