"""GRPO with TRL (1.16) on these samples, with the paper's settings (arXiv 2511.06722; there ms-swift on 8 GPUs): 8 prompts
of 8 completions a step, KL against the model that it starts from, the vision tower frozen.

usage: MODEL=DIR OUTPUT=DIR accelerate launch --num_processes 8 THIS
"""
import dataclasses
import importlib.util
import os
import pathlib

FOLDER = pathlib.Path(__file__).resolve().parent
DATA = FOLDER / @NAME@
MODEL = os.environ.get("MODEL", "Qwen/Qwen2.5-VL-7B-Instruct")
OUTPUT = os.environ.get("OUTPUT", str(FOLDER / "output"))
MAX_PIXELS = 1254400

SETTINGS = {
    "num_generations": 8,
    "per_device_train_batch_size": 4,
    "gradient_accumulation_steps": 2,
    "num_train_epochs": 1,
    "num_iterations": 1,
    "learning_rate": 5e-7,
    "lr_scheduler_type": "cosine",
    "weight_decay": 0.1,
    "adam_beta2": 0.95,
    "max_grad_norm": 1.0,
    "temperature": 1.0,
    "top_k": 50,
    "top_p": 0.9,
    "max_completion_length": 1024,
    "beta": 0.001,
    "epsilon": 0.2,
    "loss_type": "grpo",
    "bf16": True,
    "gradient_checkpointing": True,
    "save_steps": 100,
    "save_total_limit": 20,
    "logging_steps": 1,
    "log_completions": True,
    "report_to": "tensorboard",
    "seed": 42,
}


def config(**changes):
    """The GRPOConfig; a share of the steps for the warm-up has another name since transformers 5."""
    from trl import GRPOConfig

    names = {field.name for field in dataclasses.fields(GRPOConfig)}
    warmup = "warmup_ratio" if "warmup_ratio" in names else "warmup_steps"
    return GRPOConfig(output_dir=OUTPUT, **{**SETTINGS, warmup: 0.01, **changes})


def load():
    """The records, their images as pictures."""
    from datasets import Image, Sequence, load_dataset

    data = load_dataset("json", data_files=str(DATA), split="train")
    if "images" not in data.column_names:
        return data
    data = data.map(lambda record: {"images": [str(FOLDER / name) for name in record["images"] or []]})
    return data.cast_column("images", Sequence(Image()))


def reward():
    """accuracy of the file beside this one."""
    spec = importlib.util.spec_from_file_location("strata_reward", FOLDER / @REWARD@)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.accuracy


def main():
    from transformers import AutoProcessor
    from trl import GRPOTrainer

    processor = AutoProcessor.from_pretrained(MODEL, max_pixels=MAX_PIXELS, padding_side="left")
    trainer = GRPOTrainer(model=MODEL, reward_funcs=reward(), args=config(), train_dataset=load(),
                          processing_class=processor)
    for name, parameter in trainer.model.named_parameters():
        if "visual" in name:
            parameter.requires_grad = False
    trainer.train()
    trainer.save_model()


if __name__ == "__main__":
    main()
