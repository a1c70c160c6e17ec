"""Attention balance (CMAB) from transformers: answers a data set with the user's model on the user's device, and
measures on the way how much attention each response token paid to each part of the prompt.

The model's own attention kernel (sdpa, flash) makes the output. For the one row that produces a token the attention is
computed once more, in float32, and reduced to sums over prompt segments; no attention matrix is kept. What is written is
read by ``strata score --cmab-from FILE``, which grades the answers and cuts the strata.

    python -m strata_hf data.jsonl --model Qwen/Qwen2.5-VL-7B-Instruct --out cmab.jsonl
    strata score data.jsonl --cmab-from cmab.jsonl --out run
"""

from .attention import AttentionMasses
from .answer import Answer, answer_batch
from .prompts import Prompt, PromptBuilder, Record, Segment, read_records
from .writer import Settings, generate_file, model_hash

__all__ = [
    "Answer",
    "AttentionMasses",
    "Prompt",
    "PromptBuilder",
    "Record",
    "Segment",
    "Settings",
    "answer_batch",
    "generate_file",
    "model_hash",
    "read_records",
]
