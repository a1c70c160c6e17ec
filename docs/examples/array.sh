#!/bin/sh
# A score run spread over tasks that know nothing of each other, then joined. Where a scheduler numbers them:
#
#   sbatch --array=1-8 --wrap 'sh array.sh $SLURM_ARRAY_TASK_ID 8 data.jsonl Qwen2.5-VL-7B-Instruct parts'
#   sbatch --dependency=afterok:JOB --wrap 'sh array.sh merge 8 parts run'
#
# A task that was killed is simply run again: it goes on where it was. The joined difficulty.jsonl is byte for byte that of
# one run.
# usage: array.sh I N DATA MODEL PARTS [OPTION of strata score]...
#        array.sh merge N PARTS RUN
set -eu

if [ "$1" = merge ]; then
    shards=$2 parts=$3 run=$4
    set --
    shard=1
    while [ $shard -le "$shards" ]; do
        set -- "$@" "$parts/$shard-of-$shards"
        shard=$((shard + 1))
    done
    exec strata merge "$@" --out "$run"
fi
shard=$1 shards=$2 data=$3 model=$4 parts=$5
shift 5
exec strata score "$data" --model "$model" --out "$parts/$shard-of-$shards" --shard "$shard/$shards" "$@"
