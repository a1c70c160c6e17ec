#!/bin/sh
# Pictures of a report for docs/report.md: the page from above, light, and its sample browser, dark, in headless Chromium.
# With a study, its page from above too. usage: scripts/report_shots.sh STRATA RUN [STUDY]
set -eu
cd "$(dirname "$0")/.."
strata=$1 run=$2 study=${3:-}
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || {
    echo "report_shots: there is no Chromium here" >&2
    exit 1
}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
mkdir -p docs/images
"$strata" report "$run" --out "$out/report.html" --model models/easyvqa-tiny --maps 200

# NAME TOP HEIGHT FLAG...: the page's pixels from TOP on.
shot() {
    name=$1 top=$2 height=$3
    shift 3
    printf '<body style="margin:0;overflow:hidden"><iframe src="report.html" style="%s"></iframe>' \
        "width:1120px;height:3400px;border:0;margin-top:-${top}px" >"$out/frame.html"
    timeout 120 "$browser" --headless --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$out/profile" "$@" \
        --window-size="1120,$height" --screenshot="docs/images/$name.png" "file://$out/frame.html" 2>/dev/null
}
shot report-light 0 1280
shot report-dark 1700 1000 --blink-settings=preferredColorScheme=0
if [ -n "$study" ] && [ -e "$study/results.json" ]; then
    "$strata" report "$study" --out "$out/report.html" --model models/strata-tiny
    shot study-light 0 1500
fi
