#!/bin/sh
# Help of every command, wrong use, exit statuses. usage: usage.sh STRATA
set -u
strata=$1
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
. tests/cli/expect.sh.inc

commands=$("$strata" help | sed -n 's/^  \([a-z][a-z]*\)  *.*/\1/p')
for command in $commands; do
    expect 0 -- "$command" --help
    grep -q "^usage: strata $command" "$out/stdout" || fail "strata $command --help does not show its usage"
    [ ! -s "$out/stderr" ] || fail "strata $command --help writes to stderr"
    expect 2 "has no option --no-such-option" -- "$command" --no-such-option
    expect 0 -- help "$command"
done
for command in score select generate compare doctor; do
    echo "$commands" | grep -qx $command || fail "strata help does not list $command"
done
expect 0 -- --version
grep -q "^strata [0-9]" "$out/stdout" || fail "--version"
expect 0 -- --help
expect 2 -- # no command at all
expect 2 'there is no command "scroe"' 'did you mean "strata score"?' -- scroe
expect 2 "did you mean --max-new-tokens?" -- generate q --model m --max-new-token 4
expect 2 "it is an option of: score" -- generate q --model m --draws 4
expect 2 "outside its range of 1 to 256" -- score d --out r --draws 300
expect 2 "needs --model" -- generate q
expect 2 "needs --out" -- score data.jsonl
expect 2 "needs a value" -- score data.jsonl --out
expect 2 "nothing says what to select" -- select "$out" --out "$out/x.jsonl"
expect 2 "brings the attention balance only" -- score data.jsonl --cmab-from x.jsonl --out "$out/r" --metric pism,cmab
expect 2 "no --attempts" -- score data.jsonl --cmab-from x.jsonl --out "$out/r" --attempts 2 --cmab-temperature 1
expect 1 "x.jsonl" -- score data.jsonl --cmab-from x.jsonl --out "$out/r"
expect 1 "No such file" -- compare "$out/a.safetensors" "$out/b.safetensors"
expect 0 -- doctor
grep -q "^kernels .*(in use)" "$out/stdout" || fail "doctor does not say which kernels are in use"
expect 0 -- doctor --json --isa plain
grep -q '"kernels": "plain"' "$out/stdout" || fail "doctor --json --isa plain"
# Results that cannot be written are a failure, not silence.
if [ -e /dev/full ]; then
    "$strata" help >/dev/full 2>"$out/stderr" && fail "a full stdout is not noticed"
    grep -q "could not be written" "$out/stderr" || fail "a full stdout is not explained"
fi
finish
