#!/bin/sh
# Broken data sets: exit 1 with place and hint and no difficulty.jsonl, or with --skip-bad counted and left out.
# A scripted engine answers, so that this is about the data alone. usage: bad_data.sh STRATA
set -u
strata=$1
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
. tests/cli/expect.sh.inc

cp tests/data/cli/shape.png "$out/"
head -c 100 tests/data/cli/shape.png >"$out/broken.png"

record() { # id text image solution
    printf '{"id": "%s", "messages": [{"role": "user", "content": "%s"}], "images": ["%s"], "solution": "%s"}\n' "$@"
}
good() {
    record "$1" "<image>what shape?" shape.png rectangle
}

# case NAME LINE TEXT...: a data set of two good records around one bad LINE.
case_number=0
bad() {
    name=$1
    line=$2
    shift 2
    case_number=$((case_number + 1))
    data=$out/data-$case_number.jsonl
    { good first && printf '%s\n' "$line" && good last; } >"$data"
    run=$out/run-$case_number
    expect 1 "data-$case_number.jsonl:2" "$@" -- score "$data" --engine scripted --out "$run"
    [ ! -e "$run/difficulty.jsonl" ] || fail "$name: difficulty.jsonl was written"
    # The same run goes on when the bad record may be left out.
    expect 0 "skipped" "data-$case_number.jsonl:2" -- score "$data" --engine scripted --out "$run" --skip-bad
    [ "$(grep -c . "$run/difficulty.jsonl")" -eq 2 ] || fail "$name: --skip-bad does not give the two good records"
    grep -q "1 bad record" "$out/stdout" || fail "$name: the bad record is not counted"
}

bad "malformed JSON" '{"id": "b", "messages": [}' "data-1.jsonl:2:26"
bad "not an object" '[1, 2]'
bad "missing image file" "$(record b "<image>what?" nowhere.png x)" "nowhere.png"
bad "corrupt image" "$(record b "<image>what?" broken.png x)" "broken.png"
bad "more marks than images" "$(record b "<image><image>what?" shape.png x)" "<image>"
bad "no mark" "$(record b "what?" shape.png x)" "<image>"
bad "empty question" "$(record b "<image>" shape.png x)"
bad "empty solution" "$(record b "<image>what?" shape.png "")" "solution"
bad "no solution" '{"id": "b", "messages": [{"role": "user", "content": "what?"}], "images": []}' "solution"
bad "duplicate id" "$(good first)" "first"
bad "placeholder in the text" "$(record b "<image>what is <|image_pad|>?" shape.png x)" "<|image_pad|>"
bad "wrong type" '{"id": "b", "messages": 5, "images": [], "solution": "x"}' "messages"
bad "unknown role" '{"id": "b", "messages": [{"role": "wizard", "content": "what?"}], "images": [], "solution": "x"}' "wizard"
bad "duplicate key" '{"id": "b", "id": "c", "messages": [], "images": [], "solution": "x"}'

# --missing-image prepend is for data that relies on it.
record b "what?" shape.png x >"$out/prepend.jsonl"
expect 0 -- score "$out/prepend.jsonl" --engine scripted --out "$out/prepend" --missing-image prepend

expect 1 "nowhere.jsonl" -- score "$out/nowhere.jsonl" --engine scripted --out "$out/x"
expect 1 "" -- score tests/data/cli/shape.png --engine scripted --out "$out/x"
: >"$out/empty.jsonl"
expect 0 -- score "$out/empty.jsonl" --engine scripted --out "$out/empty"

# Settings that determine the draws are fixed for the life of a run directory; the refusal names the setting.
good a >"$out/one.jsonl"
expect 0 -- score "$out/one.jsonl" --engine scripted --out "$out/one"
expect 1 "seed" -- score "$out/one.jsonl" --engine scripted --out "$out/one" --seed 5
expect 0 -- score "$out/one.jsonl" --engine scripted --out "$out/one"
expect 0 -- inspect "$out/one"
grep -q "1 samples" "$out/stdout" || fail "inspect does not count the samples of a run"
expect 0 -- inspect "$out/one" --out "$out/one.csv"
head -1 "$out/one.csv" | grep -q '^id,index,ability,pism_stratum,' || fail "one.csv begins with $(head -1 "$out/one.csv")"
[ "$(wc -l <"$out/one.csv")" -eq 2 ] || fail "one.csv has not one row"
expect 2 "give a run directory" -- inspect models/easyvqa-tiny --out "$out/model.csv"

# Options that contradict each other.
expect 2 "--shard" -- score "$out/one.jsonl" --engine scripted --out "$out/x" --shard 3/2
expect 2 "--attempts" "--cmab-temperature" -- score "$out/one.jsonl" --engine scripted --out "$out/x" --attempts 4
expect 2 "--mask-fill" -- score "$out/one.jsonl" --engine scripted --out "$out/x" --mask-fill 1,2
expect 2 "" -- score "$out/one.jsonl" --engine scripted --out "$out/x" --tau 1.5
expect 2 "needs --model" -- score "$out/one.jsonl" --out "$out/x"

# A prompt that the model's context does not hold: the record's place, and its id where the engine says so.
mkdir "$out/short"
cp models/easyvqa-tiny/* "$out/short/"
sed 's/"max_position_embeddings": [0-9]*/"max_position_embeddings": 40/' models/easyvqa-tiny/config.json >"$out/short/config.json"
train=tests/data/train/train.jsonl
for command in score eval grpo sft; do
    place=
    case $command in
    score | eval) place=" (easyvqa-train-0147-08)" ;;
    esac
    expect 1 "train.jsonl:" "$place" "tokens" -- $command $train --model "$out/short" --out "$out/short-$command" --threads 1 \
        --quiet
done
finish
