#!/bin/sh
# What verify, generate, inspect and init print is what they should. usage: commands.sh STRATA
set -u
strata=$1
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
. tests/cli/expect.sh.inc

model=models/easyvqa-tiny
image=tests/data/cli/shape.png
says() { # TEXT...: each stands in the last command's stdout
    for text in "$@"; do
        grep -qF -e "$text" "$out/stdout" || fail "\"$text\" is not in the output: $(cat "$out/stdout")"
    done
}

# verify: two right, one wrong, one whose thinking never ends.
cat >"$out/pairs.jsonl" <<'END'
{"id": "a", "solution": "circle", "completion": "<think>a square?</think><answer>circle</answer>", "extra": [1, 2]}
{"id": "b", "solution": "circle", "completion": "<think>circle</think><answer>square</answer>"}

{"id": "c", "solution": "7", "completion": "The answer is \\boxed{7.0}"}
{"id": "d", "solution": "7", "completion": "<think>it is <answer>7</answer>"}
END
expect 0 -- verify "$out/pairs.jsonl"
says "all         4   50.0 %"
expect 0 -- verify "$out/pairs.jsonl" --json
[ "$(grep -c '"correct": true' "$out/stdout")" -eq 2 ] || fail "verify --json: not two right answers"
says '"extra": [1, 2], "score": 1.0'
expect 0 -- verify "$out/pairs.jsonl" --json --limit 1
[ "$(grep -c . "$out/stdout")" -eq 1 ] || fail "verify --limit 1 grades more"
echo '{"id": "e", "solution": 7, "completion": "7"}' >>"$out/pairs.jsonl"
expect 1 "pairs.jsonl:6" "solution" -- verify "$out/pairs.jsonl"
expect 0 "skipped" "pairs.jsonl:6" -- verify "$out/pairs.jsonl" --skip-bad
says "1 bad line"

expect 0 -- verify "$out/pairs.jsonl" --explain 4
says "answer taken from the last box" "score 1"
expect 0 -- verify "$out/pairs.jsonl" --explain 4 --verify-mode math_verify
expect 0 -- verify "$out/pairs.jsonl" --limit 4 --grader 'while read -r line; do echo "{\"score\": 0.5}"; done'
says "custom" "0.5000"
expect 1 "custom grader" -- verify "$out/pairs.jsonl" --grader false
echo '{"solution": "[{", "completion": "x", "ability": "cv_detection"}' >"$out/gold.jsonl"
expect 1 -- verify "$out/gold.jsonl" --check-gold
says "gold.jsonl:1" "1 golds, 1 that no answer"
expect 2 "did you mean" -- verify "$out/pairs.jsonl" --check-golds

# generate: streamed text and JSON say the same; the balance is that of the reference arithmetic whatever the threads.
ask="generate what? --model $model --image $image --system Look. --max-new-tokens 24 --compute f32"
# shellcheck disable=SC2086 # a list of words
{
    expect 0 -- $ask
    answer=$(cat "$out/stdout")
    expect 0 -- $ask --json --cmab --threads 1
    says "\"text\": \"$answer\"" '"rho_layers": [['
    cp "$out/stdout" "$out/one"
    expect 0 -- $ask --json --cmab --threads 2 --prefill-chunk 7
    sed 's/"seconds": [^,}]*//' "$out/one" >"$out/a"
    sed 's/"seconds": [^,}]*//' "$out/stdout" >"$out/b"
    cmp "$out/a" "$out/b" || fail "generate depends on the threads or the prefill chunk"
    expect 0 -- $ask --cmab --out "$out/map.png"
    says "image / text" "balance"
    [ "$(head -c 4 "$out/map.png" | tail -c 3)" = PNG ] || fail "generate --out is no PNG"
    expect 0 -- $ask --temperature 1 --seed 1
    one=$(cat "$out/stdout")
    expect 0 -- $ask --temperature 1 --seed 1
    [ "$one" = "$(cat "$out/stdout")" ] || fail "equal seeds give different answers"
}

# inspect
expect 0 -- inspect $model
says "1.60 M parameters" "hidden 128, 6 layers, 4 heads (2 key/value) of 32"
expect 0 -- inspect $model --json
says '"language model": 1221760' '"tied": true'
expect 0 -- inspect $model --tensors
says "model.embed_tokens.weight"
expect 0 -- inspect $model --encode "what shape?" --json
ids=$(sed 's/.*\[\(.*\)\].*/\1/; s/ //g' "$out/stdout")
expect 0 -- inspect $model/tokenizer.json --decode "$ids"
[ "$(cat "$out/stdout")" = "what shape?" ] || fail "decoding what was encoded gives: $(cat "$out/stdout")"
expect 2 "token ids" -- inspect $model --decode 1,x
expect 1 "neither a model" -- inspect "$out"

# init: equal seeds, equal bytes; never over a model that is there.
expect 0 -- init --config tiny --tokenizer $model --seed 1 --out "$out/m1" --threads 1
expect 0 -- init --config tiny --tokenizer $model --seed 1 --out "$out/m2" --threads 2
expect 0 -- init --config tiny --tokenizer $model --seed 2 --out "$out/m3"
cmp "$out/m1/model.safetensors" "$out/m2/model.safetensors" || fail "init depends on the threads"
cmp -s "$out/m1/model.safetensors" "$out/m3/model.safetensors" && fail "init does not depend on the seed"
expect 1 "$out/m1" -- init --config tiny --tokenizer $model --seed 1 --out "$out/m1"
expect 1 "huge" "0.5b" -- init --config huge --out "$out/m4"
expect 0 -- generate "what?" --model "$out/m1" --image $image --max-new-tokens 4
expect 0 -- compare "$out/m1" "$out/m2"
expect 1 -- compare "$out/m1" "$out/m3"

finish
