#!/bin/sh
# The study of recipes/tiny.yaml: draws the world, runs every row for three seeds, makes the report; the same command
# goes on where it was stopped. usage: scripts/study.sh STRATA [JOBS]   (JOBS processes share the work; default 2)
set -eu
cd "$(dirname "$0")/.."
strata=$1
jobs=${2:-2}
out=.cache/study
if [ ! -e models/strata-tiny/model.safetensors ]; then
    echo "study: there is no models/strata-tiny/model.safetensors" >&2
    exit 1
fi
mkdir -p $out
if [ ! -e $out/world/test.jsonl ]; then
    "$strata" synth --out $out/world --counts 1600,0,1200 --seed 2511 --assistant think
fi
job=1
while [ "$job" -lt "$jobs" ]; do
    "$strata" study recipes/tiny.yaml --out $out/run --threads 1 --quiet >/dev/null 2>>$out/job-$job.log &
    job=$((job + 1))
done
"$strata" study recipes/tiny.yaml --out $out/run --threads 1
wait
"$strata" report $out/run --out $out/report.html --model models/strata-tiny
