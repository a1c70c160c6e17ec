#!/bin/sh
# Does each test catch the breakage that it is there for? Copies the tree, applies one mutation of tests/mutations.txt at
# a time, builds the program it names and expects it to fail.
# usage: scripts/mutate.sh [GOLDEN_MODELS_DIR] [NAME_PATTERN]
# shellcheck disable=SC2086 # $arguments is a list of words
set -u
cd "$(dirname "$0")/.." || exit 1
golden=$(cd "${1:-${STRATA_SHARED:-../shared}/golden/models}" && pwd) || exit 2
pattern=${2:-.}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -R CMakeLists.txt LICENSE cmake docs recipes scripts include src tests models "$work/"
if [ -d perf ]; then cp -R perf "$work/"; fi
cmake -S "$work" -B "$work/build" -G Ninja >/dev/null || exit 1
passed=0
failed=0
while IFS= read -r row; do
    case $row in '' | \#*) continue ;; esac
    name=$(printf '%s' "$row" | sed 's/ | .*//')
    printf '%s' "$name" | grep -q "$pattern" || continue
    rest=${row#* | }
    file=${rest%% | *}
    rest=${rest#* | }
    command=${rest##* | }
    expression=${rest% | *}
    program=$(printf '%s' "$command" | sed 's/ .*//')
    arguments=$(printf '%s' "$command" | sed 's/^[^ ]* *//' | sed "s|GOLDEN|$golden|; s|^$program\$||")
    case $program in *.sh) target=strata ;; *) target=$(basename "$program") ;; esac # scripts drive the program
    cp "$work/$file" "$work/original"
    sed -i "$expression" "$work/$file"
    verdict=caught
    if cmp -s "$work/$file" "$work/original"; then
        verdict="NOT APPLIED: the code has moved on, mend tests/mutations.txt"
    elif ! ninja -C "$work/build" "$target" >"$work/log" 2>&1; then
        verdict="DOES NOT BUILD"
    elif (cd "$work" && timeout 600 "./$program" $arguments >"$work/log" 2>&1); then
        verdict="NOT CAUGHT by $command"
    fi
    if [ "$verdict" = caught ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
    fi
    echo "$name: $verdict $([ "$verdict" = caught ] && tail -n 1 "$work/log")"
    cp "$work/original" "$work/$file"
done <tests/mutations.txt
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
