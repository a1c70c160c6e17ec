#!/bin/sh
# Builds and runs every fuzz target under ASan and UBSan. usage: scripts/fuzz.sh SECONDS-PER-TARGET [TARGET …]
# Seeds: tests/fuzz/corpus/TARGET/ (committed, small). What the fuzzer learns stays in .cache/fuzz/TARGET/.
# FUZZ_RUNS=N tries N inputs instead, with a fixed seed and from the committed seeds alone: the same inputs wherever
# it runs, for CI.
set -eu
cd "$(dirname "$0")/.."

seconds=${1:-60}
[ $# -eq 0 ] || shift
targets=$*
if [ -z "$targets" ]; then
    for source in tests/fuzz/fuzz_*.c; do
        [ -e "$source" ] || { echo "fuzz: there is no target in tests/fuzz" >&2; exit 0; }
        targets="$targets $(basename "$source" .c)"
    done
fi
# shellcheck disable=SC2086 # a list of words
CC=clang scripts/build.sh build-fuzz -DCMAKE_C_COMPILER=clang -DSTRATA_FUZZ=ON -DSTRATA_SANITIZE=address,undefined -- $targets

failed=
for target in $targets; do
    seeds=
    [ ! -d "tests/fuzz/corpus/$target" ] || seeds=tests/fuzz/corpus/$target
    if [ -n "${FUZZ_RUNS:-}" ]; then
        echo "fuzz: $target, $FUZZ_RUNS inputs" >&2
        learned=build-fuzz/learned/$target
        rm -rf "$learned"
        set -- "-runs=$FUZZ_RUNS" -seed=1
    else
        echo "fuzz: $target, $seconds s" >&2
        learned=.cache/fuzz/$target
        set -- "-max_total_time=$seconds"
    fi
    mkdir -p "$learned" build-fuzz/crashes
    # What is new goes into the first directory, never into the seeds.
    if ! "build-fuzz/$target" -timeout=25 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="build-fuzz/crashes/$target-" "$@" "$learned" ${seeds:+"$seeds"} >"build-fuzz/$target.log" 2>&1; then
        tail -n 60 "build-fuzz/$target.log"
        failed="$failed $target"
        echo "fuzz: $target FAILED; the input is in build-fuzz/crashes" >&2
    else
        sed -n 's/^stat::number_of_executed_units: */    inputs tried: /p' "build-fuzz/$target.log"
    fi
done
if [ -n "$failed" ]; then
    echo "fuzz: failed:$failed" >&2
    exit 1
fi
