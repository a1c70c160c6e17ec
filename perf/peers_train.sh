#!/bin/sh
# Training steps beside the peers': an SFT step of 4 x 512 tokens (transformers) and a GRPO step of 8 answers of 64
# tokens (plain PyTorch, TRL), interleaved by the peers' paired.py; ratios of seconds and of peak memory.
# The peers' moments are bf16 as their parameters are, strata's are fp32: grpo-fp32 compares with fp32 parameters under
# bf16 autocast, grpo-moments with bf16 parameters and fp32 moments (torch_grpo_fp32.py).
# usage: MODEL=DIR perf/peers_train.sh [sft|grpo|grpo-fp32|grpo-moments|trl|prefix]...
#   STRATA=build/strata  PEERS=../shared/peers  STRATA_PYTHON=python3 (with torch, transformers, trl)  THREADS=2  ROUNDS=1
#   OUT=FILE gets every JSON line; PEAK=FILE is the built peak.c, for a probe in each round
# The figures mean something on an otherwise idle machine only: paired.py sets rounds aside in which it was not.
set -eu
if [ "${1:-}" = --log ]; then # --log FILE COMMAND...: inside paired.py, keeps the lines
    shift
    file=$1
    shift
    "$@" 2>/dev/null | tee -a "$file"
    exit
fi
: "${MODEL:?a model directory, e.g. of strata init --config 0.5b --dtype bf16}"
strata=${STRATA:-build/strata}
peers=${PEERS:-../shared/peers}
python=${STRATA_PYTHON:-python3}
fp32=$(dirname "$0")/torch_grpo_fp32.py
threads=${THREADS:-2}
rounds=${ROUNDS:-1}
out=${OUT:-$(mktemp)}
me=$0
[ -f "$peers/paired.py" ] || { echo "skipped: there is no $peers/paired.py"; exit 77; }

# beside TASK PEER COMMAND...   one comparison: seconds of a step, then memory of the same processes
beside() {
    task=$1
    name=$2
    shift 2
    touch "$out"
    first=$(($(wc -l <"$out") + 1))
    ours="$me --log $out $strata bench $task --model $MODEL --threads $threads --rounds 1 --json"
    status=0
    python3 "$peers/paired.py" ${PEAK:+--peak "$PEAK"} --threads "$threads" --rounds "$rounds" --key seconds \
        --select "task=$task" --run "strata=$ours" --run "$name=$me --log $out $*" || status=$?
    tail -n "+$first" "$out" | python3 -c '
import json, statistics, sys
sides = {}
for line in sys.stdin:
    record = json.loads(line)
    own = record["peer"] == "strata"
    # The peers say MB and count in 2^20 bytes.
    sides.setdefault(own, []).append(record["peak_rss_mb"] * (1 if own else 1.048576) / 1000)
ours, theirs = (statistics.median(sides[side]) for side in (True, False))
print("%s: peak memory %.2f GB, %s %.2f GB: %.2f times" % (sys.argv[1], ours, sys.argv[2], theirs, ours / theirs))
' "$task" "$name"
    return $status
}

[ $# -gt 0 ] || set -- sft grpo trl prefix
for what in "$@"; do
    case $what in
    sft) beside sft transformers "$python" "$peers/hf_sft.py" --model "$MODEL" --threads "$threads" --repeat 1 ;;
    grpo) beside grpo torch "$python" "$peers/trl_grpo.py" --impl torch --micro 4 --steps 1 --model "$MODEL" --threads "$threads" ;;
    grpo-fp32) beside grpo torch-fp32 "$python" "$fp32" "$peers" autocast --micro 4 --steps 1 --model "$MODEL" --threads "$threads" ;;
    grpo-moments) beside grpo torch-moments "$python" "$fp32" "$peers" moments --micro 4 --steps 1 --model "$MODEL" --threads "$threads" ;;
    trl) beside grpo trl "$python" "$peers/trl_grpo.py" --impl trl --micro 4 --steps 1 --model "$MODEL" --threads "$threads" ;;
    prefix) "$strata" bench prefix --model "$MODEL" --threads "$threads" --rounds "$rounds" --json | tee -a "$out" ;;
    *) echo "usage: MODEL=DIR perf/peers_train.sh [sft|grpo|grpo-fp32|grpo-moments|trl|prefix]..." >&2; exit 2 ;;
    esac
done
