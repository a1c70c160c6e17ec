#!/bin/sh
# GRPO with ms-swift on these samples, as the paper trained (arXiv 2511.06722, ms-swift 3.7.2, 8 GPUs): 8 prompts of 8
# completions a step, every value it set, and the defaults of 3.7.2 that have changed since (top-k, top-p, loss type).
# ms-swift 4 takes the same. The vision tower and its projector are frozen, which is ms-swift's default.
# usage: MODEL=DIR OUTPUT=DIR NPROC_PER_NODE=8 sh THIS [more options of swift rlhf]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
version=$(python3 -c 'from importlib.metadata import version; print(version("ms-swift"))' 2>/dev/null || echo 4)
case $version in
[0-3].*) tuning=--train_type ;;
*) tuning=--tuner_type ;;
esac
export MAX_PIXELS="${MAX_PIXELS:-1254400}" NPROC_PER_NODE="${NPROC_PER_NODE:-8}"
exec swift rlhf --rlhf_type grpo $tuning full --torch_dtype bfloat16 --deepspeed zero3 \
    --model "${MODEL:-Qwen/Qwen2.5-VL-7B-Instruct}" \
    --dataset "$here/"@NAME@ \
    --output_dir "${OUTPUT:-$here/output}" \
    --external_plugins "$here/"@REWARD@ --reward_funcs strata \
    --num_generations 8 --per_device_train_batch_size 4 --gradient_accumulation_steps 2 --num_train_epochs 1 \
    --learning_rate 5e-7 --warmup_ratio 0.01 --lr_scheduler_type cosine --weight_decay 0.1 --adam_beta2 0.95 \
    --temperature 1.0 --top_k 50 --top_p 0.9 --max_length 2048 --max_completion_length 1024 \
    --beta 0.001 --num_iterations 1 --epsilon 0.2 --loss_type grpo \
    --save_steps 100 --save_total_limit 20 --logging_steps 1 --log_completions true --report_to tensorboard \
    --dataloader_num_workers 0 --seed 42 "$@"
