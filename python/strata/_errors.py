"""What a failed call of the library raises."""

from __future__ import annotations

from ._library import Error

CODES = {
    1: "input",
    2: "usage",
    3: "io",
    4: "memory",
    5: "unsupported",
    6: "numeric",
    7: "state",
    8: "interrupted",
    9: "engine",
}


class StrataError(Exception):
    """A failure of the library: ``what`` is wrong, ``where``, a ``hint`` for the user, and its ``kind`` (input, usage, io,
    memory, unsupported, numeric, state, interrupted, engine)."""

    def __init__(self, kind: str, what: str, where: str = "", hint: str = "") -> None:
        self.kind, self.what, self.where, self.hint = kind, what, where, hint
        super().__init__((f"{where}: " if where else "") + what + (f" ({hint})" if hint else ""))


def raised(error: Error) -> StrataError:
    texts = [text.decode(errors="replace") for text in (error.what, error.where, error.hint)]
    return StrataError(CODES.get(error.code, "other"), *texts)
