#!/bin/sh
# What strata is for, in two minutes and without a network: a small world of tasks, how hard they are for the small model
# that ships, training on what is worth it, and the report. usage: scripts/demo.sh STRATA
set -eu
cd "$(dirname "$0")/.."

strata=$1
out=.cache/demo
rm -rf $out
mkdir -p $out
. scripts/show.sh.inc

show synth --out $out/world --counts 160,0,240 --seed 1 --assistant think
image=$out/world/$(sed -n '1s/.*"images": \["\([^"]*\)".*/\1/p' $out/world/test.jsonl)
question=$(sed -n '1s/.*"content": "<image>\([^"]*\)".*/\1/p' $out/world/test.jsonl)
system=$(sed -n '1s/.*"role": "system", "content": "\([^"]*\)".*/\1/p' $out/world/test.jsonl)
show generate "$question" --model models/strata-tiny --image "$image" --system "$system" --cmab --out $out/map.png
show study recipes/demo.yaml --out $out/study
show report $out/study --out $out/report.html --model models/strata-tiny
echo
echo "Open $out/report.html; real images: make demo-images; the whole comparison with three seeds: make study."
