#!/bin/sh
# What strata writes, read by pyarrow, datasets and pandas, where Python has them (STRATA_PYTHON, else python3).
# usage: python_readers.sh STRATA (in the source directory)
set -u
. tests/cli/python.sh.inc
need 'import pyarrow' "has no pyarrow"
"$python" tests/cli/python_readers.py "$1" "$out"
