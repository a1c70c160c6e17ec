#!/bin/sh
# The main job on real input: scores 60 EasyVQA test records with the small model that ships, selects two strata,
# makes the report, and looks into one answer. usage: scripts/demo_images.sh STRATA
set -eu
cd "$(dirname "$0")/.."

strata=$1
run=.cache/demo-images/run
rm -rf .cache/demo-images
mkdir -p .cache/demo-images

. scripts/show.sh.inc

image=data/easyvqa/$(sed -n '1s/.*"images": \["\([^"]*\)".*/\1/p' data/easyvqa/test.jsonl)
question=$(sed -n '1s/.*"content": "<image>\([^"]*\)".*/\1/p' data/easyvqa/test.jsonl)

show score data/easyvqa/test.jsonl --model models/easyvqa-tiny --out $run --limit 60 --max-new-tokens 40 --keep-responses
show select $run --strata mid,hard --out .cache/demo-images/mid+hard.jsonl
show report $run --out .cache/demo-images/report.html --model models/easyvqa-tiny
show generate "$question" --model models/easyvqa-tiny --image "$image" \
    --system "Look at the image and answer the question." --cmab --out .cache/demo-images/map.png
echo
echo "The run directory is $run; difficulty.jsonl in it has one line a sample:"
head -n 1 $run/difficulty.jsonl
