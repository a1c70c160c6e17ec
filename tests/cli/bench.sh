#!/bin/sh
# strata bench's training tasks run the real loops, print the peers' keys and leave nothing behind. usage: bench.sh STRATA
set -u
strata=$1
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
. tests/cli/expect.sh.inc
TMPDIR=$out/tmp
export TMPDIR
mkdir "$TMPDIR"

# keys TASK KEY...   the line of a task has them all
keys() {
    task=$1
    shift
    expect 0 -- bench "$task" --model models/easyvqa-tiny --threads 2 --rounds 1 --image-tokens 16 --max-new-tokens 8 --json
    grep -qF "\"task\": \"$task\"" "$out/stdout" || fail "no line of the task $task: $(cat "$out/stdout")"
    grep -qF '"rounds": 1' "$out/stdout" || fail "bench $task counts the step that warms up: $(cat "$out/stdout")"
    for key in "$@"; do
        grep -qF "\"$key\": " "$out/stdout" || fail "bench $task prints no $key: $(cat "$out/stdout")"
    done
}

keys sft threads tok_s seconds forward_s backward_s optimizer_s batch response_tokens gflop_needed share peak_rss_mb
grep -qF '"seq": 512' "$out/stdout" || fail "bench sft: conversations are not of 512 tokens: $(cat "$out/stdout")"
keys grpo threads tok_s seconds generate_s reference_s optimizer_s group tokens beta prompt_tokens peak_rss_mb
keys prefix gain predicted shared_s alone_s
expect 2 "needs --model" -- bench sft
expect 2 "sft, grpo, prefix" -- bench nonsense --model models/easyvqa-tiny
left=$(ls "$TMPDIR")
[ -z "$left" ] || fail "bench leaves $left in TMPDIR"
finish
