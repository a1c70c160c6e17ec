#!/bin/sh
# strata convert: every layout out and in again, with odd content. usage: convert.sh STRATA (in the source directory)
set -u
strata=$1
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
. tests/cli/expect.sh.inc

same() { # WHAT A B
    cmp -s "$2" "$3" || fail "$1: $(diff "$2" "$3" | head -4)"
}
convert() {
    expect 0 -- convert "$@" --quiet
}

# Unicode, nulls, nested columns, numbers that are texts, texts that look like JSON or CSV, empty texts, missing image
# files (conversion opens none), several turns, columns that other layouts use.
pixel=iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==
cat >"$out/odd.jsonl" <<END
{"id":"ä \"1\"","messages":[{"role":"system","content":"S"},{"role":"user","content":"<image>wie viele?\n<image>,;\t☃"},{"role":"assistant","content":"zwei"},{"role":"user","content":"sicher?"},{"role":"assistant","content":"ja"}],"images":["fehlt/ä b.png","/abs/c.jpg"],"solution":"007","nested":{"a":[1,2.5,null,{"b":"\u0000"}],"ü":true},"plain":"a,b\r\n\"c\" ","none":null,"listy":"[1]","empty":"","n":1e300}
{"id":7,"messages":[{"role":"user","content":"und?"},{"role":"assistant","content":"[nein]"}],"images":[],"solution":42,"ability":"count","extra:json":"x"," lead":" blank"}
{"id":"c","messages":[{"role":"user","content":"<image>what?"},{"role":"assistant","content":"y"}],"images":["data:image/png;base64,$pixel"],"solution":"y","question":"kept","prompt":{"kept":2},"instruction":"kept too"}
END

# As read.
convert "$out/odd.jsonl" "$out/again.jsonl"
convert "$out/again.jsonl" "$out/twice.jsonl"
same "jsonl twice" "$out/again.jsonl" "$out/twice.jsonl"
# From swift's layout through each other layout and back is the same file.
convert "$out/odd.jsonl" "$out/swift.jsonl" --format swift
convert "$out/swift.jsonl" "$out/all.csv"
convert "$out/swift.jsonl" "$out/all.tsv"
for table in csv tsv; do
    convert "$out/all.$table" "$out/from-$table.jsonl" --format swift
    same "$table" "$out/swift.jsonl" "$out/from-$table.jsonl"
done
# Packed as the name says.
for name in jsonl.gz jsonl.zst csv.gz tsv.zst; do
    convert "$out/swift.jsonl" "$out/packed.$name"
    convert "$out/packed.$name" "$out/from-packed.jsonl" --format swift
    same "$name" "$out/swift.jsonl" "$out/from-packed.jsonl"
done
convert "$out/odd.jsonl" "$out/packed-odd.jsonl.gz"
gzip -dc "$out/packed-odd.jsonl.gz" >"$out/a" || fail "gzip does not read what was packed"
same "gzip" "$out/again.jsonl" "$out/a"
gzip -dc "$out/packed.csv.gz" | cmp -s - "$out/all.csv" || fail "all.csv, packed, is another"
head -1 "$out/all.csv" | grep -q '^id:json,messages:json,images:json,solution:json,nested:json,plain,none:json,listy:json' ||
    fail "the header of all.csv: $(head -1 "$out/all.csv")"
# Parquet: as read, and verl's, which adds three columns; image files that are missing stay paths with --paths keep.
convert "$out/swift.jsonl" "$out/all.parquet"
convert "$out/all.parquet" "$out/from-parquet.jsonl" --format swift
same parquet "$out/swift.jsonl" "$out/from-parquet.jsonl"
convert "$out/odd.jsonl" "$out/named" --format parquet
convert "$out/named" "$out/named.jsonl"
same "as read in parquet" "$out/again.jsonl" "$out/named.jsonl"
convert "$out/swift.jsonl" "$out/verl.parquet" --format verl --paths keep
convert "$out/verl.parquet" "$out/from-verl.jsonl" --format swift --paths keep
sed 's/"data_source": "strata", "reward_model": {"style": "rule", "ground_truth": "[^"]*"}, "extra_info": {"index": [0-9]}, //
    s/"data_source": "strata", "reward_model": {"style": "rule", "ground_truth": "[^"]*"}, "extra_info": {"index": [0-9]}//
    s/"original_/"/g' "$out/from-verl.jsonl" >"$out/a"
same verl "$out/swift.jsonl" "$out/a"
expect 0 "Parquet, prompt and reward_model (verl)" -- convert "$out/verl.parquet" "$out/verl-2.parquet" --format verl --paths keep
convert "$out/verl.parquet" "$out/a"
convert "$out/verl-2.parquet" "$out/b"
same "verl twice" "$out/a" "$out/b"
# With image files they become bytes; one that is not there is an error, and nothing is left behind.
expect 1 "odd.jsonl:1" "cannot read the image" "--paths keep" -- convert "$out/odd.jsonl" "$out/missing.parquet" --format verl
[ ! -e "$out/missing.parquet" ] || fail "missing.parquet was written"
echo "$pixel" | base64 -d >"$out/pixel.png"
echo '{"id": "p", "question": "<image>q", "answer": "y", "image": "pixel.png", "extra_info": {"a": [1]}}' >"$out/file.jsonl"
convert "$out/file.jsonl" "$out/bytes.parquet" --format verl
convert "$out/bytes.parquet" "$out/bytes.jsonl"
grep -qF "\"images\": [{\"bytes\": \"$pixel\", \"path\": \"pixel.png\"}]" "$out/bytes.jsonl" || fail "no bytes: $(cat "$out/bytes.jsonl")"
grep -qF '"extra_info": {"a": [1]}, "answer": "y"' "$out/bytes.jsonl" || fail "columns are lost: $(cat "$out/bytes.jsonl")"

convert "$out/swift.jsonl" "$out/trl.jsonl" --format trl
cmp -s "$out/pixel.png" "$out"/trl.jsonl.images/*.png || fail "the inline image did not become a file"
convert "$out/swift.jsonl" "$out/lf" --format llamafactory --paths keep
for other in trl.jsonl lf; do
    convert "$out/$other" "$out/back.jsonl" --format swift --paths keep
    # Inline images are files now, and a column that the other layout would take for its own has another name.
    sed 's/"images\/[0-9a-f]*\.png"/IMAGE/; s/"trl.jsonl.images\/[0-9a-f]*\.png"/IMAGE/; s/"original_/"/g' "$out/back.jsonl" >"$out/a"
    sed "s|\"data:image/png;base64,$pixel\"|IMAGE|" "$out/swift.jsonl" >"$out/b"
    same "$other" "$out/b" "$out/a"
    convert "$out/$other" "$out/back-2.jsonl" --format trl --paths keep
    [ "$(wc -l <"$out/back-2.jsonl")" -eq 3 ] || fail "$other to trl loses records"
done
[ -s "$out/lf/lf.jsonl" ] || fail "lf/lf.jsonl is not there"
grep -q '"file_name": "lf.jsonl"' "$out/lf/dataset_info.json" || fail "dataset_info.json: $(cat "$out/lf/dataset_info.json")"
# A record without an answer gets its solution as one, for LLaMA-Factory alone.
echo '{"id": "n", "question": "q", "answer": "y", "images": null}' >"$out/plain.jsonl"
convert "$out/plain.jsonl" "$out/lf/" --format llamafactory
grep -q '"from":"gpt","value":"y"' "$out/lf/lf.jsonl" || grep -q '"value": *"y"' "$out/lf/lf.jsonl" || fail "no answer in lf.jsonl"
convert "$out/plain.jsonl" "$out/plain-swift.jsonl" --format swift
grep -q assistant "$out/plain-swift.jsonl" && fail "an answer appeared in the swift file"
grep -q '"answer"' "$out/plain-swift.jsonl" || fail "the column answer is lost"

# Paths: kept beside the data, absolute elsewhere.
mkdir "$out/there"
convert "$out/odd.jsonl" "$out/there/x.jsonl"
grep -qF "\"$(realpath "$out")/fehlt/ä b.png\"" "$out/there/x.jsonl" || fail "the image path is not absolute"
grep -qF '"/abs/c.jpg"' "$out/there/x.jsonl" || fail "an absolute path changed"
grep -qF "data:image/png;base64,$pixel" "$out/there/x.jsonl" || fail "an inline image changed"

# Images in a tar: named from elsewhere as they are read, for trainers as files, for verl as bytes.
tar cf "$out/pics.tar" -C "$out" pixel.png
echo '{"id": "t", "question": "<image>q", "answer": "y", "image": "pics/pixel.png"}' >"$out/tar.jsonl"
convert "$out/tar.jsonl" "$out/there/tar.jsonl"
grep -qF "\"image\": \"$(realpath "$out")/pics.tar/pixel.png\"" "$out/there/tar.jsonl" || fail "no name in the tar: $(cat "$out/there/tar.jsonl")"
convert "$out/there/tar.jsonl" "$out/tar-swift.jsonl" --format swift
cmp -s "$out/pixel.png" "$out"/tar-swift.jsonl.images/*.png || fail "a member of the tar did not become a file"
convert "$out/tar.jsonl" "$out/tar.parquet" --format verl
convert "$out/tar.parquet" "$out/tar-verl.jsonl"
grep -qF "\"bytes\": \"$pixel\"" "$out/tar-verl.jsonl" || fail "a member of the tar did not become bytes"

# Several files, gzip, zstd, JSON arrays, Parquet; the layout is said.
gzip -c "$out/plain.jsonl" >"$out/part-1.jsonl.gz"
echo '[{"id": "m", "question": "q", "answer": "y"}]' >"$out/part-2.json"
expect 0 "2 files, the first: JSONL, gzip, question and answer" -- convert "$out/part-*" "$out/parts.jsonl"
[ "$(wc -l <"$out/parts.jsonl")" -eq 2 ] || fail "two files do not give two records"

# What cannot be done, and nothing half-written.
{ cat "$out/plain.jsonl" && echo '{"id": "bad"}'; } >"$out/bad.jsonl"
expect 1 "bad.jsonl:2" "\"messages\" is missing" -- convert "$out/bad.jsonl" "$out/half.jsonl"
[ ! -e "$out/half.jsonl" ] || fail "half.jsonl was written"
expect 0 "skipped" "bad.jsonl:2" -- convert "$out/bad.jsonl" "$out/half.jsonl" --skip-bad
grep -q "1 bad record left out" "$out/stdout" || fail "the bad record is not counted"
expect 2 "which is not one of: jsonl swift" -- convert "$out/odd.jsonl" "$out/x" --format arrow
for left in "$out"/*.tmp-* "$out"/.strata-*; do
    [ ! -e "$left" ] || fail "a temporary file stays: $left"
done
finish
