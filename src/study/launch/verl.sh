#!/bin/sh
# GRPO with verl (0.9.1) on these samples, with the paper's settings (arXiv 2511.06722; there ms-swift on 8 GPUs): 8
# prompts of 8 completions a step, KL in the loss, the mean over sequences of their token means, the vision tower frozen.
# verl has no option for the largest image: scale the images beforehand where they exceed 1,254,400 pixels.
# usage: MODEL=DIR OUTPUT=DIR sh THIS [more settings, as key=value]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
exec python3 -m verl.trainer.main_ppo \
    algorithm.adv_estimator=grpo algorithm.use_kl_in_reward=False \
    data.train_files="\"$here/"@NAME@'"' data.val_files="\"$here/"@NAME@'"' data.image_key=images \
    data.train_batch_size=8 data.max_prompt_length=2048 data.max_response_length=1024 \
    data.filter_overlong_prompts=True data.truncation=error data.seed=42 \
    custom_reward_function.path="\"$here/"@REWARD@'"' custom_reward_function.name=compute_score \
    actor_rollout_ref.model.path="\"${MODEL:-Qwen/Qwen2.5-VL-7B-Instruct}\"" \
    actor_rollout_ref.model.enable_gradient_checkpointing=True \
    actor_rollout_ref.actor.freeze_vision_tower=True \
    actor_rollout_ref.actor.optim.lr=5e-7 actor_rollout_ref.actor.optim.weight_decay=0.1 \
    'actor_rollout_ref.actor.optim.betas=[0.9,0.95]' actor_rollout_ref.actor.optim.lr_warmup_steps_ratio=0.01 \
    actor_rollout_ref.actor.optim.lr_scheduler_type=cosine actor_rollout_ref.actor.grad_clip=1.0 \
    actor_rollout_ref.actor.ppo_mini_batch_size=8 actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu=4 \
    actor_rollout_ref.actor.ppo_epochs=1 actor_rollout_ref.actor.clip_ratio=0.2 \
    actor_rollout_ref.actor.use_kl_loss=True actor_rollout_ref.actor.kl_loss_coef=0.001 \
    actor_rollout_ref.actor.kl_loss_type=low_var_kl actor_rollout_ref.actor.entropy_coeff=0 \
    actor_rollout_ref.actor.loss_agg_mode=seq-mean-token-mean \
    actor_rollout_ref.rollout.name="${ENGINE:-vllm}" actor_rollout_ref.rollout.n=8 \
    actor_rollout_ref.rollout.temperature=1.0 actor_rollout_ref.rollout.top_k=50 actor_rollout_ref.rollout.top_p=0.9 \
    actor_rollout_ref.rollout.tensor_model_parallel_size=1 \
    actor_rollout_ref.rollout.log_prob_micro_batch_size_per_gpu=8 \
    actor_rollout_ref.ref.log_prob_micro_batch_size_per_gpu=8 \
    trainer.total_epochs=1 trainer.n_gpus_per_node="${GPUS:-8}" trainer.nnodes=1 trainer.critic_warmup=0 \
    trainer.val_before_train=False trainer.test_freq=-1 trainer.save_freq=100 \
    "trainer.logger=[console,tensorboard]" trainer.project_name=strata trainer.experiment_name=grpo \
    trainer.default_local_dir="\"${OUTPUT:-$here/output}\"" "$@"
