#!/bin/sh
# Training by a recipe: --recipe is what the same options are on the command line, in the settings and in the weights, and
# the run says what it was given and where. usage: recipes.sh STRATA
set -u
strata=$1
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
. tests/cli/expect.sh.inc
data=tests/data/train/train.jsonl
model="--model models/easyvqa-tiny --threads 1 --quiet"

# the settings that determine the result, as the checkpoint has them
settings() {
    tr '\n' ' ' <"$1/last/trainer_state.json" | sed 's/.*"settings": {\([^}]*\)}.*/\1/'
}

# shellcheck disable=SC2086 # a list of words
{
    cat >"$out/sft.yaml" <<END
epochs: 3
learning-rate: 2e-4
batch-size: 2
END
    expect 0 -- sft $data $model --out "$out/a" --recipe "$out/sft.yaml" --set batch-size=4 --set seed=5 --max-steps 2
    expect 0 -- sft $data $model --out "$out/b" --learning-rate 2e-4 --batch-size 4 --seed 5 --max-steps 2
    [ -n "$(settings "$out/a")" ] || fail "no settings in trainer_state.json"
    [ "$(settings "$out/a")" = "$(settings "$out/b")" ] || fail "a recipe's settings differ: $(settings "$out/a")"
    cmp "$out/a/last/model.safetensors" "$out/b/last/model.safetensors" || fail "a recipe's weights differ"
    tr -d ' \n' <"$out/a/options.json" >"$out/flat"
    for text in '"command":"sft"' '"recipe":"'"$out/sft.yaml"'"' '"batch-size":{"value":"4","from":"--set"}' \
        '"learning-rate":{"value":"2e-4","from":"'"$out/sft.yaml"':2"}' '"max-steps":{"value":"2","from":"commandline"}'; do
        grep -qF "$text" "$out/flat" || fail "options.json lacks $text: $(cat "$out/flat")"
    done
    grep -q '"epochs"' "$out/flat" && fail "options.json has epochs, which --max-steps replaced"

    # The paper's settings for GRPO, from the study's recipe. Short answers, or it would take minutes.
    small="--max-new-tokens 6 --max-steps 1"
    expect 0 -- grpo $data $model --out "$out/c" --recipe recipes/paper.yaml $small
    expect 0 -- grpo $data $model --out "$out/d" --paper --max-pixels 1254400 $small \
        --system "You are a helpful assistant. First think step by step about the question inside <think></think>, \
then give only the final answer inside <answer></answer>. Write nothing outside these tags."
    [ "$(settings "$out/c")" = "$(settings "$out/d")" ] ||
        fail "the paper's recipe is not --paper: $(settings "$out/c") $(settings "$out/d")"
    cmp "$out/c/last/model.safetensors" "$out/d/last/model.safetensors" || fail "the paper's recipe trains otherwise"
    settings "$out/c" | grep -q '"rate": 5e-07\|"rate": 5e-7\|"rate": 4.99' || fail "the paper's rate: $(settings "$out/c")"

    # A recipe's options without effect are errors, as on the command line.
    echo "clip-low: 0.1" >"$out/bad.yaml"
    expect 2 "--clip-low has no effect" -- grpo $data $model --out "$out/e" --recipe "$out/bad.yaml"
    echo "lerning-rate: 0.1" >"$out/bad.yaml"
    expect 2 "bad.yaml:1" "did you mean --learning-rate?" -- sft $data $model --out "$out/e" --recipe "$out/bad.yaml"
    [ ! -e "$out/e" ] || fail "a refused run left a directory"
}
finish
