#!/bin/sh
# For that many minutes, again and again: native score runs killed at random moments, runs over servers that stall, lie and
# die, and the scripted run that is killed. What is random differs from round to round; the first failure ends it.
# usage: scripts/soak.sh BUILD_DIR DATA.jsonl MINUTES
set -u
cd "$(dirname "$0")/.." || exit 1
build=$1
data=$2
end=$(($(date +%s) + $3 * 60))
log=$(mktemp)
trap 'rm -f "$log"' EXIT
rounds=0
while [ "$rounds" -eq 0 ] || [ "$(date +%s)" -lt "$end" ]; do
    rounds=$((rounds + 1))
    for part in "scripts/kill_resume.sh $build/strata $data 20 60" "$build/test_score" "$build/test_score_http" \
        "$build/test_http" "$build/test_store" "$build/test_servers"; do
        # shellcheck disable=SC2086 # a list of words
        if ! timeout 900 $part >"$log" 2>&1; then
            cat "$log"
            echo "soak: round $rounds failed: $part"
            exit 1
        fi
    done
    echo "soak: round $rounds is done, $(date +%H:%M:%S)"
done
echo "soak: $rounds rounds passed"
