#!/bin/sh
# The files of a training run in the packages they are made for: a checkpoint in transformers (same greedy text), adapters
# in PEFT (same logits), event files in TensorBoard. STRATA_PYTHON (python3) names a Python that has them; what it lacks is
# left out, with a word. usage: trained_files.sh STRATA
set -u
strata=$1
python=${STRATA_PYTHON:-python3}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
. tests/cli/expect.sh.inc
data=tests/data/train/train.jsonl
images=tests/data/train
tried=0

# has MODULE...   are these there? Says which are not.
has() {
    for module in "$@"; do
        "$python" -c "import $module" 2>/dev/null && continue
        echo "left out: $python has no $module"
        return 1
    done
    tried=$((tried + 1))
}

# try WORD...   trained_files.py WORD...
try() {
    HF_HUB_OFFLINE=1 CUDA_VISIBLE_DEVICES='' "$python" -W ignore tests/cli/trained_files.py "$@" 2>"$out/stderr" ||
        fail "$1: $(tail -n 3 "$out/stderr")"
}

expect 0 -- sft $data --model models/easyvqa-tiny --out "$out/run" --max-steps 6 --batch-size 4 --learning-rate 1e-3 \
    --target solution --train language,merger,vision --threads 1 --quiet

if has torch transformers torchvision PIL; then
    printf '[' >"$out/texts.json"
    comma=
    for question in "what shape is in the image?" "is there a red shape?" "what color is the shape?"; do
        image=$(find $images -name '*.png' | sort | head -n 1)
        expect 0 -- generate "$question" --image "$image" --model "$out/run/last" --compute f32 --max-new-tokens 24 --json
        "$python" -c 'import json, sys
print(sys.argv[1] + json.dumps({"question": sys.argv[2], "image": sys.argv[3], "tokens": 24,
    "text": json.load(open(sys.argv[4]))["text"]}))' "$comma" "$question" "$image" "$out/stdout" >>"$out/texts.json"
        comma=,
    done
    printf ']' >>"$out/texts.json"
    try generate "$out/run/last" "$out/texts.json"
fi

if has torch transformers peft torchvision PIL safetensors; then
    # In fp32 the merged weights are base + B A, so the logits must agree to rounding.
    expect 0 -- init --config tiny --tokenizer models/easyvqa-tiny --dtype f32 --seed 2 --out "$out/base"
    expect 0 -- sft $data --model "$out/base" --out "$out/lora" --max-steps 4 --batch-size 4 --learning-rate 2e-2 \
        --target solution --lora-rank 4 --threads 1 --compute f32 --quiet
    image=$(find $images -name '*.png' | sort | head -n 1)
    expect 0 -- dump "what shape is it?" --image "$image" --model "$out/lora/last" --compute f32 --max-pixels 0 --logits all \
        --out "$out/dump.safetensors"
    try adapter "$out/base" "$out/lora/last/adapter" "$out/dump.safetensors" "$image" "what shape is it?"
fi

if has tensorboard; then try events "$out/run/events" "$out/run/metrics.jsonl"; fi
[ "$failures" -gt 0 ] || [ "$tried" -gt 0 ] || { echo "skipped: nothing to try it with"; exit 77; }
finish
