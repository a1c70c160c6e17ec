#!/bin/bash
# The Python packages from the source tree, by their own tests. Those of strata_hf need torch and transformers.
# usage: python.sh STRATA (in the source directory); STRATA_PYTHON names the interpreter
set -u
python=${STRATA_PYTHON:-python3}
if ! "$python" -c 'import numpy, pytest' 2>/dev/null; then
    echo "skipped: $python has no numpy or no pytest"
    exit 77
fi
if ! "$python" -c 'import torch, torchvision, transformers' 2>/dev/null; then
    echo "strata_hf is not tested: $python has no torch, torchvision or transformers"
fi
if "$python" -c 'import mypy' 2>/dev/null; then
    "$python" -m mypy --strict --no-error-summary python/strata* || exit 1
fi
STRATA=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
export STRATA HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false TRANSFORMERS_VERBOSITY=error
exec "$python" -m pytest -q -p no:cacheprovider -rs tests/python
