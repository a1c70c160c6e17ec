#!/bin/sh
# The examples of docs/formats.md: each file of the page is one sample of the same content, whatever its layout.
# usage: formats_page.sh STRATA (in the source directory)
set -u
strata=$1
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
. tests/cli/expect.sh.inc

mkdir "$out/lf"
awk -v out="$out" '/^```[a-z]+ file=/ { sub(/.*file=/, ""); file = out "/" $0; next }
    /^```/ { file = "" }
    file { print > file }' docs/formats.md
count=0
for data in swift.jsonl lf alpaca.json trl.jsonl plain.jsonl table.csv verl.jsonl; do
    expect 0 "data: $out/$data: " -- convert "$out/$data" "$out/converted.jsonl" --format swift
    for text in '"id": "7"' '"content": "<image>How many cubes?"' 'img/7.jpg'; do
        grep -qF "$text" "$out/converted.jsonl" || fail "$data lacks $text: $(cat "$out/converted.jsonl")"
    done
    [ "$(wc -l <"$out/converted.jsonl")" -eq 1 ] || fail "$data is not one sample"
    count=$((count + 1))
done
[ "$(grep -c '^```[a-z]* file=' docs/formats.md)" -eq $((count + 1)) ] || fail "an example of the page is not tried here"
finish
