#!/bin/sh
# Gets EasyVQA (github.com/vzhou842/easy-VQA, MIT) from PyPI and lays it out as data/easyvqa/{train,test}.jsonl with
# images. The wheel is kept in .cache. usage: scripts/easyvqa.sh [OUT]
set -eu
cd "$(dirname "$0")/.."

out=${1:-data/easyvqa}
wheel=.cache/easy_vqa-1.0-py3-none-any.whl
copy=../shared/data/easyvqa
# Made after the script was last changed: there is nothing to do.
[ -z "$(find "$out/test.jsonl" -newer scripts/easyvqa.py 2>/dev/null)" ] || exit 0

if [ ! -f "$wheel" ]; then
    mkdir -p .cache
    echo "data: fetching easy-vqa 1.0 (3.2 MB)" >&2
    if ! python3 -m pip download --quiet --disable-pip-version-check --no-deps --dest .cache easy-vqa==1.0 >.cache/pip.log 2>&1; then
        if [ -f "$copy/test.jsonl" ]; then
            echo "data: no network; using the copy in $copy" >&2
            mkdir -p "$out/images"
            cp "$copy"/*.jsonl "$copy/LICENSE" "$out/"
            cp "$copy"/images/* "$out/images/"
            chmod -R u+w "$out"
            touch "$out/test.jsonl"
            exit 0
        fi
        tail -n 3 .cache/pip.log >&2
        echo "data: EasyVQA cannot be fetched from PyPI (is there a network?)" >&2
        echo "  hint: put easy_vqa-1.0-py3-none-any.whl into .cache/ by hand, or run again with a network" >&2
        exit 1
    fi
fi
python3 scripts/easyvqa.py "$wheel" "$out"
