#!/bin/sh
# One score run spread over tasks of a job array (docs/examples/array.sh), and over two hosts: network namespaces with
# addresses and names of their own, and a model server in a third. Joined, the results are byte for byte those of one
# process. The second part needs root, ip and python3, and is left out, saying so, without them. usage: hosts.sh STRATA
set -u
strata=$1
out=$(mktemp -d)
# shellcheck source=tests/cli/expect.sh.inc
. tests/cli/expect.sh.inc
names="strata-$$-server strata-$$-a strata-$$-b"
clean() {
    for name in $names; do
        ip netns pids "$name" 2>/dev/null | xargs -r kill 2>/dev/null
        ip netns del "$name" 2>/dev/null
    done
    rm -rf "$out"
}
trap clean EXIT

cp tests/data/cli/shape.png "$out/"
i=0
while [ $i -lt 24 ]; do
    printf '{"id": "q%d", "messages": [{"role": "user", "content": "<image>ask %d."}], "images": ["shape.png"], "solution": "reply %d", "verifier": "word"}\n' $i $i $i
    i=$((i + 1))
done >"$out/data.jsonl"

# ---- a job array: five tasks, two at a time, one of them killed and run again ----

array() { # I: what a scheduler would start, in this process
    exec sh docs/examples/array.sh "$1" 5 "$out/data.jsonl" models/easyvqa-tiny "$out/parts" --max-new-tokens 16 --draws 4 \
        --threads 1 --quiet >"$out/task-$1.log" 2>&1
}
PATH=$(cd "$(dirname "$strata")" && pwd):$PATH
export PATH
array 1 &
killed=$!
waited=0
until [ -s "$out/parts/1-of-5/run.sqlite" ] || [ $waited -gt 200 ]; do
    waited=$((waited + 1))
    sleep 0.02
done
kill -9 $killed 2>/dev/null
wait
for pair in "1 2" "3 4" "5"; do
    for task in $pair; do array "$task" & done
    wait
done
sh docs/examples/array.sh merge 5 "$out/parts" "$out/joined" >"$out/stdout" 2>&1 || fail "merge: $(cat "$out/stdout")"
expect 0 -- score "$out/data.jsonl" --model models/easyvqa-tiny --out "$out/one" --max-new-tokens 16 --draws 4
cmp "$out/one/difficulty.jsonl" "$out/joined/difficulty.jsonl" || fail "the array's result is not that of one run"

# ---- two hosts and a server ----

reason=
[ "$(id -u)" -eq 0 ] || reason="not root"
command -v ip >/dev/null 2>&1 || reason="no ip (iproute2)"
command -v python3 >/dev/null 2>&1 || reason="no python3"
if [ -z "$reason" ]; then
    ip netns add "strata-$$-server" 2>"$out/stderr" || reason="no network namespaces: $(cat "$out/stderr")"
fi
if [ -n "$reason" ]; then
    echo "two hosts: skipped: $reason"
    finish
    exit 0
fi

in_server() { ip netns exec "strata-$$-server" "$@"; }
in_server ip link add bridge type bridge
in_server ip addr add 10.77.0.1/24 dev bridge
in_server ip link set bridge up
in_server ip link set lo up
number=1
for host in a b; do
    number=$((number + 1))
    ip netns add "strata-$$-$host"
    in_server ip link add "to-$host" type veth peer name eth0 netns "strata-$$-$host"
    in_server ip link set "to-$host" master bridge up
    ip -n "strata-$$-$host" addr add "10.77.0.$number/24" dev eth0
    ip -n "strata-$$-$host" link set eth0 up
done

# A model that is wrong in a share of the draws that grows with the question: a function of question and seed.
cat >"$out/server.py" <<'END'
import hashlib, http.server, json, re, sys

class Model(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        question = int(re.search(r"ask (\d+)\.", json.dumps(request["messages"])).group(1))
        dice = hashlib.sha256(b"%d %d" % (question, request["seed"])).digest()[0] / 256
        answer = f"reply {question}" if dice >= question % 12 / 11 else "no idea"
        body = json.dumps({"choices": [{"index": 0, "message": {"content": answer}, "finish_reason": "stop"}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        print(self.client_address[0], file=seen, flush=True)
    def log_message(self, *arguments):
        pass

seen = open(sys.argv[1], "w")
http.server.ThreadingHTTPServer.request_queue_size = 256
http.server.ThreadingHTTPServer(("10.77.0.1", 8000), Model).serve_forever()
END
in_server python3 "$out/server.py" "$out/seen" 2>"$out/server.log" &
waited=0
until in_server python3 -c 'import socket; socket.create_connection(("10.77.0.1", 8000), 1)' 2>/dev/null; do
    waited=$((waited + 1))
    [ $waited -lt 50 ] || { fail "the server does not come up"; finish; }
    sleep 0.2
done

host() { # HOST WORD...: strata on that host, which has a name and a disk of its own
    host=$1
    shift
    mkdir -p "$out/disk-$host"
    # shellcheck disable=SC2016 # expands in the inner shell
    ip netns exec "strata-$$-$host" unshare --uts --mount sh -c '
        hostname "host-$1"
        mkdir -p "$2/mine"
        mount --bind "$2/disk-$1" "$2/mine"
        shift 2
        exec "$@"' - "$host" "$out" "$strata" "$@"
}
score="score $out/data.jsonl --engine http --url http://10.77.0.1:8000 --model any --metric pism --one-by-one --no-cache
    --in-flight 16 --quiet"
# shellcheck disable=SC2086 # $score is a list of words
{
    host a $score --out "$out/mine/half" --shard 1/2 >"$out/log-a" 2>&1 &
    first=$!
    host b $score --out "$out/mine/half" --shard 2/2 >"$out/log-b" 2>&1 &
    second=$!
    sleep 0.4
    ip netns pids "strata-$$-b" | xargs -r kill -9 # and again, as a scheduler would
    wait $first || fail "host a: $(cat "$out/log-a")"
    wait $second
    host b $score --out "$out/mine/half" --shard 2/2 >"$out/log-b" 2>&1 || fail "host b: $(cat "$out/log-b")"
    for address in 10.77.0.2 10.77.0.3; do
        grep -qx $address "$out/seen" || fail "$address has asked nothing"
    done
    host a $score --out "$out/mine/whole" >"$out/log-a" 2>&1 || fail "one host alone: $(cat "$out/log-a")"
}
expect 0 -- merge "$out/disk-a/half" "$out/disk-b/half" --out "$out/both"
cmp "$out/disk-a/whole/difficulty.jsonl" "$out/both/difficulty.jsonl" || fail "two hosts' result is not that of one"
grep -q '"stratum": "unsolved"' "$out/both/difficulty.jsonl" || fail "no sample is unsolved: the model answers alike"
echo "two hosts: $(sort "$out/seen" | uniq -c | tr -s ' ' | tr '\n' ';')"
finish
