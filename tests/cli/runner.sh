#!/bin/sh
# A failing test makes the runner's exit status non-zero, a skipped one does not, and a conformance program that fails,
# or ends without its closing line, fails its target. usage: runner.sh STRATA (which is not used)
set -u
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
failed=0
fail() {
    echo "FAILED: $*"
    failed=1
}

runner=$(sed -n 's/^CTEST *?= *\(.*\) -j.*/\1/p' Makefile)
[ -n "$runner" ] || fail "the Makefile's CTEST is not found"
suite() { # exit status of the one test -> does ctest, called as the Makefile does, fail?
    rm -rf "$out/suite"
    mkdir -p "$out/suite"
    printf 'exit %s\n' "$1" >"$out/suite/test.sh"
    cat >"$out/suite/CTestTestfile.cmake" <<END
add_test(only sh "$out/suite/test.sh")
set_tests_properties(only PROPERTIES SKIP_RETURN_CODE 77)
END
    (cd "$out/suite" && sh -c "$runner" >"$out/log" 2>&1)
}
suite 0 || fail "a passing test fails the runner"
suite 77 || fail "a skipped test fails the runner"
suite 1 && fail "a failing test passes the runner"

conformance() { # text that the program prints, its exit status
    mkdir -p "$out/build"
    printf '#!/bin/sh\necho "%s"\nexit %s\n' "$1" "$2" >"$out/build/conformance_rewards"
    chmod +x "$out/build/conformance_rewards"
    BUILD=$out/build scripts/conformance.sh rewards Makefile >"$out/log" 2>&1
}
conformance "3 passed, 0 failed" 0 || fail "conformance fails on a program that passes"
[ "$(tail -n 1 "$out/log")" = "3 passed, 0 failed" ] || fail "conformance's last line is $(tail -n 1 "$out/log")"
conformance "2 passed, 1 failed" 1 && fail "conformance passes a program that fails"
conformance "2 passed, 1 failed" 0 && fail "conformance believes the status over the counts"
conformance "3 passed, 0 failed" 1 && fail "conformance believes the counts over the status"
conformance "crashed" 139 && fail "conformance passes a program without its closing line"
conformance "0 passed, 0 failed" 0 && fail "conformance passes a program that checked nothing"

[ "$failed" -eq 0 ] || exit 1
echo ok
