"""python -m strata_hf DATA --model MODEL --out FILE"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Iterable
from pathlib import Path

import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from .prompts import Record, RecordError, read_records
from .writer import Settings, generate_file


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m strata_hf",
        description="Answer a data set with a model in transformers and measure its attention, for "
        "`strata score DATA --cmab-from FILE`. Starting it again goes on where it stopped.",
    )
    parser.add_argument("data", help="JSONL as strata reads it, perhaps .gz (other layouts: strata convert)")
    parser.add_argument("--model", required=True, help="checkpoint directory or name")
    parser.add_argument("--out", required=True, help="file to write, or to go on with")
    parser.add_argument("--batch", type=int, default=8, help="records answered together (8)")
    parser.add_argument("--dtype", default="auto", choices=["auto", "bfloat16", "float16", "float32"])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--attention", default="sdpa", help="attention kernel: sdpa, flash_attention_2, … (sdpa)")
    parser.add_argument("--system", help="system turn for records that have none; @FILE reads it from a file")
    parser.add_argument("--missing-image", default="error", choices=["error", "prepend"])
    parser.add_argument("--limit", type=int, help="only the first N records")
    parser.add_argument("--shard", help="I/N: only every Nth record, starting with record I, into a file of its own")
    parser.add_argument("--threads", type=int, help="CPU threads")
    defaults = Settings()
    for name in ("max_new_tokens", "temperature", "top_p", "top_k", "repetition_penalty", "seed", "max_pixels"):
        standard = getattr(defaults, name)
        parser.add_argument("--" + name.replace("_", "-"), type=type(standard), default=standard, help=f"({standard})")
    return parser.parse_args(arguments)


def chosen(records: Iterable[Record | RecordError], options: argparse.Namespace) -> Iterable[Record | RecordError]:
    first, step = 1, 1
    if options.shard:
        first, step = (int(number) for number in options.shard.split("/"))
        if not 1 <= first <= step:
            raise SystemExit(f"--shard {options.shard}: it reads I/N with I from 1 to N")
    return itertools.islice(records, first - 1, options.limit, step)


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    system = options.system
    if system and system.startswith("@"):
        system = Path(system[1:]).read_text(encoding="utf-8").removesuffix("\n")
    settings = Settings(**{name: getattr(options, name) for name in Settings.__dataclass_fields__})
    processor = AutoProcessor.from_pretrained(options.model)  # type: ignore[no-untyped-call]
    model = AutoModelForImageTextToText.from_pretrained(
        options.model, dtype=options.dtype, attn_implementation=options.attention
    )
    model = model.to(options.device).eval()
    records = read_records(options.data, system=system, prepend_missing_image=options.missing_image == "prepend")
    count = generate_file(model, processor, chosen(records, options), options.out, settings, options.batch)
    print(f"{options.out}: {count} answered", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
