#!/bin/sh
# clang-format (check only), clang-tidy, cppcheck, shellcheck over the committed sources; every tool runs, then the
# status says whether all were clean. usage: scripts/lint.sh [PATH …]  (default: everything)
set -u
cd "$(dirname "$0")/.." || exit 1

files=$(git ls-files --cached --others --exclude-standard -- "${@:-.}" | grep -E '\.[ch]$')
sources=$(echo "$files" | grep -E '^(src|tests)/.*\.c$' | grep -v '^tests/fuzz/')
scripts=$(git ls-files --cached --others --exclude-standard -- "${@:-.}" | grep -E '(\.sh|^\.ci/run)$')
failed=

if [ -n "$files" ]; then
    echo "lint: clang-format" >&2
    # shellcheck disable=SC2086
    clang-format --dry-run --Werror $files 2>&1 | grep -E 'error:' | sed 's/:[0-9]*:[0-9]*: error.*//' | sort | uniq -c
    # shellcheck disable=SC2086
    clang-format --dry-run --Werror $files >/dev/null 2>&1 || failed="$failed clang-format"
fi
if [ -n "$sources" ]; then
    scripts/build.sh build-lint -DCMAKE_C_COMPILER=clang -- help >/dev/null || exit 1 # only the compile commands are wanted
    echo "lint: clang-tidy" >&2
    # shellcheck disable=SC2086
    echo $sources | xargs -n 4 -P "$(nproc)" clang-tidy -p build-lint --quiet 2>/dev/null || failed="$failed clang-tidy"
    echo "lint: cppcheck" >&2
    # Left out: the vector levels, whose macros it expands for minutes; and its search for uninitialised variables, which
    # takes no account of out-parameters (the compilers and clang's analyzer look for them too).
    plain=$(echo "$sources" | grep -v '/level_avx')
    # shellcheck disable=SC2086
    cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr --error-exitcode=1 -j "$(nproc)" \
        --suppress=missingIncludeSystem --suppress=uninitvar --suppress=uninitStructMember \
        -D_GNU_SOURCE -Iinclude -Isrc -Itests $plain || failed="$failed cppcheck"
fi
if [ -n "$scripts" ]; then
    echo "lint: shellcheck" >&2
    # shellcheck disable=SC2086
    shellcheck -x $scripts || failed="$failed shellcheck"
fi
if [ -n "$failed" ]; then
    echo "lint: not clean:$failed" >&2
    exit 1
fi
echo "lint: clean" >&2
