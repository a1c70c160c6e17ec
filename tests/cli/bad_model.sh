#!/bin/sh
# Broken models, images and prompts: exit 1, what and where are said, nothing is written. usage: bad_model.sh STRATA
set -u
strata=$1
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
. tests/cli/expect.sh.inc

good=models/easyvqa-tiny
image=tests/data/cli/shape.png
model() { # a fresh copy to break
    rm -rf "$out/model"
    cp -r $good "$out/model"
    chmod -R u+w "$out/model"
}
ask="generate what? --max-new-tokens 4 --image $image --model"

# shellcheck disable=SC2086 # $ask is a list of words
{
    expect 0 -- $ask $good
    expect 1 "config.json" -- $ask "$out/nowhere"

    model && head -c 3000000 $good/model.safetensors >"$out/model/model.safetensors"
    expect 1 "model.safetensors" -- $ask "$out/model"
    model && head -c 5 $good/model.safetensors >"$out/model/model.safetensors"
    expect 1 "model.safetensors" -- $ask "$out/model"

    model && sed -i 's/"intermediate_size": 344/"intermediate_size": 352/' "$out/model/config.json"
    expect 1 "mlp." "352" "344" -- $ask "$out/model"
    model && sed -i 's/"num_hidden_layers": 6/"num_hidden_layers": 7/' "$out/model/config.json"
    expect 1 "layers.6" -- $ask "$out/model"
    model && sed -i 's/"num_hidden_layers": 6/"num_hidden_layers": 5/' "$out/model/config.json"
    expect 1 "layers.5" -- $ask "$out/model"
    model && sed -i 's/"num_attention_heads": 4/"num_attention_heads": -4/' "$out/model/config.json"
    expect 1 "num_attention_heads" "config.json" -- $ask "$out/model"
    model && sed -i 's/"hidden_size"/"hidden_size/' "$out/model/config.json"
    expect 1 "config.json:" -- $ask "$out/model"

    # One value in the middle becomes a NaN (bf16, little-endian 0x7fc0).
    model && printf '\300\177' | dd of="$out/model/model.safetensors" bs=1 seek=1500000 conv=notrunc 2>/dev/null
    expect 1 "is nan" -- $ask "$out/model"

    model && rm "$out/model/tokenizer.json"
    expect 1 "tokenizer.json" -- $ask "$out/model"
    model && sed -i 's/"type": "BPE"/"type": "Unigram"/' "$out/model/tokenizer.json"
    expect 1 "Unigram" -- $ask "$out/model"
    model && sed -i 's/im_start/im_begin/' "$out/model/chat_template.json"
    expect 1 "chat template" -- $ask "$out/model"

    # A prompt longer than the context is refused, naming both numbers; it is never cut.
    model && sed -i 's/"max_position_embeddings": 2048/"max_position_embeddings": 30/' "$out/model/config.json"
    expect 1 "prompt of 39 tokens" -- $ask "$out/model"
    cp $image "$out/shape.png"
    for question in "what?" "what, please, is the color of the shape that is in the image?"; do
        printf '{"messages": [{"role": "user", "content": "<image>%s"}], "images": ["shape.png"], "solution": "blue"}\n' "$question"
    done >"$out/long.jsonl"
    model && sed -i 's/"max_position_embeddings": 2048/"max_position_embeddings": 48/' "$out/model/config.json"
    expect 1 "long-1" "tokens" -- score "$out/long.jsonl" --model "$out/model" --out "$out/long" --max-new-tokens 4
    [ ! -e "$out/long/difficulty.jsonl" ] || fail "too long a prompt: difficulty.jsonl was written"
    expect 0 "long-1" -- score "$out/long.jsonl" --model "$out/model" --out "$out/long" --max-new-tokens 4 --skip-bad
    grep -q "1 bad record" "$out/stdout" || fail "the prompt that is too long is not counted"
}

head -c 100 $image >"$out/broken.png"
expect 1 "broken.png" -- generate "what?" --model $good --image "$out/broken.png"
expect 1 "missing.png" -- generate "what?" --model $good --image "$out/missing.png"
echo "no image" >"$out/text.png"
expect 1 "text.png" -- generate "what?" --model $good --image "$out/text.png"
expect 2 "2 <image> marks" "1 --image" -- generate "<image> or <image>?" --model $good --image $image
expect 2 "the question is empty" -- generate "" --model $good
expect 1 "<|image_pad|>" -- generate "what is <|image_pad|>?" --model $good
expect 2 "--out is the heat map of --cmab" -- generate "what?" --model $good --image $image --out "$out/map.png"

# What fails leaves no file behind.
expect 1 "broken.png" -- dump "what?" --model $good --image "$out/broken.png" --out "$out/d.safetensors"
expect 1 "No such file" -- dump "what?" --model $good --image $image --out "$out/no/such/directory/d.safetensors"
[ ! -e "$out/d.safetensors" ] || fail "a failed dump leaves its file"
expect 1 "" -- init --config tiny --tokenizer "$out/nowhere" --out "$out/fresh"
[ ! -e "$out/fresh/config.json" ] || fail "a failed init leaves a model"
find "$out" -name '*.tmp-*' | grep . && fail "a temporary file stays behind"

finish
