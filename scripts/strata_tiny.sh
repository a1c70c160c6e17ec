#!/bin/sh
# Trains models/strata-tiny from nothing on the synthetic world, on one core: easy levels first, then all of them.
# usage: [THREADS=N] scripts/strata_tiny.sh STRATA [OUT]      everything goes to .cache/strata-tiny; OUT gets the model
set -eu
cd "$(dirname "$0")/.."
strata=$1
out=${2:-.cache/strata-tiny/model}
shape=models/strata-tiny
work=.cache/strata-tiny
mkdir -p "$work"

world() { # NAME SEED LEVELS COUNT SIZE
    [ -f "$work/$1/train.jsonl" ] || "$strata" synth --out "$work/$1" --seed "$2" --levels "$3" --counts "$4,400,0" \
        --size "$5" --assistant think --mask-share 0.25 --mask-most 0.3
}
train() { # NAME WORLD FROM OPTION...: goes on where it was stopped; its end is $work/NAME/last
    name=$1 data=$work/$2/train.jsonl from=$3
    shift 3
    [ ! -e "$work/$name.done" ] || return 0
    if [ -e "$work/$name/last" ]; then set -- --resume last "$@"; fi
    "$strata" sft "$data" --model "$from" --out "$work/$name" --train language,merger,vision --batch-size 32 \
        --weight-decay 0.01 --adam-beta2 0.99 --save-steps 150 --save-total-limit 0 --threads "${THREADS:-1}" "$@"
    touch "$work/$name.done"
}

model() { # FROM TO: a checkpoint without the trainer's state
    mkdir -p "$2"
    for file in config.json generation_config.json preprocessor_config.json chat_template.json tokenizer.json \
        tokenizer_config.json model.safetensors; do
        cp "$1/$file" "$2/$file"
    done
}

# The model's own preprocessor makes 140 x 140 of every picture; the first runs look at 112 x 112.
if [ ! -d "$work/start" ]; then
    mkdir -p "$work/shape"
    cp $shape/*.json "$work/shape/"
    sed -i 's/19600/12544/' "$work/shape/preprocessor_config.json"
    "$strata" init --config "$work/shape/config.json" --tokenizer "$work/shape" --seed 1 --dtype bf16 --out "$work/start"
fi
world middling 11 1,3 60000 112
world easy 21 1,2 40000 112
world all 31 1,5 60000 112
world large 41 1,5 48000 140
train run-1 middling "$work/start" --max-steps 1800 --learning-rate 2e-3 --schedule constant --warmup-ratio 0.06
train run-2 easy "$work/run-1/last" --max-steps 1200 --learning-rate 1.5e-3 --schedule constant --warmup-ratio 0.03
train run-3 all "$work/run-2/last" --epochs 1 --learning-rate 1.5e-3 --warmup-ratio 0.02
model "$work/run-3/last" "$work/larger"
sed -i 's/12544/19600/' "$work/larger/preprocessor_config.json"
train run-4 large "$work/larger" --epochs 1 --learning-rate 1.5e-3 --warmup-ratio 0.02
model "$work/run-4/checkpoint-900" "$out" # of 1,500: it leaves training something to do
echo "$out"
