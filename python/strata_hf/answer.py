"""A batch of prompts through the model: responses, and their attention masses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import GenerationConfig

from .attention import AttentionMasses
from .prompts import PLACEHOLDERS, Prompt, PromptBuilder, Record, load_image


@dataclass
class Answer:
    record: Record
    prompt: Prompt
    ids: list[int]  # the end token included
    text: str
    finish: str  # "stop" or "length"
    masses: Tensor  # (layers, tokens, segments) float32 on the CPU


def _stop_ids(model: Any, tokenizer: Any) -> list[int]:
    stop = model.generation_config.eos_token_id
    if stop is None:
        stop = tokenizer.eos_token_id
    return list(stop) if isinstance(stop, (list, tuple)) else [stop]


def _batch(prompts: Sequence[Prompt], pad: int, image_token: int, device: Any) -> dict[str, Tensor]:
    """Prompts padded on the left, and the segment of each of their tokens."""
    longest = max(len(prompt.ids) for prompt in prompts)
    ids = torch.full((len(prompts), longest), pad, dtype=torch.long)
    mask, segments = torch.zeros_like(ids), torch.zeros_like(ids)
    for b, prompt in enumerate(prompts):
        left = longest - len(prompt.ids)
        ids[b, left:] = torch.tensor(prompt.ids)
        mask[b, left:] = 1
        for s, segment in enumerate(prompt.segments):
            segments[b, left + segment.begin : left + segment.begin + segment.length] = s
    kinds = ((ids == image_token) & mask.bool()).int()
    tensors = {"input_ids": ids, "attention_mask": mask, "mm_token_type_ids": kinds, "segments": segments}
    return {name: tensor.to(device) for name, tensor in tensors.items()}


@torch.inference_mode()
def answer_batch(
    model: Any,
    processor: Any,
    records: Sequence[Record],
    max_new_tokens: int = 1024,
    temperature: float = 0.0,
    top_p: float = 1.0,
    top_k: int = 0,
    repetition_penalty: float = 1.0,
    allow_placeholders: bool = False,
) -> list[Answer]:
    """Answers records together. Only the stop tokens are taken from the model's generation settings. Vision placeholder
    tokens are never made unless ``allow_placeholders``."""
    tokenizer = processor.tokenizer
    builder = PromptBuilder(tokenizer)
    pictures = [[load_image(image) for image in record.images] for record in records]
    flat = [picture for row in pictures for picture in row]
    vision: dict[str, Tensor] = {}
    counts: list[int] = []
    if flat:
        made = processor.image_processor(images=flat, return_tensors="pt")
        merge = processor.image_processor.merge_size**2
        counts = [int(grid.prod()) // merge for grid in made["image_grid_thw"]]
        vision = {"pixel_values": made["pixel_values"].to(model.device, model.dtype)}
        vision["image_grid_thw"] = made["image_grid_thw"].to(model.device)
    prompts, at = [], 0
    for record, row in zip(records, pictures, strict=True):
        prompts.append(builder.build(record, counts[at : at + len(row)]))
        at += len(row)

    stop = _stop_ids(model, tokenizer)
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else stop[0]
    batch = _batch(prompts, pad, tokenizer.convert_tokens_to_ids("<|image_pad|>"), model.device)
    segments = batch.pop("segments")
    known = tokenizer.get_vocab()
    # What is not set here would be taken from the model's own settings.
    greedy = {"temperature": 1.0, "top_p": 1.0, "top_k": 50}
    drawn = {"temperature": temperature, "top_p": top_p, "top_k": top_k} if temperature > 0 else greedy
    config = GenerationConfig(  # type: ignore[no-untyped-call]
        max_new_tokens=max_new_tokens,
        do_sample=temperature > 0,
        repetition_penalty=repetition_penalty,
        eos_token_id=stop,
        pad_token_id=pad,
        suppress_tokens=None if allow_placeholders else [known[text] for text in PLACEHOLDERS if text in known],
        use_cache=True,
        **drawn,
    )
    with AttentionMasses(model) as watch:
        watch.begin(segments, batch["attention_mask"])
        made_ids = model.generate(**batch, **vision, generation_config=config)
        masses = watch.masses().cpu()
    return [
        _cut(record, prompt, made_ids[b, batch["input_ids"].shape[1] :].tolist(), masses[:, :, b], stop, tokenizer)
        for b, (record, prompt) in enumerate(zip(records, prompts, strict=True))
    ]


def _cut(
    record: Record, prompt: Prompt, made: list[int], masses: Tensor, stop: list[int], tokenizer: Any
) -> Answer:
    """One row of a batch up to its own end."""
    end = next((n for n, token in enumerate(made) if token in stop), None)
    ids = made if end is None else made[: end + 1]
    text = tokenizer.decode(ids if end is None else ids[:-1], skip_special_tokens=True, clean_up_tokenization_spaces=False)
    own = masses[: len(ids), :, : len(prompt.segments)].transpose(0, 1).contiguous()
    return Answer(record, prompt, ids, text, "length" if end is None else "stop", own)
