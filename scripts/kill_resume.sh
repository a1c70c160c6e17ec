#!/bin/sh
# kill -9 at random moments: a native score run that is killed again and again, and goes on with another number of threads and
# answers at once each time, ends byte for byte like one that never was.
# usage: scripts/kill_resume.sh STRATA DATA.jsonl [KILLS=20] [RECORDS=60]
set -u
strata=$1
data=$2
kills=${3:-20}
records=${4:-60}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
score="score $data --model models/easyvqa-tiny --limit $records --seed 5 --quiet"

start=$(date +%s%N)
# shellcheck disable=SC2086 # a list of words
"$strata" $score --out "$out/whole" >/dev/null || exit 1
took=$((($(date +%s%N) - start) / 1000000))
echo "unbroken: $took ms"
done_early=0
i=0
while [ $i -lt "$kills" ]; do
    # Random moments that on average let the run get ahead by less than its share of the kills.
    moment=$(od -An -N4 -tu4 /dev/urandom | awk -v most="$took" -v kills="$kills" \
        '{ printf "%.3f", 0.02 + ($1 % 1000) / 1000 * most / 1000 / kills }')
    # shellcheck disable=SC2086
    "$strata" $score --threads $((i % 3 + 1)) --batch $((i % 4 * 5)) --out "$out/killed" >/dev/null 2>&1 &
    child=$!
    sleep "$moment"
    kill -9 $child 2>/dev/null || done_early=$((done_early + 1))
    wait $child 2>/dev/null
    i=$((i + 1))
done
# shellcheck disable=SC2086
"$strata" $score --out "$out/killed" >/dev/null || exit 1
if cmp "$out/whole/difficulty.jsonl" "$out/killed/difficulty.jsonl"; then
    echo "$((kills - done_early)) kills ($done_early attempts had finished): difficulty.jsonl is the same"
    echo "1 passed, 0 failed"
else
    echo "0 passed, 1 failed"
    exit 1
fi
