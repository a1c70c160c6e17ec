#!/bin/sh
# Configures and builds one tree. usage: scripts/build.sh TREE [-DNAME=VALUE …] [-- TARGET …]
set -eu
cd "$(dirname "$0")/.."

tree=$1
shift
settings=
while [ $# -gt 0 ] && [ "$1" != "--" ]; do
    settings="$settings $1"
    shift
done
[ $# -eq 0 ] || shift

log=$(mktemp)
trap 'rm -f "$log"' EXIT
# Configuring is quiet unless it fails; a tree made by another generator keeps it.
generator=
[ -f "$tree/CMakeCache.txt" ] || generator="-G Ninja"
# shellcheck disable=SC2086 # lists of words
if ! cmake -S . -B "$tree" $generator $settings >"$log" 2>&1; then
    cat "$log" >&2
    exit 1
fi
if [ $# -gt 0 ]; then
    cmake --build "$tree" -j "${JOBS:-$(nproc)}" --target "$@"
else
    cmake --build "$tree" -j "${JOBS:-$(nproc)}"
fi
