#!/bin/sh
# A study that is killed again and again ends in the same bytes as one that is not; errors of a recipe have their line.
# usage: study.sh STRATA
set -u
strata=$1
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
. tests/cli/expect.sh.inc

sed "s#\"images/#\"$PWD/tests/data/train/images/#" tests/data/train/train.jsonl >"$out/data.jsonl"
head -6 "$out/data.jsonl" >"$out/test.jsonl"
cat >"$out/recipe.yaml" <<END
model: models/easyvqa-tiny
data: $out/data.jsonl
test: $out/test.jsonl
families: {everything: [shape, color, presence]}
rows: [4, 12]
seeds: [3]
match: steps
resamples: 100
all: {threads: 1, max-new-tokens: 18}
score: {draws: 2, ratios: [0, 0.2, 0.9]}
select: {pism-bands: [0.2, 0.9], easy-bound: open}
sft: {batch-size: 4, learning-rate: 1e-4, save-steps: 1}
grpo: {prompts: 1, completions: 2, learning-rate: 1e-4, save-steps: 1, epochs: 0.5}
END

expect 0 -- study "$out/recipe.yaml" --out "$out/whole" --quiet --pilot 1
grep -q "GRPO-only(mid+hard)" "$out/whole/tables.md" || fail "no row 12 in tables.md"
[ "$(find "$out/whole/stages" -name model.safetensors | wc -l)" -ge 4 ] || fail "nothing was trained: $(cat "$out/whole/tables.md")"

# Kills at moments that no run chooses; whatever was under way.
kills=0
tries=0
while [ $tries -lt 60 ] && [ ! -e "$out/killed/results.json" ]; do
    "$strata" study "$out/recipe.yaml" --out "$out/killed" --quiet --pilot 1 >/dev/null 2>"$out/stderr" &
    child=$!
    sleep "0.$(awk -v t=$tries 'BEGIN { srand(t * 7919 + 17); printf "%d", 200 + int(700 * rand()) }')"
    if kill -9 $child 2>/dev/null; then kills=$((kills + 1)); fi
    wait $child 2>/dev/null
    tries=$((tries + 1))
done
expect 0 -- study "$out/recipe.yaml" --out "$out/killed" --quiet --pilot 1
[ $kills -ge 2 ] || echo "(only $kills kills: this machine is fast)"
echo "$kills kills"
for file in results.json tables.md; do
    cmp "$out/whole/$file" "$out/killed/$file" || fail "$file differs after $kills kills"
done
(cd "$out/whole" && find stages -name model.safetensors -o -name result.json -o -name difficulty.jsonl -o -name '*.rows.jsonl') |
    sort >"$out/files"
while IFS= read -r file; do
    cmp "$out/whole/$file" "$out/killed/$file" || fail "$file differs after $kills kills"
done <"$out/files"

# keep: results. A model that was dropped, and that another row wants after all, is trained again.
sed 's/^rows:.*/rows: [3, 4]/' "$out/recipe.yaml" >"$out/dropping.yaml"
echo 'keep: results' >>"$out/dropping.yaml"
expect 0 -- study "$out/dropping.yaml" --out "$out/at-once" --quiet --pilot 1
for row in 3 4 3; do
    expect 0 -- study "$out/dropping.yaml" --out "$out/by-rows" --only $row --quiet --pilot 1
    [ -z "$(find "$out/by-rows/stages" -name model.safetensors)" ] || fail "row $row: a model was kept"
done
expect 0 -- study "$out/dropping.yaml" --out "$out/by-rows" --quiet --pilot 1
cmp "$out/at-once/results.json" "$out/by-rows/results.json" || fail "rows apart give other results"

# Its report: tables and curves stand in the page, and it opens without a word on the console.
expect 0 -- report "$out/whole" --out "$out/report.html"
grep -q "Table 1: PISM strata, trained on everything" "$out/report.html" || fail "the report has no table 1"
grep -q 'id="train-0-12-t"' "$out/report.html" || fail "the report has no training curve of row 12"
if browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome); then
    timeout 60 "$browser" --headless --no-sandbox --disable-gpu --user-data-dir="$out/profile" --enable-logging=stderr \
        --dump-dom "file://$out/report.html" >"$out/dom" 2>"$out/console" || fail "Chromium ended with $?"
    grep "CONSOLE" "$out/console" && fail "the console has messages"
    grep -q "</html>" "$out/dom" || fail "the page did not load"
fi

# A finished study has nothing to do; another evaluation repeats the evaluations alone.
expect 0 -- study "$out/recipe.yaml" --out "$out/whole" --dry-run --pilot 1
[ "$(awk '/^(score|select|sft|grpo|eval) / && $2 != $3' "$out/stdout" | wc -l)" -eq 0 ] || fail "not all done: $(cat "$out/stdout")"
sed 's/^match/eval: {limit: 5}\nmatch/' "$out/recipe.yaml" >"$out/other.yaml"
expect 0 -- study "$out/other.yaml" --out "$out/whole" --dry-run --pilot 1
[ "$(awk '/^(score|select|sft|grpo|eval) / && $2 != $3 { print $1 }' "$out/stdout")" = eval ] || fail "more than eval: $(cat "$out/stdout")"

# The paper's recipe is sound, and its updates are those of the paper's runs.
expect 0 -- study recipes/paper.yaml --out "$out/paper" --dry-run
for line in "PISM VPT 12 GRPO-only(mid+hard) - - 6326 790" "CMAB VRT 7 SFT(hard)+GRPO(mid) 2166 85 3604 450" \
    "CMAB VRT 3 SFT(mid)+GRPO(hard) 3604 145 2166 270" "PISM VRT 1 GRPO-only(fullset) - - 27133 3391"; do
    tr -s ' ' <"$out/stdout" | grep -qF "$line" || fail "the paper's plan lacks: $line"
done

bad() {
    expect 2 "$@" -- study "$out/bad.yaml" --out "$out/none" --dry-run
}
{ cat "$out/recipe.yaml"; echo "eval: {max-new-tokns: 3}"; } >"$out/bad.yaml"
bad "bad.yaml:14" "max-new-tokns" "did you mean --max-new-tokens?"
{ cat "$out/recipe.yaml"; printf 'eval:\n  seed: 3\n'; } >"$out/bad.yaml"
bad "bad.yaml:15" "the study's own"
{ cat "$out/recipe.yaml"; echo "evl: {limit: 3}"; } >"$out/bad.yaml"
bad "bad.yaml:14" 'did you mean "eval"?'
sed 's/prompts: 1/prompts: none/' "$out/recipe.yaml" >"$out/bad.yaml"
bad "bad.yaml:13" "--prompts" "whole number"
expect 2 "--only" -- study "$out/recipe.yaml" --out "$out/none" --only 7
finish
