#!/bin/sh
# A report opens in headless Chromium without console errors, and its filters and keys work. usage: report.sh STRATA
set -u
strata=$1
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
. tests/cli/expect.sh.inc

for i in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24; do
    ability=shape
    [ $((i % 5)) -eq 0 ] && ability='</script><i>'
    printf '{"id": "s%d", "question": "<image>what shape is number %d?", "images": ["%s"], "solution": "blue", ' \
        "$i" "$i" "$PWD/tests/data/cli/shape.png"
    printf '"ability": "%s"}\n' "$ability"
done >"$out/data.jsonl"
expect 0 -- score "$out/data.jsonl" --engine scripted --out "$out/run" --keep-responses --quiet
expect 0 -- report "$out/run" --out "$out/report.html"
grep -q "25 samples, 25 in the browser" "$out/stdout" || fail "report says: $(cat "$out/stdout")"
expect 0 -- report "$out/run" --out "$out/few.html" --samples 3 --json
grep -q '"shown": 3' "$out/stdout" || fail "report --samples 3 says: $(cat "$out/stdout")"
expect 1 "run.sqlite" -- report "$out/nowhere" --out "$out/none.html"
[ ! -e "$out/none.html" ] || fail "a failed report leaves a file"

# Where the attention of the answers lay: the model that was scored reads them again; another one is found out.
sed "s#\"images/#\"$PWD/tests/data/train/images/#; s#{\"role\": \"system\", \"content\": \"[^\"]*\"}, ##" \
    tests/data/train/train.jsonl >"$out/shapes.jsonl"
expect 0 -- score "$out/shapes.jsonl" --model models/easyvqa-tiny --metric cmab --max-new-tokens 24 --threads 1 \
    --system "Look at the image and answer the question." --out "$out/looked" --quiet
expect 0 -- report "$out/looked" --out "$out/maps.html" --model models/easyvqa-tiny --maps 5 --threads 1
grep -q "5 with a map of the attention, 0 left out" "$out/stdout" || fail "maps: $(cat "$out/stdout")"
expect 0 -- report "$out/looked" --out "$out/other.html" --model models/strata-tiny --maps 5 --threads 1 --json
grep -q '"unmapped": [345]' "$out/stdout" || fail "another model's maps: $(cat "$out/stdout")"
expect 2 "--threads has no effect without --maps" -- report "$out/looked" --out "$out/none.html" --threads 1
expect 2 "needs --model" -- report "$out/looked" --out "$out/none.html" --maps 2
[ "$failures" -eq 0 ] || exit 1

browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || {
    echo "skipped the page itself: there is no Chromium here"
    exit 77
}
# The page's own script has run when ours does; what it finds goes where --dump-dom shows it.
sed '/<\/body>/,$d' "$out/report.html" >"$out/driven.html"
cat >>"$out/driven.html" <<'END'
<script>
"use strict";
{
  const rows = () => document.querySelectorAll("#list > li").length;
  const set = (id, value) => {
    const control = document.getElementById(id);
    control.value = value;
    control.dispatchEvent(new Event("input", { bubbles: true }));
  };
  const key = (name) => document.body.dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true }));
  const opened = () => [...document.querySelectorAll("#list > li")]
    .findIndex((item) => item.firstChild.getAttribute("aria-expanded") === "true");
  const found = [rows()];
  document.getElementById("next").click();
  found.push(rows());
  set("f-ability", "<\/script><i>");
  found.push(rows(), opened());
  key("j");
  found.push(opened());
  key("k");
  found.push(opened());
  set("f-text", "number 10?");
  found.push(rows());
  set("f-ability", "shape");
  found.push(rows(), document.querySelectorAll(".pane").length);
  set("f-text", "");
  set("f-ability", "");
  const strata = ["unsolved", "hard", "medium", "easy", "pending", "not_applicable"];
  let sum = 0;
  for (const stratum of strata) {
    set("f-pism", stratum);
    sum += rows();
  }
  found.push(sum);
  const fields = document.getElementById("confusion-t").parentNode.querySelectorAll(".heat");
  let agreed = true;
  for (const field of fields) {
    field.dispatchEvent(new MouseEvent("click"));
    agreed &&= rows() === Number(field.nextElementSibling.textContent);
  }
  found.push(fields.length, agreed);
  document.body.append(Object.assign(document.createElement("output"), { textContent: "found " + found.join(" ") }));
}
</script>
</body>
</html>
END
# look PAGE FLAG...   the page in "$out/dom"; a word on the console is a failure.
look() {
    page=$1
    shift
    timeout 120 "$browser" --headless --no-sandbox --disable-gpu --user-data-dir="$out/profile" "$@" \
        --enable-logging=stderr --dump-dom "file://$out/$page" >"$out/dom" 2>"$out/console" ||
        fail "Chromium ended with $?: $(tail -3 "$out/console")"
    grep "CONSOLE" "$out/console" && fail "the console has messages"
}
look driven.html --window-size=1200,900
# 25 samples in pages of 20 and 5; 5 of the odd ability, the first open, then the second, then the first again; number 10
# has that ability and not the other; every sample has one stratum; each of the 16 fields of
# the agreement table shows as many samples as it says.
grep -q "found 20 5 5 0 1 0 1 0 0 " "$out/dom" || fail "the page does not filter: $(grep -o 'found [0-9 -]*' "$out/dom")"
grep -q "found .* 25 16 true</output>" "$out/dom" || fail "strata do not add up: $(grep -o 'found [0-9 -]*' "$out/dom")"

# The map lies on the image and goes with the key; on a phone's width nothing sticks out, and an opened sample stands below
# its row; the dark page is dark.
sed '/<\/body>/,$d' "$out/maps.html" >"$out/driven.html"
cat >>"$out/driven.html" <<'END'
<script>
"use strict";
{
  const found = [], root = document.scrollingElement, narrow = innerWidth < 860;
  const row = document.querySelector("#list > li");
  if (narrow) row.firstChild.click();
  const pane = document.querySelector(narrow ? "#list > li > .pane" : "#pane > .pane");
  const canvas = pane.querySelector("canvas"), image = pane.querySelector("img");
  const near = (a, b) => Math.abs(a - b) < 2;
  const over = canvas.getBoundingClientRect(), under = image.getBoundingClientRect();
  found.push(near(over.left, under.left) && near(over.width, under.width) && near(over.top, under.top));
  found.push(canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.some((byte) => byte > 150));
  const shown = () => getComputedStyle(canvas).display !== "none";
  found.push(shown());
  document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "m", bubbles: true }));
  found.push(shown());
  found.push(root.scrollWidth <= innerWidth, narrow);
  found.push(parseInt(getComputedStyle(document.body).backgroundColor.match(/[0-9]+/)[0]) < 64);
  document.body.append(Object.assign(document.createElement("output"), { textContent: "found " + found.join(" ") }));
  if (parent !== window) parent.postMessage("found " + innerWidth + " " + found.join(" "), "*");
}
</script>
</body>
</html>
END
# Chromium's own windows are no narrower than 500 pixels.
cat >"$out/phone.html" <<'END'
<script>addEventListener("message", (event) => {
  document.body.append(Object.assign(document.createElement("output"), { textContent: event.data }));
});</script>
<body><iframe src="driven.html" style="width:360px;height:740px;border:0"></iframe></body>
END
said() { grep -o 'found [0-9a-z ]*</output>' "$out/dom"; }
look driven.html --window-size=1200,900
[ "$(said)" = "found true true true false true false false</output>" ] || fail "the map, wide: $(said)"
look driven.html --window-size=500,900 --blink-settings=preferredColorScheme=0
[ "$(said)" = "found true true true false true true true</output>" ] || fail "the map, narrow and dark: $(said)"
look phone.html --virtual-time-budget=5000
[ "$(said)" = "found 360 true true true false true true false</output>" ] || fail "the map on a phone: $(said)"
finish
