#!/bin/sh
# The launch files of strata select, tried with the trainers that Python has (STRATA_PYTHON, else python3).
# usage: launch_python.sh STRATA (in the source directory)
set -u
. tests/cli/python.sh.inc
need 'import sys; sys.exit(sys.version_info < (3, 9))' "is not there, or older than 3.9"
"$python" tests/cli/launch_python.py "$1" "$out"
