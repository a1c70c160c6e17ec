"""A loaded model and its replies."""

from __future__ import annotations

import ctypes
import os
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from . import _library
from ._errors import raised

library = _library.load()

Floats: TypeAlias = npt.NDArray[np.float32]
Doubles: TypeAlias = npt.NDArray[np.float64]
#: A path, an image file's bytes, or pixels (height, width, 3) uint8. A PIL image in RGB is such pixels.
Image: TypeAlias = "str | os.PathLike[str] | bytes | npt.NDArray[np.uint8] | Any"
Role: TypeAlias = Literal["system", "user", "assistant"]

_ROLES = {"system": 0, "user": 1, "assistant": 2}
_WANT_ATTENTION, _WANT_MAP = 1, 2


class Segment(NamedTuple):
    """Prompt tokens [begin, begin + length) of one kind: template, system, question, reply (earlier assistant turns), vision
    (the markers around an image) or image; ``image`` says which."""

    kind: str
    begin: int
    length: int
    image: int


@dataclass(frozen=True)
class Balance:
    """The balance of attention between image and text. ``rho`` is NaN where there is none (no image)."""

    rho: float
    tokens: Doubles  # (N,)
    layers: Doubles  # (L, N)


@dataclass
class Prompt:
    """One question. ``images`` without an ``<image>`` mark in the text stand before the first user turn."""

    question: str = ""
    images: Sequence[Image] = ()
    system: str | None = None
    turns: Sequence[tuple[Role, str]] | None = None  # instead of question and system
    temperature: float = 0.0  # 0: greedy
    top_p: float = 1.0
    top_k: int = 0
    repetition_penalty: float = 1.0
    max_new_tokens: int = 1024
    seed: int = 0
    draw: int = 0  # which of the answers that seed and id determine
    id: str = "prompt"
    response: str | None = None  # score this answer instead of making one
    response_ids: Sequence[int] | None = None  # or these token ids
    attention: bool = True  # measure it; needed for masses, balance and maps


def text_or_null(text: str | None) -> bytes | None:
    if text is not None and "\0" in text:
        raise ValueError("a text holds a NUL character")
    return None if text is None else text.encode()


def balance_options(**given: str | int | None) -> _library.BalanceOptions | None:
    """NULL when nothing is given."""
    texts = {name: None if value is None else text_or_null(str(value)) for name, value in given.items()}
    return _library.BalanceOptions(**texts) if any(text is not None for text in texts.values()) else None


def _copied(pointer: Any, shape: tuple[int, ...], dtype: Any) -> npt.NDArray[Any]:
    if not pointer or 0 in shape:
        return np.zeros(shape, dtype)
    return np.ctypeslib.as_array(pointer, shape).astype(dtype, copy=True)


class Reply:
    """What a model answered, and where its attention went. Arrays: L layers, N tokens, S prompt segments."""

    def __init__(self, handle: int, layers: int) -> None:
        self._handle = handle
        self._free = weakref.finalize(self, library.strata_reply_free, handle)
        length = ctypes.c_size_t()
        begin = library.strata_reply_text(handle, ctypes.byref(length))
        count = library.strata_reply_tokens(handle)
        #: The response without its end token.
        self.text = ctypes.string_at(begin, length.value).decode(errors="replace")
        #: True when ``max_new_tokens`` ended it.
        self.cut_off = bool(library.strata_reply_cut_off(handle))
        self.prompt_tokens = int(library.strata_reply_prompt_tokens(handle))
        #: (N,) token ids, the end token included.
        self.ids: npt.NDArray[np.int32] = _copied(library.strata_reply_ids(handle), (count,), np.int32)
        #: (N,) log p of each token.
        self.logprobs: Floats = _copied(library.strata_reply_logprobs(handle), (count,), np.float32)
        self.segments = self._read_segments()
        #: (L, N, S) attention of the query that produces each token on each segment, averaged over heads.
        self.masses: Floats = _copied(
            library.strata_reply_masses(handle), (layers, count, len(self.segments)), np.float32
        )

    def _read_segments(self) -> list[Segment]:
        numbers = [ctypes.c_size_t() for _ in range(3)]
        segments = []
        for s in range(library.strata_reply_segments(self._handle)):
            kind = library.strata_reply_segment(self._handle, s, *(ctypes.byref(number) for number in numbers))
            segments.append(Segment(kind.decode(), *(number.value for number in numbers)))
        return segments

    def __repr__(self) -> str:
        return f"Reply({self.text!r}, {len(self.ids)} tokens)"

    def balance(
        self,
        preset: str | None = None,
        pool: str | None = None,
        layers: str | int | None = None,
        over: str | None = None,
        text: str | None = None,
        first: str | None = None,
    ) -> Balance:
        """ρ under the options of ``strata score --cmab-…``: preset ``paper`` (the default) or ``released-code``; pool ``sum``,
        ``mean``; layers ``inner``, ``all`` or an index; over ``mean``, ``ratio-of-sums``, ``median``, ``geomean``; text
        ``prompt``, ``before-image``, ``question``; first ``include``, ``skip``."""
        error = _library.Error()
        options = balance_options(preset=preset, pool=pool, layers=layers, over=over, text=text, first=first)
        rho = ctypes.c_double()
        tokens = np.empty(self.masses.shape[1])
        per_layer = np.empty(self.masses.shape[:2])
        doubles = ctypes.POINTER(ctypes.c_double)
        code = library.strata_reply_balance(
            ctypes.byref(rho),
            tokens.ctypes.data_as(doubles),
            per_layer.ctypes.data_as(doubles),
            self._handle,
            ctypes.byref(options) if options else None,
            ctypes.byref(error),
        )
        if code:
            raise raised(error)
        return Balance(rho.value, tokens, per_layer)

    @property
    def rho(self) -> float:
        """The balance as the paper defines it; NaN without an image."""
        return self.balance().rho

    def attention_map(self, image: int = 0) -> Floats:
        """(rows, columns): attention on each cell of an image, the mean over inner layers and tokens."""
        rows, columns = ctypes.c_size_t(), ctypes.c_size_t()
        found = library.strata_reply_map(self._handle, image, ctypes.byref(rows), ctypes.byref(columns))
        if not found:
            raise IndexError(f"the prompt has no image {image}, or attention was not measured")
        return _copied(found, (rows.value, columns.value), np.float32)


def _image(source: Image, keep: list[Any]) -> _library.Image:
    """``keep`` gets what must live as long as the call."""
    if isinstance(source, (str, os.PathLike)):
        return _library.Image(path=os.fsencode(source))
    if isinstance(source, (bytes, bytearray, memoryview)):
        content = bytes(source)
        keep.append(content)
        return _library.Image(bytes=ctypes.cast(ctypes.c_char_p(content), ctypes.c_void_p), length=len(content))
    pixels = np.ascontiguousarray(source)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise TypeError(f"an image is a path, a file's bytes, or (height, width, 3) uint8, not {pixels.dtype} {pixels.shape}")
    keep.append(pixels)
    height, width, _ = pixels.shape
    return _library.Image(rgb=pixels.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8)), width=width, height=height)


def _prompt(prompt: Prompt, keep: list[Any]) -> _library.Prompt:
    turns: list[tuple[Role, str]] = list(prompt.turns or [])
    if prompt.turns is None:
        turns = [("user", prompt.question)]
        if prompt.system is not None:
            turns.insert(0, ("system", prompt.system))
    for role, _ in turns:
        if role not in _ROLES:
            raise ValueError(f"{role!r} is no role: system, user or assistant")
    made_turns = (_library.Turn * len(turns))(*(_library.Turn(_ROLES[role], text_or_null(text)) for role, text in turns))
    made_images = (_library.Image * len(prompt.images))(*(_image(image, keep) for image in prompt.images))
    forced = None
    if prompt.response_ids is not None:
        forced = (ctypes.c_int32 * len(prompt.response_ids))(*prompt.response_ids)
    keep += [made_turns, made_images, forced]
    return _library.Prompt(
        turns=made_turns,
        turn_count=len(turns),
        images=made_images,
        image_count=len(prompt.images),
        temperature=prompt.temperature,
        top_p=prompt.top_p,
        repetition_penalty=prompt.repetition_penalty,
        top_k=prompt.top_k,
        max_new_tokens=prompt.max_new_tokens,
        draw=prompt.draw,
        seed=prompt.seed,
        id=text_or_null(prompt.id),
        response=text_or_null(prompt.response),
        forced_ids=forced,
        forced_count=len(prompt.response_ids or ()),
        want=_WANT_ATTENTION | _WANT_MAP if prompt.attention else 0,
    )


class Model:
    """A Qwen2.5-VL checkpoint directory, loaded into the built-in engine. Used by one thread at a time; may be used as a
    context manager, and is closed when it goes."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        compute: str | None = None,
        weights: str | None = None,
        isa: str | None = None,
        threads: int = 0,
        batch: int = 0,
        memory: int = 0,
        max_pixels: int = 0,
    ) -> None:
        """compute ``f32`` or ``bf16``; weights ``f32``, ``bf16`` or ``int8``; isa as ``strata doctor`` lists them; 0 and None:
        the library's defaults (strata/vlm.h). ``max_pixels=-1``: the model's own limit."""
        handle, error = ctypes.c_void_p(), _library.Error()
        options = _library.Options(
            compute=text_or_null(compute),
            weights=text_or_null(weights),
            isa=text_or_null(isa),
            threads=threads,
            batch=batch,
            memory=memory,
            max_pixels=ctypes.c_size_t(-1).value if max_pixels < 0 else max_pixels,
        )
        code = library.strata_vlm_open(
            ctypes.byref(handle), os.fsencode(path), ctypes.byref(options), ctypes.byref(error)
        )
        if code:
            raise raised(error)
        self._handle = handle.value
        self._close = weakref.finalize(self, library.strata_vlm_close, handle.value)
        self.layers = int(library.strata_vlm_layers(self._handle))
        self.parameters = int(library.strata_vlm_parameters(self._handle))
        #: What determines its answers: weights, kernels, arithmetic.
        self.identity: str = library.strata_vlm_identity(self._handle).decode()

    def close(self) -> None:
        self._close()
        self._handle = None

    def __enter__(self) -> Model:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def generate(self, image: Image | Sequence[Image] | None, question: str, **options: Any) -> Reply:
        """Answers one question about an image, several (a list or tuple), or none (None). Options: those of ``Prompt``."""
        images = [] if image is None else list(image) if isinstance(image, (list, tuple)) else [image]
        return self.generate_all([Prompt(question, images, **options)])[0]

    def generate_all(self, prompts: Sequence[Prompt]) -> list[Reply]:
        """Answers prompts together, which is faster and changes no answer. The first that fails raises."""
        if self._handle is None:
            raise ValueError("the model is closed")
        keep: list[Any] = []
        made = [_prompt(prompt, keep) for prompt in prompts]
        pointers = (ctypes.POINTER(_library.Prompt) * len(made))(*(ctypes.pointer(prompt) for prompt in made))
        replies, error = (ctypes.c_void_p * len(made))(), _library.Error()
        code = library.strata_vlm_generate_all(replies, self._handle, pointers, len(made), ctypes.byref(error))
        if code:
            raise raised(error)
        return [Reply(handle, self.layers) for handle in replies if handle]
