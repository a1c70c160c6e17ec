#!/bin/bash
# What make install puts into a folder works from there: program, man pages, completion, library, headers, pkg-config; a C
# program links and runs with the library, shared and static.
# usage: install.sh STRATA (in the source directory)
set -u
build=$(dirname "$1")
if [ ! -f "$build/libstrata.a" ] || [ ! -f "$build/libstrata.so" ] || [ ! -f "$build/pages/strata.bash" ]; then
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

# The shared library exports what the headers mark STRATA_API, and nothing else.
library=$(find "$prefix" -name 'libstrata.so.?')
libdir=$(dirname "$library")
nm -D --defined-only "$library" | awk '{print $3}' | sort >"$out/exported"
sed -n '/^STRATA_API/s/^STRATA_API[^(]*[ *]\(strata_[a-z_]*\)(.*/\1/p' "$prefix"/include/strata/*.h | sort >"$out/declared"
[ -s "$out/declared" ] || fail "no function is declared STRATA_API"
diff "$out/declared" "$out/exported" >"$out/difference" || fail "declared and exported differ: $(cat "$out/difference")"
readelf -d "$library" | grep -q 'SONAME.*libstrata\.so\.0' || fail "the soname is not libstrata.so.0"

if command -v pkg-config >/dev/null && ! nm -D "$library" | grep -q __asan_ && ! nm -D "$library" | grep -q __tsan_; then
    export PKG_CONFIG_PATH=$libdir/pkgconfig
    [ "$(pkg-config --modversion strata)" = "$version" ] || fail "pkg-config says $(pkg-config --modversion strata)"
    # shellcheck disable=SC2046
    "${CC:-cc}" -std=c99 -Wall -Wextra -Werror -pedantic docs/examples/balance.c $(pkg-config --cflags --libs strata) \
        -o "$out/shared" || fail "the example does not link with the shared library"
    # shellcheck disable=SC2046
    "${CC:-cc}" docs/examples/balance.c $(pkg-config --cflags strata) \
        $(pkg-config --static --libs strata | sed 's/-lstrata/-l:libstrata.a/') -o "$out/static" ||
        fail "the example does not link with the archive"
    readelf -d "$out/shared" | grep -q 'NEEDED.*libstrata\.so\.0' || fail "the shared program does not need libstrata.so.0"
    readelf -d "$out/static" | grep -q 'NEEDED.*libstrata' && fail "the static program needs libstrata.so"
    question="what shape is in the image?"
    for kind in shared static; do
        LD_LIBRARY_PATH=$libdir "$out/$kind" models/easyvqa-tiny tests/data/cli/shape.png "$question" circle \
            >"$out/$kind.txt" 2>&1 || fail "the $kind program fails: $(cat "$out/$kind.txt")"
    done
    diff "$out/shared.txt" "$out/static.txt" >/dev/null || fail "the shared and the static program differ"
    grep -q '^grade    right' "$out/shared.txt" || fail "the example is not graded right: $(cat "$out/shared.txt")"
    balance=$("$strata" generate --model models/easyvqa-tiny --image tests/data/cli/shape.png "$question" --cmab --quiet |
        sed -n 's/^balance  \([0-9.]*\) .*/\1/p')
    grep -q "^balance  $balance\$" "$out/shared.txt" || fail "the program's balance is not strata's, $balance"
    "$out/static" no-such-model x y z 2>"$out/error" && fail "a model that is not there opens"
    grep -q "no-such-model" "$out/error" || fail "the error does not name the model: $(cat "$out/error")"
    # C++ reads the headers too.
    if command -v "${CXX:-c++}" >/dev/null; then
        echo '#include <strata/strata.h>' >"$out/use.cc"
        # shellcheck disable=SC2046
        "${CXX:-c++}" -fsyntax-only -Wall -Wextra -Werror $(pkg-config --cflags strata) "$out/use.cc" ||
            fail "C++ does not take the headers"
    fi
fi
finish
