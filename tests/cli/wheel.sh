#!/bin/bash
# The wheel, built by pip and installed into a fresh virtual environment, works there: strata's own tests with the
# library that is inside it. usage: wheel.sh STRATA (in the source directory); STRATA_PYTHON names the interpreter
# WHEEL=1 must be set: pip fetches the build backend, NumPy and pytest.
set -u
python=${STRATA_PYTHON:-python3}
skip() { echo "skipped: $1"; exit 77; }
[ "${WHEEL:-0}" = 1 ] || skip "WHEEL=1 is not set (pip would fetch packages); make python-wheel does"
"$python" -c 'import venv, ensurepip' 2>/dev/null || skip "$python has no venv or no pip (Debian: python3-venv)"
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
STRATA=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
export STRATA STRATA_PYTHON_INSTALLED=1 PIP_DISABLE_PIP_VERSION_CHECK=1
unset STRATA_LIBRARY

"$python" -m venv "$out/build" || exit 1
"$out/build/bin/pip" -q wheel --no-deps --wheel-dir "$out" . || exit 1
wheel=$(ls "$out"/*.whl)
"$python" -m zipfile -l "$wheel" >"$out/list" || exit 1
for file in strata/__init__.py strata/py.typed strata/libstrata.so.0 strata_hf/__init__.py strata_hf/py.typed; do
    grep -q "^$file " "$out/list" || { echo "$file is not in the wheel"; cat "$out/list"; exit 1; }
done
"$python" -m venv "$out/fresh" || exit 1
"$out/fresh/bin/pip" -q install "$wheel" pytest || exit 1
# Away from the source tree, so that only what is installed can be imported.
source=$PWD
cd "$out" || exit 1
"$out/fresh/bin/python" - "$source" <<'END' || exit 1
import pathlib, sys, strata
from strata import _model
inside = pathlib.Path(strata.__file__).parent
assert inside.is_relative_to(sys.prefix), inside
assert _model.library._name == str(inside / "libstrata.so.0"), _model.library._name
with strata.Model(sys.argv[1] + "/models/easyvqa-tiny") as model:
    reply = model.generate(sys.argv[1] + "/tests/data/cli/shape.png", "what shape is in the image?")
print(reply.text, f"rho {reply.rho:.4f}, map {reply.attention_map().shape}, {strata.grade('circle', reply.text).reason}")
END
"$out/fresh/bin/python" -m pytest -q -p no:cacheprovider "$source/tests/python/test_strata.py" || exit 1
if [ "${KEEP:-}" ]; then cp "$wheel" "$KEEP/" && echo "$KEEP/$(basename "$wheel")"; fi
