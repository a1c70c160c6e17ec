#!/bin/sh
# What the documentation points at is there: linked pages, files and folders of the repository, source files by their
# bare names, functions and types. usage: docs_links.sh STRATA (which is not used)
set -u
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
# shellcheck source=tests/cli/expect.sh.inc
. tests/cli/expect.sh.inc

find src include tests python scripts perf recipes -type f 2>/dev/null >"$out/files"
sed 's|.*/||' "$out/files" | sort -u >"$out/names"
grep -rohE '\bstrata_[a-z0-9_]+' src include tests cmake python CMakeLists.txt 2>/dev/null | sort -u >"$out/words"

checked=0
for page in README.md docs/*.md docs/commands/*.md; do
    folder=$(dirname "$page")
    # Links to pages and pictures, not to addresses or places within the page.
    grep -oE '\]\([^)# ]+' "$page" | sed 's/^](//' | grep -vE '^[a-z]+:' | sort -u >"$out/links"
    while read -r link; do
        checked=$((checked + 1))
        [ -e "$folder/$link" ] || fail "$page links to $link"
    done <"$out/links"
    # Paths of the repository; words in capitals stand for something else.
    sed 's|https\{0,1\}://[^ )]*||g' "$page" |
        grep -oE '(^|[^A-Za-z0-9_./-])(src|include|tests|scripts|perf|recipes|models|docs|cmake|python)/[A-Za-z0-9_./*-]*[A-Za-z0-9_*/]' |
        sed 's/^[^a-z]//' | grep -vE '[A-Z]{3}' | sort -u >"$out/paths"
    while read -r path; do
        checked=$((checked + 1))
        # shellcheck disable=SC2086 # a pattern
        ls -d $path >/dev/null 2>&1 || ls -d $path.* >/dev/null 2>&1 || fail "$page names $path"
    done <"$out/paths"
    grep -oE '(^|[^A-Za-z0-9_/.*-])[a-z0-9_]+\.[ch]\b' "$page" | sed 's/^[^a-z0-9_]//' | sort -u >"$out/bare"
    case $page in docs/method.md | docs/extending.md)
        while read -r name; do
            checked=$((checked + 1))
            grep -qxF "$name" "$out/names" || fail "$page names the file $name"
        done <"$out/bare"
        ;;
    esac
    grep -oE '\bstrata_[a-z0-9_]*[a-z0-9]' "$page" | sort -u >"$out/used"
    while read -r word; do
        checked=$((checked + 1))
        grep -q "^$word" "$out/words" || fail "$page names $word"
    done <"$out/used"
done
[ "$checked" -gt 100 ] || fail "only $checked references were found: the patterns no longer fit"
echo "$checked references"
finish
