"""Where the packages and the fixtures are."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("STRATA_SHARED", ROOT.parent / "shared"))
if os.environ.get("STRATA_PYTHON_INSTALLED") != "1":
    sys.path.insert(0, str(ROOT / "python"))
    os.environ.setdefault("STRATA_LIBRARY", str(ROOT / "build" / "libstrata.so.0"))


@pytest.fixture(scope="session")
def golden() -> Path:
    """Reference results of transformers: the whole set where it is, else the part that ships."""
    whole = SHARED / "golden" / "models"
    return whole if whole.is_dir() else ROOT / "tests" / "data" / "golden"


@pytest.fixture(scope="session")
def program() -> Path:
    """The built `strata`."""
    path = Path(os.environ.get("STRATA", ROOT / "build" / "strata"))
    if not path.exists():
        pytest.skip(f"{path} is not built")
    return path
