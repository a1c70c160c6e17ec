#!/bin/sh
# `strata eval` over a real server: llama-cpp-python's OpenAI server with a small text model, as who is asked and as the
# judge. Skipped unless STRATA_LLAMA_PYTHON names a Python that has llama-cpp-python[server] and STRATA_LLAMA_GGUF an
# instruction-tuned text model (docs/evaluation.md). usage: llama_server.sh STRATA
set -u
strata=$1
if [ -z "${STRATA_LLAMA_PYTHON:-}" ] || [ -z "${STRATA_LLAMA_GGUF:-}" ]; then
    echo "skipped: STRATA_LLAMA_PYTHON and STRATA_LLAMA_GGUF are not set"
    exit 77
fi
out=$(mktemp -d)
port=$((20000 + $$ % 20000))
"$STRATA_LLAMA_PYTHON" -m llama_cpp.server --model "$STRATA_LLAMA_GGUF" --port $port --n_ctx 2048 --n_threads 1 \
    --n_threads_batch 1 --seed 0 >"$out/server.log" 2>&1 &
server=$!
trap 'kill $server; rm -rf "$out"' EXIT
# shellcheck source=tests/cli/expect.sh.inc
. tests/cli/expect.sh.inc
url=http://127.0.0.1:$port
waited=0
until curl -sf "$url/v1/models" >/dev/null 2>&1; do
    waited=$((waited + 1))
    if [ $waited -gt 600 ] || ! kill -0 $server 2>/dev/null; then
        cat "$out/server.log"
        fail "the server does not come up"
        exit 1
    fi
    sleep 0.2
done

record() { # QUESTION ANSWER ABILITY
    rows=$((rows + 1))
    printf '{"id": "q%d", "messages": [{"role": "user", "content": "%s"}], "solution": "%s", "ability": "%s"}\n' \
        $rows "$1" "$2" "$3"
}
rows=0
{
    for pair in "France Paris" "Germany Berlin" "Italy Rome" "Spain Madrid" "Japan Tokyo" "Egypt Cairo" "Greece Athens" \
        "Poland Warsaw" "Norway Oslo" "Portugal Lisbon"; do
        record "What is the capital of ${pair% *}?" "The capital of ${pair% *} is ${pair#* }." word
    done
    a=1
    while [ $a -le 10 ]; do
        record "What is $a + $((11 - a))? Answer with the number alone." 11 math
        a=$((a + 1))
    done
} >"$out/own.jsonl"

ask="--engine http --url $url --model any --max-new-tokens 12 --seed 1 --cache $out/cache"
# shellcheck disable=SC2086 # $ask is a list of words
{
    expect 0 "model: 20 calls (0 repeated)" -- eval "$out/own.jsonl" $ask --out "$out/first"
    cat "$out/stdout"
    grep "^model" "$out/stderr"
    cp "$out/stdout" "$out/table"
    grep -q "^all  *20 " "$out/table" || fail "not every row was graded"
    # Some capitals are known to a model of this size.
    grep "^word" "$out/table" | grep -qv " 0.0 %" || fail "no capital is known: is this an instruction-tuned model?"

    # Another directory: every answer comes from the cache. Without it, a greedy model says the same again.
    expect 0 "model: 0 calls (0 repeated), 20 answers from the cache" -- eval "$out/own.jsonl" $ask --out "$out/second"
    expect 0 "model: 20 calls" -- eval "$out/own.jsonl" $ask --no-cache --out "$out/third" --in-flight 1
    for again in second third; do
        for run in first $again; do sort "$out/$run/own.answers.jsonl" >"$out/$run.sorted"; done
        cmp "$out/first.sorted" "$out/$again.sorted" || fail "the $again run's answers differ"
    done

    # As the judge of what another model answered to a picture.
    {
        printf 'index\timage\tquestion\tA\tB\tanswer\tcategory\n'
        printf '0\t%s\tWhich colour is it?\tcrimson\tazure\tA\tcolour\n' "$(base64 -w 0 tests/data/cli/shape.png)"
    } >"$out/MMStar.tsv"
    expect 0 "judge: " -- eval "$out/MMStar.tsv" --model models/easyvqa-tiny --max-new-tokens 24 --no-cache \
        --judge $url --judge-model any --out "$out/judged"
    grep "^judge" "$out/stderr"
    grep -q "^judge: 0 calls" "$out/stderr" && fail "the judge was not asked"
    grep '"log"' "$out/judged/MMStar.rows.jsonl"
}
finish
