#!/bin/sh
# Training over several processes: 1, 2 and 4 of them write the same bytes; a process that is killed ends the run, which
# then goes on with another number of them. usage: mpi.sh STRATA
set -u
strata=$1
command -v mpirun >/dev/null || { echo "skipped: there is no mpirun (Debian: openmpi-bin, libopenmpi-dev)"; exit 77; }
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
. tests/cli/expect.sh.inc
# Containers: root may start processes, and more of them than there are cores.
OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none
export OMPI_ALLOW_RUN_AS_ROOT OMPI_ALLOW_RUN_AS_ROOT_CONFIRM OMPI_MCA_rmaps_base_oversubscribe
export OMPI_MCA_hwloc_base_binding_policy

data=tests/data/train/train.jsonl
common="--model models/easyvqa-tiny --threads 1 --seed 3 --learning-rate 3e-4 --quiet"
grpo="grpo $data $common --max-new-tokens 24 --prompts 5 --completions 4 --updates 2 --resample 1 --grad-shards 4
    --train language,merger,vision --check"
sft="sft $data $common --batch-size 6 --target solution --grad-shards 4 --lora-rank 4"

# over N WORD...   strata WORD... in N processes
over() {
    count=$1
    shift
    mpirun -n "$count" "$strata" "$@" >"$out/stdout" 2>"$out/stderr" </dev/null
}

# same A B   two runs ended in the same bytes; metrics.jsonl but for its times
same() {
    for file in last/model.safetensors last/optimizer.safetensors completions.jsonl; do
        [ ! -e "$out/$1/$file" ] || cmp "$out/$1/$file" "$out/$2/$file" || fail "$file of $1 and $2 differ"
    done
    for run in "$1" "$2"; do sed 's/, "time": {[^}]*}//' "$out/$run/metrics.jsonl" >"$out/$run.metrics"; done
    cmp "$out/$1.metrics" "$out/$2.metrics" || fail "metrics of $1 and $2 differ"
}

# shellcheck disable=SC2086 # lists of words
{
    over 2 $sft --out "$out/sft-2" --max-steps 4 || {
        if grep -q "built without MPI" "$out/stderr"; then
            echo "skipped: $strata was built without MPI"
            exit 77
        fi
        fail "two processes: $(cat "$out/stderr")"
    }
    expect 0 -- $sft --out "$out/sft-1" --max-steps 4
    over 4 $sft --out "$out/sft-4" --max-steps 4 || fail "four processes: $(cat "$out/stderr")"
    same sft-1 sft-2
    same sft-1 sft-4

    evaluated="--max-steps 8 --save-steps 1 --held-out $data --eval-tokens 24"
    expect 0 -- $grpo --out "$out/grpo-1" $evaluated
    for count in 2 4; do
        over $count $grpo --out "$out/grpo-$count" $evaluated || fail "$count processes: $(cat "$out/stderr")"
        same grpo-1 grpo-$count
    done
    # The shards are part of the run: another number of them is another sum.
    expect 0 -- $grpo --out "$out/shards" --max-steps 8 --grad-shards 2
    if cmp -s "$out/grpo-1/last/model.safetensors" "$out/shards/last/model.safetensors"; then
        fail "--grad-shards changes nothing"
    fi

    # One process is killed when two checkpoints are there.
    mpirun -n 4 "$strata" $grpo --out "$out/killed" $evaluated >"$out/stdout" 2>"$out/stderr" </dev/null &
    child=$!
    waited=0
    while [ ! -e "$out/killed/checkpoint-2" ] && [ $waited -lt 600 ]; do
        sleep 0.05
        waited=$((waited + 1))
    done
    victim=$(pgrep -P $child -f -- "--out $out/killed" | tail -n 1)
    [ -z "$victim" ] || kill -9 "$victim" 2>/dev/null
    wait $child
    status=$?
    if [ $status -eq 0 ]; then
        echo "(finished before a process could be killed)"
    else
        [ ! -e "$out/killed/checkpoint-8" ] || fail "the killed run ended with $status but made all updates"
        over 2 $grpo --out "$out/killed" $evaluated --resume last || fail "resuming: $(cat "$out/stderr")"
    fi
    same grpo-1 killed

    # What all processes refuse is said once.
    if over 3 $grpo --out "$out/three" --max-steps 2; then fail "4 shards over 3 processes"; fi
    grep -q "4 gradient shards cannot be divided among 3 processes" "$out/stderr" || fail "not said: $(cat "$out/stderr")"
    [ "$(grep -c "^strata grpo:" "$out/stderr")" -eq 1 ] || fail "said more than once: $(cat "$out/stderr")"
    expect 1 "grad_shards 4, not 2" -- $grpo --out "$out/grpo-1" $evaluated --resume last --grad-shards 2
}
finish
