#!/bin/sh
# Fills the current directory with what the pages of the documentation talk about, small: docs_check.py runs a page's
# blocks here. Needs strata on the PATH and data/easyvqa (make data). usage: docs_stage.sh CHECKOUT PAGE
set -eu
root=$1
page=$2

mkdir -p home build LMUData my
for folder in recipes scripts data docs; do ln -s "$root/$folder" $folder; done
mkdir models
for model in "$root"/models/*; do ln -s "$model" models/; done
[ -d models/strata-tiny ] || ln -s easyvqa-tiny models/strata-tiny
ln -s "$(command -v strata)" build/strata
# Every model that a page names is the one that ships.
for name in M Qwen2.5-VL-3B-Instruct Qwen2.5-VL-7B-Instruct half-billion; do ln -s models/easyvqa-tiny $name; done

ln -s data/easyvqa/images images
for name in data test; do head -n 4 data/easyvqa/test.jsonl >$name.jsonl; done
for name in train mid hard; do head -n 16 data/easyvqa/train.jsonl >$name.jsonl; done
for part in 1 2; do head -n $part data/easyvqa/test.jsonl | tail -n 1 | gzip >part-$part.jsonl.gz; done
picture=$(sed -n '1s/.*"images": \["\([^"]*\)".*/\1/p' data.jsonl)
cp "$picture" a.png

# Answers to grade, and a grader of one's own: a line of JSON in, a line out.
number=0
while [ $number -lt 20 ]; do
    number=$((number + 1))
    printf '{"id": "r%d", "solution": "%d", "completion": "<answer>%d</answer>", "ability": "math"}\n' \
        $number $number $((number % 7))
done >answers.jsonl
cat >my_reward.py <<'END'
import json, sys
for line in sys.stdin:
    pair = json.loads(line)
    print(json.dumps({"score": float(pair["solution"] in pair["completion"])}), flush=True)
END

# The six benchmarks, two rows each.
image=$(base64 -w 0 a.png)
table() { # NAME HEADER ROW ROW, columns parted by |, % for the image
    name=$1
    shift
    printf '%s\n' "$@" | sed "s#%#$image#" | tr '|' '\t' >"LMUData/$name.tsv"
}
table MathVista_MINI 'index|image|question|question_type|answer_type|answer|answer_option|choices|task|skills' \
    "1|%|Which?|multi_choice|text|red|A|['red', 'blue']|figure question answering|['colour']" \
    "2|%|How many?|free_form|integer|14|||math word problem|['arithmetic reasoning']"
table MMVet 'index|image|question|answer|category' 'v1_0|%|What?|red<OR>crimson|rec' 'v1_1|%|What?|blue|rec,know'
table OCRBench 'index|image|question|answer|category' "0|%|read|['answer']|Regular Text Recognition" \
    "1|%|read|['nothing']|Doc-oriented VQA"
table HallusionBench 'index|image|image_path|question|answer|category|l2-category' \
    'VD_figure_1_0_1_0|%|a.png|Is it red?|Yes|VD|VD_figure' 'VD_figure_1_0_2_0|%|b.png|Is it red?|No|VD|VD_figure'
table MMMU_DEV_VAL 'index|image|image_path|question|A|B|answer|category|l2-category|split' \
    '1|%|a.png|Look at <image 1>|same|other|B|Art|Art & Design|validation' \
    '2|%|c.png|How many?|||24|Physics|Science|dev'
table MMStar 'index|image|question|A|B|C|D|answer|category|l2_category|bench' \
    '0|%|Which colour?|red|blue|green|black|A|math|x|y' '1|%|Which colour?|red|blue|green|black|B|math|x|y'
cp LMUData/MMMU_DEV_VAL.tsv my/

# What pages take for granted that an earlier command has made.
score() {
    strata score data.jsonl --model M --max-new-tokens 32 --quiet "$@" >/dev/null
}
case $page in
*/commands/select.md | */commands/report.md | */commands/inspect.md) score --out run ;;
*/commands/convert.md) strata convert test.jsonl train_math.parquet --format verl >/dev/null ;;
*/commands/init.md) rm half-billion ;;
*/commands/study.md) strata synth --out .cache/study/world --counts 24,8,8 >/dev/null ;;
*/commands/merge.md) for shard in 1 2 3; do score --out run-$shard --shard $shard/3; done ;;
*/commands/compare.md)
    score --out run-a
    score --out run-b --threads 1
    for name in ours theirs; do strata dump "what?" --model M --image a.png --out $name.safetensors >/dev/null; done
    ;;
esac
