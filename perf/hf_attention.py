#!/usr/bin/env python3
"""What measuring attention costs in transformers: one prompt with an image, greedily answered three ways, each in a process
of its own.

    plain   sdpa, nothing measured
    hook    sdpa with strata_hf's hook
    eager   eager attention, generate(output_attentions=True): every matrix kept, as the paper's code does

The model has the decoder of Qwen2.5-0.5B with random weights and a vision tower of two layers (it is the same in all).
Prints one JSON line a way: CPU seconds of the pass over the prompt, of the tokens after it, and peak memory over that of the
loaded model. usage: hf_attention.py [--image-tokens 256] [--tokens 16] [--threads 1] [--dtype bfloat16] [--nano]
"""

import argparse
import gc
import json
import os
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "python"))


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--way", choices=["plain", "hook", "eager"], help="only this one, in this process")
    parser.add_argument("--image-tokens", type=int, default=256, help="a square number")
    parser.add_argument("--text-tokens", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=16)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--nano", action="store_true", help="4 layers instead of 24")
    return parser.parse_args()


def build(a: argparse.Namespace):
    import torch
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    text = {
        "hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 4 if a.nano else 24,
        "num_attention_heads": 14, "num_key_value_heads": 2, "vocab_size": 151936, "tie_word_embeddings": True,
        "max_position_embeddings": 32768, "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [8, 12, 12]},
    }  # fmt: skip
    vision = {"depth": 2, "hidden_size": 320, "intermediate_size": 856, "num_heads": 4, "out_hidden_size": 896,
              "fullatt_block_indexes": [1]}  # fmt: skip
    config = Qwen2_5_VLConfig(text_config=text, vision_config=vision, image_token_id=151655, vision_start_token_id=151652,
                              vision_end_token_id=151653, video_token_id=151656, tie_word_embeddings=True)  # fmt: skip
    config._attn_implementation = "eager" if a.way == "eager" else "sdpa"
    torch.set_default_dtype(getattr(torch, a.dtype))
    model = Qwen2_5_VLForConditionalGeneration._from_config(config).eval()
    torch.set_default_dtype(torch.float32)
    return model


def memory(name: str) -> float:
    """MB, of this process."""
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name + ":")]
    return int(line.split()[1]) / 1024


def measure(a: argparse.Namespace) -> dict:
    import torch
    from strata_hf import AttentionMasses

    torch.set_num_threads(a.threads)
    torch.manual_seed(0)
    model = build(a)
    side = round(a.image_tokens**0.5)
    before, after = 15, a.text_tokens - 16
    ids = torch.tensor([[100] * (before - 1) + [151652] + [151655] * side * side + [151653] + [200] * after])
    mask = torch.ones_like(ids)
    segments = (torch.arange(ids.shape[1]) >= before).long() + (torch.arange(ids.shape[1]) >= before + side * side)
    inputs = {
        "input_ids": ids, "attention_mask": mask, "mm_token_type_ids": (ids == 151655).int(),
        "pixel_values": torch.randn(4 * side * side, 1176, dtype=model.dtype),
        "image_grid_thw": torch.tensor([[1, 2 * side, 2 * side]]),
    }  # fmt: skip
    watch = AttentionMasses(model)
    ends: list[float] = []

    class Clock:
        def put(self, _) -> None:
            ends.append(time.process_time())

        def end(self) -> None:
            pass

    def run(tokens: int):
        ends.clear()
        keep = {"output_attentions": True, "return_dict_in_generate": True} if a.way == "eager" else {}
        settings = {"max_new_tokens": tokens, "min_new_tokens": tokens, "do_sample": False, "pad_token_id": 0}
        if a.way != "hook":
            return model.generate(**inputs, **settings, **keep, streamer=Clock())
        with watch:
            watch.begin(segments[None], mask)
            model.generate(**inputs, **settings, streamer=Clock())
            return watch.masses()

    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
    loaded = memory("VmRSS")
    with torch.inference_mode():
        out = run(a.tokens)  # memory of the first run; times of the second
        grown = memory("VmHWM") - loaded
        if a.way == "eager":
            kept = sum(w.numel() * w.element_size() for step in out.attentions for w in step)
        else:
            kept = out.numel() * 4 if a.way == "hook" else 0
        del out
        began = time.process_time()
        run(a.tokens)
    return {"way": a.way, "dtype": a.dtype, "threads": a.threads, "prompt": ids.shape[1], "tokens": a.tokens,
            "layers": 4 if a.nano else 24, "prompt_seconds": round(ends[1] - began, 3),
            "token_seconds": round((ends[-1] - ends[1]) / (a.tokens - 1), 4), "peak_over_loaded_mb": round(grown),
            "loaded_mb": round(loaded), "kept_mb": round(kept / 2**20, 3)}  # fmt: skip


def main() -> None:
    a = options()
    if a.way:
        print(json.dumps(measure(a)), flush=True)
        return
    os.environ.setdefault("OMP_NUM_THREADS", str(a.threads))
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    for way in ("plain", "hook", "eager"):
        subprocess.run([sys.executable, *sys.argv, "--way", way], check=True)


if __name__ == "__main__":
    main()
