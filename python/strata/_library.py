"""libstrata through ctypes: the declarations of include/strata, and nothing more."""

from __future__ import annotations

import ctypes
import os
from ctypes import POINTER, c_char_p, c_double, c_float, c_int, c_int32, c_size_t, c_uint8, c_uint32, c_uint64, c_void_p
from pathlib import Path
from typing import Any

SONAME = "libstrata.so.0"


class Error(ctypes.Structure):
    _fields_ = [
        ("code", c_int),
        ("what", ctypes.c_char * 512),
        ("where", ctypes.c_char * 384),
        ("hint", ctypes.c_char * 384),
    ]


class Sized(ctypes.Structure):
    """A structure that begins with its size (strata/vlm.h)."""

    def __init__(self, **values: Any) -> None:
        super().__init__(size=ctypes.sizeof(self), **values)


class Options(Sized):
    _fields_ = [
        ("size", c_size_t),
        ("compute", c_char_p),
        ("weights", c_char_p),
        ("isa", c_char_p),
        ("threads", c_size_t),
        ("batch", c_size_t),
        ("memory", c_size_t),
        ("max_pixels", c_size_t),
    ]


class Turn(ctypes.Structure):
    _fields_ = [("role", c_int), ("text", c_char_p)]


class Image(ctypes.Structure):
    _fields_ = [
        ("path", c_char_p),
        ("bytes", c_void_p),
        ("length", c_size_t),
        ("rgb", POINTER(c_uint8)),
        ("width", c_size_t),
        ("height", c_size_t),
    ]


class Prompt(Sized):
    _fields_ = [
        ("size", c_size_t),
        ("turns", POINTER(Turn)),
        ("turn_count", c_size_t),
        ("images", POINTER(Image)),
        ("image_count", c_size_t),
        ("temperature", c_float),
        ("top_p", c_float),
        ("repetition_penalty", c_float),
        ("top_k", c_uint32),
        ("max_new_tokens", c_uint32),
        ("draw", c_uint32),
        ("seed", c_uint64),
        ("id", c_char_p),
        ("response", c_char_p),
        ("forced_ids", POINTER(c_int32)),
        ("forced_count", c_size_t),
        ("want", c_uint32),
    ]


class BalanceOptions(Sized):
    _fields_ = [
        ("size", c_size_t),
        ("preset", c_char_p),
        ("pool", c_char_p),
        ("layers", c_char_p),
        ("over", c_char_p),
        ("text", c_char_p),
        ("first", c_char_p),
    ]


class GradeInput(Sized):
    _fields_ = [
        ("size", c_size_t),
        ("solution", c_char_p),
        ("solution_length", c_size_t),
        ("completion", c_char_p),
        ("completion_length", c_size_t),
        ("ability", c_char_p),
        ("verifier", c_char_p),
        ("question", c_char_p),
        ("mode", c_char_p),
    ]


class Row(ctypes.Structure):
    _fields_ = [
        ("index", c_size_t),
        ("id", c_char_p),
        ("ability", c_char_p),
        ("pism", c_char_p),
        ("lambda_star", c_double),
        ("right", ctypes.c_uint),
        ("drawn", ctypes.c_uint),
        ("cmab", c_char_p),
        ("rho", c_double),
        ("correct", c_int),
        ("response", c_char_p),
        ("json", c_char_p),
    ]


ON_ROW = ctypes.CFUNCTYPE(c_int, c_void_p, POINTER(Row))

_P = c_void_p
_DECLARED: dict[str, tuple[Any, list[Any]]] = {
    "strata_version": (c_char_p, []),
    "strata_vlm_open": (c_int, [POINTER(_P), c_char_p, POINTER(Options), POINTER(Error)]),
    "strata_vlm_close": (None, [_P]),
    "strata_vlm_layers": (c_size_t, [_P]),
    "strata_vlm_parameters": (c_size_t, [_P]),
    "strata_vlm_identity": (c_char_p, [_P]),
    "strata_vlm_generate_all": (c_int, [POINTER(_P), _P, POINTER(POINTER(Prompt)), c_size_t, POINTER(Error)]),
    "strata_reply_free": (None, [_P]),
    "strata_reply_text": (_P, [_P, POINTER(c_size_t)]),
    "strata_reply_cut_off": (c_int, [_P]),
    "strata_reply_prompt_tokens": (c_size_t, [_P]),
    "strata_reply_tokens": (c_size_t, [_P]),
    "strata_reply_ids": (POINTER(c_int32), [_P]),
    "strata_reply_logprobs": (POINTER(c_float), [_P]),
    "strata_reply_segments": (c_size_t, [_P]),
    "strata_reply_masses": (POINTER(c_float), [_P]),
    "strata_reply_segment": (c_char_p, [_P, c_size_t, POINTER(c_size_t), POINTER(c_size_t), POINTER(c_size_t)]),
    "strata_reply_balance": (
        c_int,
        [POINTER(c_double), POINTER(c_double), POINTER(c_double), _P, POINTER(BalanceOptions), POINTER(Error)],
    ),
    "strata_reply_map": (POINTER(c_float), [_P, c_size_t, POINTER(c_size_t), POINTER(c_size_t)]),
    "strata_grade": (c_int, [POINTER(_P), POINTER(GradeInput), POINTER(Error)]),
    "strata_grade_free": (None, [_P]),
    "strata_grade_score": (c_double, [_P]),
    "strata_grade_correct": (c_int, [_P]),
    "strata_grade_truncated": (c_int, [_P]),
    "strata_grade_kind": (c_char_p, [_P]),
    "strata_grade_extracted": (c_char_p, [_P]),
    "strata_grade_reason": (c_char_p, [_P]),
    "strata_run_read": (c_int, [c_char_p, POINTER(BalanceOptions), ON_ROW, c_void_p, POINTER(Error)]),
}


def load() -> ctypes.CDLL:
    """STRATA_LIBRARY names a file; else the one in the wheel; else the system's."""
    own = Path(__file__).with_name(SONAME)
    name = os.environ.get("STRATA_LIBRARY") or (str(own) if own.exists() else SONAME)
    try:
        library = ctypes.CDLL(name)
    except OSError as error:
        raise ImportError(f"{name} cannot be loaded: {error}; docs/python.md says what it needs") from error
    for function, (result, arguments) in _DECLARED.items():
        declared = getattr(library, function)
        declared.restype = result
        declared.argtypes = arguments
    return library
