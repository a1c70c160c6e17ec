"""Grading."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

from . import _library
from ._errors import raised
from ._model import library, text_or_null


@dataclass(frozen=True)
class Grade:
    score: float  # 0 to 1
    correct: bool
    truncated: bool  # a thought that never ends: there is no answer
    kind: str  # which grader decided
    extracted: str  # the answer as extracted
    reason: str  # one line


def grade(
    solution: str,
    completion: str,
    *,
    ability: str | None = None,
    verifier: str | None = None,
    question: str | None = None,
    mode: str | None = None,
) -> Grade:
    """Does the completion answer the question whose solution this is? As ``strata verify`` grades: ability or verifier pick
    the grader, else the solution does. A solution that cannot be graded raises StrataError."""
    if not solution:
        raise ValueError("the solution is empty")
    texts = solution.encode(), completion.encode()
    handle, error = ctypes.c_void_p(), _library.Error()
    given = _library.GradeInput(
        solution=texts[0],
        solution_length=len(texts[0]),
        completion=texts[1],
        completion_length=len(texts[1]),
        ability=text_or_null(ability),
        verifier=text_or_null(verifier),
        question=text_or_null(question),
        mode=text_or_null(mode),
    )
    if library.strata_grade(ctypes.byref(handle), ctypes.byref(given), ctypes.byref(error)):
        raise raised(error)
    try:
        return Grade(
            score=library.strata_grade_score(handle),
            correct=bool(library.strata_grade_correct(handle)),
            truncated=bool(library.strata_grade_truncated(handle)),
            kind=library.strata_grade_kind(handle).decode(),
            extracted=library.strata_grade_extracted(handle).decode(errors="replace"),
            reason=library.strata_grade_reason(handle).decode(errors="replace"),
        )
    finally:
        library.strata_grade_free(handle)
