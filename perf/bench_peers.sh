#!/bin/sh
# Strata beside transformers and llama.cpp: the peers' scripts and `strata bench`, interleaved by paired.py, as ratios with their
# spread. usage: perf/bench_peers.sh STRATA [GROUP…]   (prefill decode batch cmab cmab-large pism load; default: all)
#
#   PEERS=DIR          the peers' scripts, with paired.py (default ../shared/peers)
#   PEERS_MODEL=DIR    model to measure; made by `strata init --config 0.5b` when there is none (default .cache/peers/m05)
#   PEERS_TOKENIZER=DIR  for that: a directory with tokenizer.json
#   PEERS_PYTHON=P     a Python with torch and transformers
#   LLAMA=DIR          llama.cpp's build/bin; PEERS_GGUF, PEERS_MMPROJ: the model converted (default MODEL-bf16.gguf,
#                      MODEL-mmproj-bf16.gguf)
#   PEERS_ROUNDS=N     rounds of each comparison (5); THREADS=N (2)
#   PEERS_WRAP=CMD     goes before every measured command, for machines that must be emptied first
# What is absent is left out, and the reason printed. Each comparison ends in one JSON line of paired.py.
set -u
cd "$(dirname "$0")/.." || exit 1

if [ "${1:-}" = "--whole-prefill" ]; then # a helper: runs the commands after it, adds vision tower and prefill up
    shift
    for command in "$@"; do $command || exit 1; done |
        sed -n 's/.*"task": "\(prefill\|vision\)".*"seconds": \([0-9.]*\).*/\2/p' |
        awk '{ sum += $1 } END { printf "{\"task\": \"prefill\", \"seconds\": %.4f}\n", sum; exit NR < 2 }'
    exit
fi

if [ "${1:-}" = "--silent" ]; then # a helper: whole commands are timed; what they print need not be text
    shift
    exec "$@" >/dev/null
fi

strata=${1:?usage: perf/bench_peers.sh STRATA [GROUP…]}
shift
peers=${PEERS:-../shared/peers}
model=${PEERS_MODEL:-.cache/peers/m05}
python=${PEERS_PYTHON:-python3}
llama=${LLAMA:-}
threads=${THREADS:-2}
rounds=${PEERS_ROUNDS:-5}
wrap=${PEERS_WRAP:-}
gguf=${PEERS_GGUF:-$model-bf16.gguf}
mmproj=${PEERS_MMPROJ:-$model-mmproj-bf16.gguf}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

skip() { echo "left out: $*" >&2; }
[ -f "$peers/paired.py" ] || { skip "everything: no $peers/paired.py (PEERS=DIR)"; exit 0; }
if [ ! -d "$model" ]; then
    [ -n "${PEERS_TOKENIZER:-}" ] || { skip "everything: no model $model, and no PEERS_TOKENIZER to make one"; exit 0; }
    mkdir -p "$(dirname "$model")"
    "$strata" init --config 0.5b --dtype bf16 --tokenizer "$PEERS_TOKENIZER" --out "$model" || exit 1
fi
hf=
if "$python" -c 'import torch, transformers' 2>"$work/why"; then hf=1; else skip "transformers: $(tail -1 "$work/why") (PEERS_PYTHON)"; fi
if [ -z "$llama" ]; then
    skip "llama.cpp: LLAMA is not set"
elif [ ! -f "$gguf" ]; then
    skip "llama.cpp: no $gguf"
    llama=
fi
probe=
if cc -O3 -march=native -pthread -o "$work/peak" "$peers/peak.c" 2>/dev/null; then probe="--peak $work/peak"; fi
# A wrapper waits for the machine; meanwhile others are no reason to set a round aside.
if [ -n "$wrap" ]; then probe="--max-contention 99"; fi

ours() { printf 'strata=%s %s bench %s --model %s --threads %s --rounds %s --json' "$wrap" "$strata" "$1" "$model" "$threads" "${2:-1}"; }
theirs() { printf 'transformers=%s %s %s/%s --model %s --threads %s --repeat %s' "$wrap" "$python" "$peers" "$1" "$model" "$threads" "${2:-1}"; }
llamacpp() { printf '%s python3 %s/llamacpp.py --bin %s --gguf %s --threads %s --repeat 1' "$wrap" "$peers" "$llama" "$gguf" "$threads"; }
# compare NAME KEY SELECT --run … : one comparison, printed with its name.
compare() {
    name=$1 key=$2 select=$3
    shift 3
    # shellcheck disable=SC2086 # nothing or two words
    python3 "$peers/paired.py" $probe --threads "$threads" --rounds "$rounds" --key "$key" --select "$select" "$@" >"$work/result"
    status=$?
    sed "s#^{#{\"comparison\": \"$name\", #" "$work/result"
    [ $status -eq 0 ] || echo "$name: paired.py ended with $status (3: too few quiet rounds)" >&2
}

# Adds the peers that are there to the list of runs in "$@" of each group: ours is the first.
for group in "${@:-all}"; do
    if [ "$group" = all ]; then
        # shellcheck disable=SC2086 # nothing or one word
        exec "$0" "$strata" prefill decode batch cmab cmab-large pism load
    fi
    case $group in
    prefill)
        set -- --run "$(ours prefill 3)"
        [ -z "$hf" ] || set -- "$@" --run "$(theirs hf_prefill.py 3)"
        if [ -n "$llama" ] && [ -f "$mmproj" ]; then
            "$python" -c 'import sys; sys.path.insert(0, sys.argv[1]); import peerlib; peerlib.image(448).save(sys.argv[2])' \
                "$peers" "$work/image.png" 2>/dev/null &&
                set -- "$@" --run "llama=perf/bench_peers.sh --whole-prefill '$(llamacpp) --task bench' '$(llamacpp) --task mtmd --mmproj $mmproj --image $work/image.png'"
        fi
        compare "prefill, seconds" seconds "task=prefill" "$@"
        ;;
    decode)
        set -- --run "$(ours decode)"
        [ -z "$hf" ] || set -- "$@" --run "$(theirs hf_decode.py)"
        [ -z "$llama" ] || set -- "$@" --run "llama=$(llamacpp) --task bench"
        compare "decode, tok/s" tok_s "task=decode,batch=1" "$@"
        ;;
    batch)
        set -- --run "$(ours batch)"
        [ -z "$hf" ] || set -- "$@" --run "$(theirs hf_decode.py) --batch 8"
        [ -z "$llama" ] || set -- "$@" --run "llama=$(llamacpp) --task batch"
        compare "8 answers of one prompt, tok/s" tok_s "batch=8" "$@"
        ;;
    cmab | cmab-large)
        size=448 tokens=256
        if [ "$group" = cmab-large ]; then size=1120 tokens=1600; fi
        [ -n "$hf" ] || continue
        for key in seconds kept_mb; do
            compare "cmab, $tokens image tokens, $key" "$key" "task=cmab" --run "$(ours cmab) --image-tokens $tokens" \
                --run "$(theirs hf_cmab.py) --image-size $size"
        done
        ;;
    pism)
        [ -n "$hf" ] || continue
        compare "pism, masked generations a second" generations_s "task=pism" --run "$(ours pism) --max-new-tokens 32" \
            --run "$(theirs hf_pism.py) --samples 2 --draws-per-sample 10 --tokens 32"
        # What the rule saves is counted, not timed: 16 real samples, a model that has learned them.
        if [ -f data/easyvqa/test.jsonl ]; then
            "$strata" score data/easyvqa/test.jsonl --model models/easyvqa-tiny --metric pism --limit 16 \
                --max-new-tokens 40 --out "$work/run" 2>/dev/null | grep '^PISM draws'
        fi
        ;;
    load)
        set -- --run "strata=perf/bench_peers.sh --silent $wrap $strata generate a --model $model --threads $threads --max-new-tokens 1"
        [ -z "$llama" ] || set -- "$@" --run "llama=perf/bench_peers.sh --silent $wrap $llama/llama-completion -m $gguf -p a -n 1 -t $threads -no-cnv --no-warmup --ignore-eos -c 512"
        compare "start to first token of a text, seconds" wall_s "" "$@"
        ;;
    *)
        echo "unknown group $group" >&2
        exit 2
        ;;
    esac
done
