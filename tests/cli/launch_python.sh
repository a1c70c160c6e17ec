#!/bin/sh
# The launch files of strata select, tried with the trainers that Python has (STRATA_PYTHON, else python3).
# usage: launch_python.sh STRATA (in the source directory)
set -u
python=${STRATA_PYTHON:-python3}
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 9))' 2>/dev/null; then
    echo "skipped: there is no $python of 3.9 or later"
    exit 77
fi
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
HF_HUB_OFFLINE=1 HF_DATASETS_DISABLE_PROGRESS_BARS=1 HF_HOME=$out PYTHONDONTWRITEBYTECODE=1 \
    "$python" tests/cli/launch_python.py "$1" "$out"
