#!/bin/sh
# `strata dump` of reference prompts agrees with transformers stage by stage, by `strata compare`; a changed element is
# found where it is. usage: dump_compare.sh STRATA
set -eu
strata=$1
golden=${STRATA_SHARED:-../shared}/golden/models
[ -d "$golden" ] || { echo "skipped: there is no $golden"; exit 77; }
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

agree() { # model prompt question image...
    model=$1 prompt=$2 question=$3
    shift 3
    images=
    for image in "$@"; do images="$images --image $golden/images/$image"; done
    # shellcheck disable=SC2086 # a list of words
    "$strata" dump "$question" --model "$golden/$model" $images --compute f32 --max-pixels 0 --logits all \
        --out "$out/$model.safetensors" >/dev/null
    "$strata" compare "$out/$model.safetensors" "$golden/$model/prompt_$prompt.safetensors" --tolerance 1e-5 >"$out/report" || {
        cat "$out/report"
        echo "FAILED: $model $prompt"
        exit 1
    }
}
for model in dev-a dev-b dev-c; do
    agree "$model" two_images "<image>is the first.<image>Which one is wider?" tall_33x250.webp scene_200x133.png
    agree "$model" image_start "How many red squares are there?" grad_64x64.png
done
grep -q "hidden\[3\]" "$out/report" || { echo "FAILED: the layers were not compared"; exit 1; }

# Another question must differ, first in the tokens.
"$strata" dump "How many red squares are here?" --model "$golden/dev-a" --image "$golden/images/grad_64x64.png" \
    --compute f32 --max-pixels 0 --out "$out/other.safetensors" >/dev/null
if "$strata" compare "$out/other.safetensors" "$out/dev-a.safetensors" >"$out/report"; then
    echo "FAILED: another question compares as equal"
    exit 1
fi
grep -q "the first is input_ids" "$out/report" || { cat "$out/report"; echo "FAILED: the first difference is not named"; exit 1; }
echo ok
