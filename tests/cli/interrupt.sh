#!/bin/sh
# Ctrl-C saves and exits with 130; the same command then finishes, byte for byte as if it had never been stopped; so do
# shards that are merged. usage: interrupt.sh STRATA
set -u
strata=$1
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
. tests/cli/expect.sh.inc

cp tests/data/cli/shape.png "$out/"
i=0
while [ $i -lt 12 ]; do
    printf '{"id": "s%d", "messages": [{"role": "user", "content": "<image>what shape is number %d?"}], "images": ["shape.png"], "solution": "circle", "ability": "shape"}\n' $i $i
    i=$((i + 1))
done >"$out/data.jsonl"
score="score $out/data.jsonl --model models/easyvqa-tiny --max-new-tokens 24 --draws 4 --seed 3"

# shellcheck disable=SC2086 # $score is a list of words
{
    expect 0 -- $score --out "$out/whole"

    "$strata" $score --out "$out/stopped" >"$out/stdout" 2>"$out/stderr" &
    child=$!
    waited=0
    # Once the store is there, the run is under way.
    while [ ! -s "$out/stopped/run.sqlite" ] && [ $waited -lt 200 ]; do
        sleep 0.05
        waited=$((waited + 1))
    done
    kill -INT $child
    wait $child
    status=$?
    # A machine may be fast enough to finish first; then there is nothing to learn here.
    if [ $status -eq 0 ]; then
        echo "(finished before it could be stopped)"
    else
        [ $status -eq 130 ] || fail "interrupted: exit $status, not 130: $(cat "$out/stderr")"
        [ ! -e "$out/stopped/difficulty.jsonl" ] || fail "an interrupted run has a difficulty.jsonl"
        expect 0 -- $score --out "$out/stopped"
    fi
    cmp "$out/whole/difficulty.jsonl" "$out/stopped/difficulty.jsonl" || fail "resumed and unbroken runs differ"

    # A full disk (here: a limit on the size of files) is an error that says so, and the run goes on when there is room.
    if (trap '' XFSZ && ulimit -f 64) 2>/dev/null; then
        (trap '' XFSZ && ulimit -f 64 && "$strata" $score --out "$out/full") >"$out/stdout" 2>"$out/stderr"
        status=$?
        [ $status -eq 1 ] || fail "full disk: exit $status, not 1: $(cat "$out/stderr")"
        grep -q "disk is full" "$out/stderr" || fail "full disk: not said: $(cat "$out/stderr")"
        [ ! -e "$out/full/difficulty.jsonl" ] || fail "full disk: difficulty.jsonl was written"
        # A little more room: some answers are saved before it is full again.
        (trap '' XFSZ && ulimit -f 128 && "$strata" $score --out "$out/full") >/dev/null 2>&1
        expect 0 -- $score --out "$out/full"
        cmp "$out/whole/difficulty.jsonl" "$out/full/difficulty.jsonl" || fail "a run on a full disk and the whole run differ"
    fi

    for shard in 1 2 3; do expect 0 -- $score --out "$out/shard-$shard" --shard $shard/3 --threads 1; done
    expect 0 -- merge "$out/shard-1" "$out/shard-2" "$out/shard-3" --out "$out/merged"
    cmp "$out/whole/difficulty.jsonl" "$out/merged/difficulty.jsonl" || fail "merged shards and the whole run differ"
    expect 0 -- compare "$out/whole" "$out/merged"
    expect 1 -- compare "$out/whole" "$out/shard-1"
    expect 1 "" -- merge "$out/shard-1" "$out/shard-1" --out "$out/twice"

    expect 0 -- $score --out "$out/pilot" --dry-run --pilot 4
    grep -q "^  time " "$out/stdout" || fail "--dry-run gives no time"
    [ ! -e "$out/pilot/difficulty.jsonl" ] || fail "--dry-run writes difficulty.jsonl"

    expect 0 -- select "$out/whole" --strata all --out "$out/all.jsonl"
    [ "$(grep -c . "$out/all.jsonl")" -eq 12 ] || fail "select --strata all does not give every record"
    expect 0 -- select "$out/whole" --strata unsolved,hard --random-like --seed 1 --out "$out/random.jsonl" --json
    expect 2 "did you mean" -- select "$out/whole" --stratum all --out "$out/x.jsonl"
    expect 2 "" -- select "$out/whole" --strata middling --out "$out/x.jsonl"
    expect 2 "pass-rate" -- select "$out/whole" --pass-rate 0.5 --out "$out/x.jsonl"
}
finish
