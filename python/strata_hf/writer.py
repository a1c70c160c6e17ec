"""The file of answers that `strata score --cmab-from` reads (docs/strata-hf.md)."""

from __future__ import annotations

import base64
import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import torch
import transformers

from .answer import Answer, answer_batch
from .prompts import Record, RecordError

FORMAT = "strata-cmab"
VERSION = 1


@dataclass
class Settings:
    """What determines the answers, beside model and data."""

    max_new_tokens: int = 1024
    temperature: float = 0.0  # 0: greedy
    top_p: float = 1.0
    top_k: int = 0
    repetition_penalty: float = 1.0
    seed: int = 0
    max_pixels: int = 1254400  # 0: the model's own limit


def model_hash(model: torch.nn.Module) -> str:
    """SHA-256 over names, types, shapes and bytes of all weights."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return "sha256:" + digest.hexdigest()


def limit_pixels(processor: Any, max_pixels: int) -> None:
    """Larger images are scaled down to at most ``max_pixels``, as strata's --max-pixels does."""
    images = processor.image_processor
    size = images.size
    low = size["shortest_edge"] if "shortest_edge" in size else images.min_pixels
    high = size["longest_edge"] if "longest_edge" in size else images.max_pixels
    if max_pixels and max_pixels < high:
        images.size = {"shortest_edge": low, "longest_edge": max_pixels}
        images.min_pixels, images.max_pixels = low, max_pixels


def header(model: Any, settings: Settings) -> dict[str, Any]:
    text = model.config.get_text_config()
    determined = asdict(settings) | {"dtype": str(model.dtype).removeprefix("torch."), "attention": text._attn_implementation}
    return {
        "format": FORMAT,
        "version": VERSION,
        "model": {"name": str(getattr(model, "name_or_path", "")), "hash": model_hash(model)},
        "settings": determined,
        "made_by": {"torch": torch.__version__, "transformers": transformers.__version__, "device": str(model.device)},
    }


def line(answer: Answer) -> str:
    layers, _, _ = answer.masses.shape
    packed = answer.masses.numpy().astype("<f4").tobytes()
    return json.dumps(
        {
            "id": answer.record.id,
            "prompt_md5": answer.prompt.md5,
            "prompt_tokens": len(answer.prompt.ids),
            "finish": answer.finish,
            "response": answer.text,
            "ids": answer.ids,
            "layers": layers,
            "segments": [list(segment) for segment in answer.prompt.segments],
            "masses": base64.b64encode(packed).decode(),
        },
        ensure_ascii=False,
    )


def _resume(out: Path, head: dict[str, Any]) -> set[str]:
    """Ids that the file has. A last line that was cut off is removed; a file of another model is refused."""
    done: set[str] = set()
    if not out.exists() or out.stat().st_size == 0:
        out.write_text(json.dumps(head) + "\n", encoding="utf-8")
        return done
    with open(out, "r+b") as file:
        first = json.loads(file.readline())
        if any(first.get(key) != head[key] for key in ("format", "version", "settings")) or (
            first.get("model", {}).get("hash") != head["model"]["hash"]
        ):
            raise SystemExit(f"{out}: was made with another model or other settings")
        end = file.tell()
        for text in file:
            if not text.endswith(b"\n"):
                break
            done.add(json.loads(text)["id"])
            end += len(text)
        file.truncate(end)
    return done


def _batches(
    records: Iterable[Record | RecordError], done: set[str], size: int, tell: Callable[[str], None]
) -> Iterator[list[Record]]:
    batch: list[Record] = []
    for record in records:
        if isinstance(record, RecordError):
            tell(f"left out: {record}")
        elif record.id not in done and record.images:
            batch.append(record)
            if len(batch) == size:
                yield batch
                batch = []
    if batch:
        yield batch


def _write(
    file: IO[str], model: Any, processor: Any, batch: list[Record], settings: Settings, tell: Callable[[str], None]
) -> int:
    options = asdict(settings)
    del options["max_pixels"], options["seed"]
    try:
        answers = answer_batch(model, processor, batch, **options)
    except (OSError, ValueError, torch.cuda.OutOfMemoryError) as error:
        if len(batch) == 1:
            tell(f"left out: {batch[0].where or batch[0].id}: {error}")
            return 0
        torch.cuda.empty_cache()
        return sum(_write(file, model, processor, [record], settings, tell) for record in batch)
    for answer in answers:
        file.write(line(answer) + "\n")
    file.flush()
    return len(answers)


def generate_file(
    model: Any,
    processor: Any,
    records: Iterable[Record | RecordError],
    out: str | Path,
    settings: Settings | None = None,
    batch_size: int = 8,
    tell: Callable[[str], None] = lambda text: print(text, file=sys.stderr),
) -> int:
    """Answers every record that has images and writes the file, or goes on with it. Returns how many were answered now.
    A record that cannot be read, or does not fit into memory even alone, is told and left out: it stays pending."""
    settings = settings or Settings()
    out = Path(out)
    limit_pixels(processor, settings.max_pixels)
    done = _resume(out, header(model, settings))
    if done:
        tell(f"{out}: {len(done)} answers are there already")
    torch.manual_seed(settings.seed)
    count, began = 0, time.monotonic()
    with open(out, "a", encoding="utf-8") as file:
        for batch in _batches(records, done, batch_size, tell):
            before = count
            count += _write(file, model, processor, batch, settings, tell)
            if count // 100 > before // 100:
                tell(f"{count} answered, {count / (time.monotonic() - began):.1f} a second")
    return count
