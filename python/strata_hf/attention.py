"""The hook: attention masses of the rows that produce tokens, beside the model's own attention kernel."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

ROWS_AT_ONCE = 64  # bounds what a teacher-forced response takes: heads x rows x keys floats


def decoder_attention(model: nn.Module) -> list[nn.Module]:
    """The language model's attention modules in the order of its layers."""
    found: dict[int, nn.Module] = {}
    for module in model.modules():
        layer = getattr(module, "layer_idx", None)
        if isinstance(layer, int) and hasattr(module, "q_proj"):
            found[layer] = module
    if not found or sorted(found) != list(range(len(found))):
        raise ValueError("the model's decoder layers are not numbered: its attention cannot be watched")
    return [found[layer] for layer in range(len(found))]


class AttentionMasses:
    """While it is entered, each forward pass of ``model`` adds the masses of its rows.

    The model's attention function is called as it is, under its own name, so masks and kernels are those it would have
    had. ``begin`` comes before each batch; ``masses`` gives what was measured: (rows, layers, batch, segments), the
    attention of each row on each segment, averaged over heads, float32.

    A forward pass over one more token (decoding) measures that token's row. The first pass over the prompt measures its
    last row; with ``forced`` the last ``forced`` rows, for a response that is given.
    """

    def __init__(self, model: nn.Module) -> None:
        self.modules = decoder_attention(model)
        self._layer_of = {id(module): layer for layer, module in enumerate(self.modules)}
        self._name: str = self.modules[0].config._attn_implementation  # type: ignore[union-attr, assignment]
        self._kernel: Callable[..., Any] | None = None
        self._had_local = False
        self._rows: list[list[Tensor]] = []
        self._segments = torch.empty(0)
        self._mask = torch.empty(0)
        self._forced = 1

    def __enter__(self) -> AttentionMasses:
        local = ALL_ATTENTION_FUNCTIONS._local_mapping
        self._had_local = self._name in local
        if self._name in ALL_ATTENTION_FUNCTIONS:
            self._kernel = ALL_ATTENTION_FUNCTIONS[self._name]
        else:  # "eager" is each model's own function
            self._kernel = sys.modules[type(self.modules[0]).__module__].eager_attention_forward
        ALL_ATTENTION_FUNCTIONS[self._name] = self._attend
        return self

    def __exit__(self, *_: object) -> None:
        if self._had_local:
            ALL_ATTENTION_FUNCTIONS[self._name] = self._kernel
        else:
            ALL_ATTENTION_FUNCTIONS._local_mapping.pop(self._name)
        self._rows = []

    def begin(self, segments: Tensor, mask: Tensor, forced: int = 1) -> None:
        """``segments`` (batch, prompt): each prompt token's segment, any number where ``mask`` (batch, prompt) is 0."""
        self._rows = [[] for _ in self.modules]
        count = int(segments[mask.bool()].max()) + 1
        self._segments = nn.functional.one_hot(segments.clamp(0, count - 1), count).float() * mask[:, :, None]
        self._mask = mask.bool()
        self._forced = forced

    def masses(self) -> Tensor:
        return torch.stack([torch.cat(rows) for rows in self._rows], dim=1)

    def _attend(
        self,
        module: nn.Module,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Tensor | None,
        *arguments: Any,
        **options: Any,
    ) -> Any:
        assert self._kernel is not None
        layer = self._layer_of.get(id(module))
        if layer is not None and self._rows:
            scaling = options.get("scaling") or query.shape[-1] ** -0.5
            self._measure(layer, module, query, key, scaling)
        return self._kernel(module, query, key, value, attention_mask, *arguments, **options)

    @torch.no_grad()
    def _measure(self, layer: int, module: nn.Module, query: Tensor, key: Tensor, scaling: float) -> None:
        rows, first = self._rows[layer], not self._rows[layer]
        prompt = self._mask.shape[1]
        begin = query.shape[2] - self._forced if first else 0  # of the query rows
        seen = query.shape[2] if first else prompt + len(rows)  # keys that the last row sees
        window = getattr(module, "sliding_window", None)
        if window is not None and seen > window:
            raise NotImplementedError(f"layer {layer} attends to the last {window} keys only: not supported")
        if key.shape[2] < seen or (not first and query.shape[2] != 1):
            raise NotImplementedError("the prompt must be read in one pass, and tokens be made one at a time")
        for at in range(begin, query.shape[2], ROWS_AT_ONCE):
            part = query[:, :, at : min(at + ROWS_AT_ONCE, query.shape[2])]
            rows.append(self._sums(part, key, seen - query.shape[2] + at, scaling))

    def _sums(self, query: Tensor, key: Tensor, position: int, scaling: float) -> Tensor:
        """(rows, batch, segments) for query rows (batch, heads, rows, dim) of which the first stands at ``position``."""
        batch, heads, count, size = query.shape
        groups, keys, prompt = key.shape[1], key.shape[2], self._mask.shape[1]
        grouped = query.float().reshape(batch, groups, heads // groups * count, size)
        scores = (grouped @ key.float().transpose(2, 3) * scaling).view(batch, heads, count, keys)
        index = torch.arange(keys, device=key.device)
        visible = (index <= position + torch.arange(count, device=key.device)[:, None]).repeat(batch, 1, 1)
        visible[:, :, :prompt] &= self._mask[:, None]
        scores = scores.masked_fill(~visible[:, None], float("-inf"))
        shares = scores.softmax(-1)[..., :prompt].mean(1)
        # Not a matrix product: those may round to TF32, or sum in an order that depends on the batch.
        sums = torch.stack([(row[:, :, None] * self._segments).sum(1) for row in shares.unbind(1)])
        return sums
