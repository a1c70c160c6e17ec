"""Makes models/strata-tiny's tokenizer.json: byte-level BPE over the words of the synthetic world, in Qwen2's layout.

usage: strata_tiny_tokenizer.py TRAIN.jsonl OUT.json   (TRAIN from `strata synth --assistant think`; needs tokenizers)

Merges come from questions, thoughts and answers; texts to be read (ocr) are left out, so that capitals stay single
letters. <think>, </think>, <answer> and </answer> are added tokens, as <think> is in Qwen3.
"""

import json
import sys

import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers

SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPECIAL = [
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>",
    "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>",
    "<|image_pad|>", "<|video_pad|>",
]  # fmt: skip
PLAIN = [
    "<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>",
    "<|repo_name|>", "<|file_sep|>", "<think>", "</think>", "<answer>", "</answer>",
]  # fmt: skip
TAGS = ("<image>", "<think>", "</think>", "<answer>", "</answer>")


def texts(path: str):
    yield from ["system\n", "user\n", "assistant\n", "You are a helpful assistant.", "yes no true false"] * 100
    for line in open(path, encoding="utf-8"):
        record = json.loads(line)
        for turn in record["messages"]:
            text = turn["content"]
            if turn["role"] == "assistant" and record["ability"] == "ocr":
                text = text.split("</think>")[0]
            for tag in TAGS:
                text = text.replace(tag, "\0")
            yield from (part for part in text.split("\0") if part)


def main(data: str, out: str) -> None:
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(tokenizers.Regex(SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.post_processor = processors.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=700, min_frequency=3, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(texts(data), trainer)
    tokenizer.add_special_tokens([tokenizers.AddedToken(t, normalized=False, special=True) for t in SPECIAL])
    tokenizer.add_tokens([tokenizers.AddedToken(t, normalized=False, special=False) for t in PLAIN])
    tokenizer.save(out)
    print(f"{tokenizer.get_vocab_size(with_added_tokens=False)} entries + {len(SPECIAL) + len(PLAIN)} added tokens")


if __name__ == "__main__":
    main(*sys.argv[1:])
