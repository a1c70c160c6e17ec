"""Strata in Python: load a model and see where its attention goes, grade answers, read score runs.

    import strata

    with strata.Model("models/easyvqa-tiny") as model:
        reply = model.generate("shape.png", "what shape is in the image?")
    print(reply.text, reply.rho, reply.attention_map().shape)
    strata.grade("circle", reply.text).correct
    [row.id for row in strata.read_run("run") if row.pism in ("medium", "hard")]

Everything here is libstrata (docs/c-api.md) through ctypes. Arrays are NumPy copies.
"""

from ._errors import StrataError
from ._grade import Grade, grade
from ._model import Balance, Model, Prompt, Reply, Segment, library
from ._run import Row, read_run

__version__: str = library.strata_version().decode()

__all__ = [
    "Balance",
    "Grade",
    "Model",
    "Prompt",
    "Reply",
    "Row",
    "Segment",
    "StrataError",
    "grade",
    "read_run",
]
