"""Reading run directories."""

from __future__ import annotations

import ctypes
import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from . import _library
from ._errors import raised
from ._model import balance_options, library


@dataclass(frozen=True)
class Row:
    """One sample of a run. Strata: unsolved, hard, medium, easy, not_applicable (no image), pending (answers are missing)."""

    index: int  # place in the data set
    id: str
    ability: str
    pism: str | None  # stratum by masking; None: not measured
    lambda_star: float | None  # the first mask ratio that fails; None: none does, or not known
    right: int  # answers at ratio 0
    drawn: int
    cmab: str | None  # stratum by attention balance; None: not measured
    rho: float | None
    correct: bool | None  # the answer whose attention was measured; None: there is none
    response: str | None
    details: dict[str, Any]  # the sample's line of difficulty.jsonl


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode(errors="replace")


def read_run(
    directory: str | os.PathLike[str],
    *,
    preset: str | None = None,
    pool: str | None = None,
    layers: str | int | None = None,
    over: str | None = None,
    text: str | None = None,
    first: str | None = None,
) -> Sequence[Row]:
    """The rows of a run directory of ``strata score`` in the order of the data set, also while the run goes on. With any of
    the options (those of ``Reply.balance``) the attention balance is cut anew, without the model."""
    rows: list[Row] = []
    failures: list[BaseException] = []

    def on_row(_: Any, pointer: Any) -> int:
        row = pointer.contents
        try:
            rows.append(
                Row(
                    index=row.index,
                    id=row.id.decode(),
                    ability=row.ability.decode(),
                    pism=_text(row.pism),
                    lambda_star=_number(row.lambda_star),
                    right=row.right,
                    drawn=row.drawn,
                    cmab=_text(row.cmab),
                    rho=_number(row.rho),
                    correct=None if row.correct < 0 else bool(row.correct),
                    response=_text(row.response),
                    details=json.loads(row.json),
                )
            )
        except BaseException as failure:  # must not pass through C
            failures.append(failure)
            return 1
        return 0

    error = _library.Error()
    options = balance_options(preset=preset, pool=pool, layers=layers, over=over, text=text, first=first)
    code = library.strata_run_read(
        os.fsencode(directory),
        ctypes.byref(options) if options else None,
        _library.ON_ROW(on_row),
        None,
        ctypes.byref(error),
    )
    if failures:
        raise failures[0]
    if code:
        raise raised(error)
    return rows
