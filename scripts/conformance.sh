#!/bin/sh
# Runs the conformance programs of one kind and sums their closing lines `N passed, N failed`.
# usage: BUILD=build [ISA=level] [COMPUTE=f32|bf16] [WEIGHTS=f32|bf16|int8] scripts/conformance.sh models DIR | training DIR
#                                                                        | easyvqa MODEL GOLDEN DATA | rewards FILE
#                                                                        | benchmarks FILE [--kit-sources DIR]
# Ends with one line `N passed, N failed`; exit 1 when anything failed or a program did not say what it did.
set -u
cd "$(dirname "$0")/.." || exit 1

build=${BUILD:-build}
kind=${1:-}
[ $# -eq 0 ] || shift
case $kind in
models) programs="conformance_tokenizer conformance_images conformance_models conformance_cmab" ;;
easyvqa) programs="conformance_easyvqa" ;;
rewards) programs="conformance_rewards" ;;
benchmarks) programs="conformance_benchmarks" ;;
training) programs="conformance_gradients conformance_training" ;;
*)
    echo "usage: $0 models DIR | training DIR | easyvqa MODEL GOLDEN DATA | rewards FILE | benchmarks FILE" >&2
    exit 2 ;;
esac
for path in "$@"; do
    [ "$path" = --kit-sources ] || [ -e "$path" ] || { echo "conformance: there is no $path" >&2; exit 2; }
done
# ISA, COMPUTE and WEIGHTS reach the programs as options, and only those that run the model know them.
options=
[ -z "${ISA:-}" ] || options="$options --isa=$ISA"
[ -z "${COMPUTE:-}" ] || options="$options --compute=$COMPUTE"
weights=
[ -z "${WEIGHTS:-}" ] || weights=" --weights=$WEIGHTS"

output=$(mktemp)
trap 'rm -f "$output"' EXIT
passed=0
failed=0
for program in $programs; do
    if [ ! -x "$build/$program" ]; then
        echo "conformance: $build/$program is not built"
        failed=$((failed + 1))
        continue
    fi
    case $program in
    conformance_models | conformance_cmab) extra=$options ;;
    conformance_easyvqa) extra=$options$weights ;;
    conformance_gradients | conformance_training) extra=${ISA:+--isa=$ISA} ;; # always in fp32
    *) extra= ;;
    esac
    echo "== $program $*"
    # shellcheck disable=SC2086 # a list of words
    "$build/$program" "$@" $extra >"$output" 2>&1
    status=$?
    cat "$output"
    sums=$(sed -n 's/^\([0-9][0-9]*\) passed, \([0-9][0-9]*\) failed$/\1 \2/p' "$output" | tail -n 1)
    if [ -z "$sums" ]; then
        echo "conformance: $program ended (status $status) without its closing line"
        failed=$((failed + 1))
        continue
    fi
    passed=$((passed + ${sums% *}))
    failed=$((failed + ${sums#* }))
    if [ "$status" -ne 0 ] && [ "${sums#* }" -eq 0 ]; then
        echo "conformance: $program counted no failure but ended with status $status"
        failed=$((failed + 1))
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
