#!/bin/sh
# A server whose certificate does not verify is not asked, and does not get the key; with --ca-file it is trusted. Skipped
# without python3 and openssl. usage: tls.sh STRATA
set -u
strata=$1
for tool in python3 openssl; do
    command -v $tool >/dev/null 2>&1 || {
        echo "skipped: no $tool"
        exit 77
    }
done
out=$(mktemp -d)
server=
trap 'kill $server 2>/dev/null; rm -rf "$out"' EXIT
# shellcheck source=tests/cli/expect.sh.inc
. tests/cli/expect.sh.inc

openssl req -x509 -newkey rsa:2048 -nodes -keyout "$out/key.pem" -out "$out/certificate.pem" -days 2 \
    -subj /CN=localhost -addext subjectAltName=DNS:localhost >"$out/openssl.log" 2>&1 || {
    echo "skipped: openssl makes no certificate"
    exit 77
}
cat >"$out/server.py" <<'END'
import http.server, json, ssl, sys

class Model(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        print(self.headers["Authorization"], file=seen, flush=True)
        body = json.dumps({"choices": [{"index": 0, "message": {"content": "4"}, "finish_reason": "stop"}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *arguments):
        pass

folder = sys.argv[1]
seen = open(folder + "/seen", "w")
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Model)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(folder + "/certificate.pem", folder + "/key.pem")
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], file=open(folder + "/port", "w"), flush=True)
server.serve_forever()
END
python3 "$out/server.py" "$out" 2>"$out/server.log" &
server=$!
waited=0
until [ -s "$out/port" ] || [ $waited -gt 100 ]; do
    waited=$((waited + 1))
    sleep 0.1
done
printf '{"messages": [{"role": "user", "content": "What is 2 + 2?"}], "solution": "4"}\n' >"$out/own.jsonl"
STRATA_TEST_KEY=sk-only-for-friends
export STRATA_TEST_KEY
ask="eval $out/own.jsonl --engine http --url https://localhost:$(cat "$out/port") --model any --no-cache
    --api-key-env STRATA_TEST_KEY"
# shellcheck disable=SC2086 # $ask is a list of words
{
    expect 1 "certificate" -- $ask --out "$out/distrusted"
    [ ! -s "$out/seen" ] || fail "a server that nobody vouches for was asked: $(cat "$out/seen")"
    expect 0 -- $ask --out "$out/trusted" --ca-file "$out/certificate.pem"
    grep -qx "Bearer $STRATA_TEST_KEY" "$out/seen" || fail "the trusted server did not get the key"
    expect 1 "" -- $ask --out "$out/none" --ca-file "$out/openssl.log"
}
finish
