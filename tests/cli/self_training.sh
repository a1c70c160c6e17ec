#!/bin/sh
# Training on the model's own right answers: score, select --responses, sft --target self. What it said greedily it finds
# likely, so the first loss is far below that of targets it never says. usage: self_training.sh STRATA
set -u
strata=$1
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
. tests/cli/expect.sh.inc
data=tests/data/train/train.jsonl
model="--model models/easyvqa-tiny --threads 1"

# first_loss TARGET DATA   of sft's first update, all records in it (most of what is left of it is the newline behind
# <|im_end|>, which this model never wrote)
# shellcheck disable=SC2086 # a list of words
first_loss() {
    expect 0 -- sft "$2" $model --out "$out/sft-$1" --target "$1" --max-steps 1 --batch-size 16 --skip-bad --quiet
    loss=$(sed -n 's/^{"step": 1,.*"loss": \([0-9.e-]*\),.*/\1/p' "$out/sft-$1/metrics.jsonl")
    [ -n "$loss" ] || fail "no loss in metrics.jsonl of --target $1"
}

# shellcheck disable=SC2086 # a list of words
{
    expect 0 -- score $data $model --metric cmab --max-new-tokens 24 --out "$out/run" --quiet
    expect 0 -- select "$out/run" --strata all --responses --out "$out/chosen.jsonl"
    right=$(grep -c '"response": "' "$out/chosen.jsonl")
    all=$(grep -c . "$out/chosen.jsonl")
    if [ "$right" -eq 0 ] || [ "$right" -eq "$all" ]; then fail "$right of $all records have a right answer, not some"; fi

    # A record without one is an error, unless such records are to be left out.
    expect 1 'no "response" to train towards' -- sft "$out/chosen.jsonl" $model --out "$out/refused" --target self \
        --max-steps 1 --batch-size 16 --quiet
    first_loss self "$out/chosen.jsonl"
    own=$loss
    grep -q "\"unusable\": $((all - right))" "$out/sft-self/last/trainer_state.json" ||
        fail "not $((all - right)) records left out: $(cat "$out/sft-self/last/trainer_state.json")"
    first_loss solution $data
    awk -v own="$own" -v other="$loss" 'BEGIN { exit !(own < 1 && other > 5 * own) }' ||
        fail "first loss on its own answers $own, on bare solutions $loss"
}
finish
