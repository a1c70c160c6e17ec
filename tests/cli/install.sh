#!/bin/bash
# What make install puts into a folder works from there: program, man pages, completion, archive, headers, pkg-config.
# usage: install.sh STRATA (in the source directory)
set -u
build=$(dirname "$1")
if [ ! -f "$build/libstrata.a" ] || [ ! -f "$build/pages/strata.bash" ]; then
    echo "skipped: not all of $build is built"
    exit 77
fi
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
strata=$out/root/opt/x/bin/strata
. tests/cli/expect.sh.inc

DESTDIR=$out/root cmake --install "$build" --prefix /opt/x >"$out/log" 2>&1 || { cat "$out/log"; exit 1; }
prefix=$out/root/opt/x
version=$(sed -n 's/.*STRATA_VERSION "\(.*\)"/\1/p' include/strata/version.h)
[ "$("$strata" --version)" = "strata $version" ] || fail "the program says $("$strata" --version)"
[ "$(cat "$prefix"/share/doc/*/VERSION)" = "$version" ] || fail "VERSION is not $version"
grep -q "Apache License" "$prefix"/share/doc/*/LICENSE || fail "no licence"

# A man page for every command, without a complaint of the formatter.
for command in $("$strata" help | sed -n 's/^  \([a-z]*\)  .*/\1/p'); do
    [ -s "$prefix/share/man/man1/strata-$command.1" ] || fail "no man page of $command"
done
if command -v groff >/dev/null; then
    groff -K utf8 -man -Tutf8 -ww "$prefix"/share/man/man1/*.1 >"$out/text" 2>"$out/complaints" || fail "groff fails"
    [ ! -s "$out/complaints" ] || fail "groff: $(head -3 "$out/complaints")"
    grep -q -e "--max-new-tokens" "$out/text" || fail "--max-new-tokens is not in the man pages"
fi

complete_words() { # WORD... : what bash would offer for the last one
    COMP_WORDS=(strata "$@")
    COMP_CWORD=$#
    _strata
    echo "${COMPREPLY[*]}"
}
# shellcheck disable=SC1091
. "$prefix/share/bash-completion/completions/strata"
[ "$(complete_words conv)" = convert ] || fail "conv completes to $(complete_words conv)"
[ "$(complete_words convert a b --form)" = --format ] || fail "--form completes to $(complete_words convert a b --form)"
[ "$(complete_words convert a b --format sw)" = swift ] || fail "--format sw: $(complete_words convert a b --format sw)"
[ -z "$(complete_words convert --metr)" ] || fail "an option of another command is offered"

cat >"$out/use.c" <<'END'
#include <stdio.h>
#include <strata/error.h>
#include <strata/version.h>
int main(void) {
    struct strata_error err = {0};
    strata_fail(&err, STRATA_ERR_INPUT, "version %s", STRATA_VERSION);
    return puts(err.what) < 0;
}
END
if command -v pkg-config >/dev/null && nm "$build/libstrata.a" 2>/dev/null | grep -q ' T strata_fail$' &&
    ! nm "$build/libstrata.a" 2>/dev/null | grep -q __asan_; then
    PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name strata.pc)")
    export PKG_CONFIG_PATH
    # shellcheck disable=SC2046
    "${CC:-cc}" "$out/use.c" $(pkg-config --cflags --libs strata) -o "$out/use" || fail "a program does not link"
    [ "$("$out/use")" = "version $version" ] || fail "a linked program says $("$out/use")"
    [ "$(pkg-config --modversion strata)" = "$version" ] || fail "pkg-config says $(pkg-config --modversion strata)"
fi
finish
