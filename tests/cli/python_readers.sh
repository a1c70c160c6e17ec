#!/bin/sh
# What strata writes, read by pyarrow, datasets and pandas, where Python has them (STRATA_PYTHON, else python3).
# usage: python_readers.sh STRATA (in the source directory)
set -u
python=${STRATA_PYTHON:-python3}
if ! "$python" -c 'import pyarrow' 2>/dev/null; then
    echo "skipped: $python has no pyarrow (STRATA_PYTHON=… names another Python)"
    exit 77
fi
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
HF_DATASETS_OFFLINE=1 HF_DATASETS_DISABLE_PROGRESS_BARS=1 HF_HOME=$out "$python" tests/cli/python_readers.py "$1" "$out"
