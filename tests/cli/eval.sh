#!/bin/sh
# strata eval from a benchmark's file to the printed table, with the small model that ships. usage: eval.sh PROGRAM
set -eu
program=$1
[ -d models/easyvqa-tiny ] || exit 77
picture=$(find tests/data -name '*.png' -size -40k | sort | head -n 1)
[ -n "$picture" ] || exit 77
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
image=$(base64 -w 0 "$picture")
{
    printf 'index\timage\tquestion\tA\tB\tanswer\tcategory\n'
    printf '0\t%s\tWhich colour?\tred\tblue\tA\tcolour\n' "$image"
    printf '1\t0\tWhich colour?\tred\tblue\tB\tcolour\n' # shares the image of row 0
} >"$work/MMStar.tsv"

check() { # TEXT FILE
    grep -q -- "$1" "$2" || { echo "eval.sh: \"$1\" is missing in:"; cat "$2"; exit 1; }
}

"$program" eval MMStar --tsv-dir "$work" --model models/easyvqa-tiny --max-pixels 0 --max-new-tokens 24 \
    --out "$work/out" >"$work/stdout" 2>"$work/stderr"
check 'MMStar' "$work/stdout"
check '0.639' "$work/stdout"
check 'is not the published file' "$work/stderr"
check 'none,Overall' "$work/out/MMStar.csv"
[ "$(wc -l <"$work/out/MMStar.rows.jsonl")" -eq 2 ]

# Again: the same answers, as JSON.
"$program" eval "MMStar=$work/MMStar.tsv" --model models/easyvqa-tiny --max-pixels 0 --max-new-tokens 24 \
    --out "$work/out" --json --quiet >"$work/json"
check '"pending": 0' "$work/json"

"$program" eval MMStar --tsv-dir "$work" --audit --out "$work/out" >"$work/audit"
check 'ceiling without a judge  100.0 %' "$work/audit"

# What cannot be: a benchmark that needs a judge, a benchmark that is none, a file that is not there.
for words in "MMVet --tsv-dir $work" "MMStart" "OCRBench --tsv-dir $work"; do
    # shellcheck disable=SC2086 # a list of words
    if "$program" eval $words --model models/easyvqa-tiny --out "$work/out" >/dev/null 2>"$work/stderr"; then
        echo "eval.sh: $words did not fail"
        exit 1
    fi
    check 'strata eval' "$work/stderr"
done

# Data of one's own in every layout: the rows are those of the JSONL, byte for byte.
data=tests/data/train/train.jsonl
"$program" eval "$data" --model models/easyvqa-tiny --max-new-tokens 24 --threads 1 --out "$work/own" --quiet >/dev/null
rows=$(wc -l <"$work/own/train.rows.jsonl")
[ "$rows" -gt 4 ] || { echo "eval.sh: $rows rows"; exit 1; }
"$program" convert "$data" "$work/all.jsonl" --paths absolute --quiet 2>/dev/null >/dev/null
{ printf '[' && paste -sd, "$work/all.jsonl" && printf ']'; } >"$work/own.json"
gzip -c "$work/all.jsonl" >"$work/own.jsonl.gz"
for name in own.csv own.parquet; do "$program" convert "$work/all.jsonl" "$work/$name" --quiet >/dev/null 2>&1; done
for name in own.json own.csv own.parquet own.jsonl.gz; do
    "$program" eval "$work/$name" --model models/easyvqa-tiny --max-new-tokens 24 --threads 1 --out "$work/$name.out" \
        --quiet >/dev/null
    cmp "$work/own/train.rows.jsonl" "$work/$name.out/${name%.*}.rows.jsonl" || exit 1
done
