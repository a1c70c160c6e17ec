#!/usr/bin/env python3
"""Turns the easy-vqa 1.0 wheel into the JSONL layout that `strata score` reads.

usage: easyvqa.py WHEEL OUT [--all | --more]

Writes OUT/test.jsonl (600 records over test images 0-149), OUT/train.jsonl (1,960 over training images 0-399) and
OUT/images/. Records are `id`, `messages`, `images`, `solution`, `ability`; images are the PNG files byte for byte.

The package has 74 % yes/no questions, and "nothing is there" is right for four fifths of them without looking. So
the draw takes presence in four equal parts ({yes, no} x {plain, negated}) beside fixed numbers of shape and color
questions, evenly over the images. Draw and order follow from SHA-256 of the record's id: the same wheel always gives
the same files.
--all writes every question of both splits instead.
--more writes OUT/more.jsonl (12,000 records over training images 0-3499) and OUT/valid.jsonl (1,200 over training
images 3500-3999, drawn as the test set is) instead: for training runs whose settings are chosen without the test set.
In more.jsonl "there" and "not there" are equally often right for colours and for shapes too, so that neither pays
without looking.
"""
import hashlib
import itertools
import json
import os
import re
import sys
import zipfile

WHEEL_SHA256 = "fcb51b309b78c7b00f97b64cdbcbcf5c105f94da1b39c0796cee5a787c4f650f"
COLORS = r"\b(red|green|blue|yellow|black|teal|brown|gray)\b"
SYSTEM = "Look at the image and answer the question."
QUOTAS = {  # file: (split, its images, shape, color, presence)
    "test": ("test", range(150), 180, 180, 240),
    "train": ("train", range(400), 480, 480, 1000),
}
MORE = {
    "more": ("train", range(3500), 3000, 1000, 8000),
    "valid": ("train", range(3500, 4000), 360, 360, 480),
}


def ability(question):
    if re.match(r"what color is the |what is the color of ", question):
        return "color"
    return "shape" if question.startswith("what ") else "presence"


def stratum(record, by_kind=False):
    """What the quotas count: the ability; presence further by answer and negation, by_kind also by colour or shape."""
    if record["ability"] != "presence":
        return record["ability"]
    question = record["messages"][1]["content"]
    negated = bool(re.search(r"\b(not|no)\b", question))
    return ("presence", record["solution"], negated, bool(re.search(COLORS, question)) if by_kind else None)


def read(wheel, split):
    """Every record of a split, in the package's order."""
    asked = {}
    for question, answer, image in json.loads(wheel.read(f"easy_vqa/data/{split}/questions.json")):
        index = asked.get(image, 0)
        asked[image] = index + 1
        yield image, {
            "id": f"easyvqa-{split}-{image:04d}-{index:02d}",
            "messages": [
                {"role": "system", "content": SYSTEM},
                {"role": "user", "content": "<image>" + question},
            ],
            "images": [f"images/{split}-{image:04d}.png"],
            "solution": answer,
            "ability": ability(question),
        }


def draw(wheel, split, images, shape, color, presence, by_kind):
    wanted = {"shape": shape, "color": color}
    kinds = (False, True) if by_kind else (None,)
    for part in itertools.product(("yes", "no"), (False, True), kinds):
        wanted[("presence", *part)] = presence // 4 // len(kinds)
    def order(item, purpose="draw"):
        return hashlib.sha256(f"{purpose} {item[1]['id']}".encode()).digest()

    # Each image's first question of a kind comes before any image's second one.
    candidates, taken = [], {}
    for image, record in sorted((r for r in read(wheel, split) if r[0] in images), key=order):
        key = (image, stratum(record, by_kind))
        taken[key] = taken.get(key, 0) + 1
        candidates.append((taken[key], order((image, record)), image, record))
    chosen = []
    for _, _, image, record in sorted(candidates, key=lambda c: c[:2]):
        key = stratum(record, by_kind)
        if wanted[key] > 0:
            wanted[key] -= 1
            chosen.append((image, record))
    # Another hash than the draw's, or the scarce kinds would come last.
    return sorted(chosen, key=lambda item: order(item, "order"))


def write(path, data):
    """The file appears whole."""
    with open(path + ".tmp", "wb") as file:
        file.write(data)
    os.replace(path + ".tmp", path)


def main():
    arguments = [a for a in sys.argv[1:] if a not in ("--all", "--more")]
    if len(arguments) != 2:
        sys.exit(__doc__)
    out = arguments[1]
    with open(arguments[0], "rb") as file:
        if hashlib.sha256(file.read()).hexdigest() != WHEEL_SHA256:
            sys.exit(f"data: {arguments[0]} is not the easy-vqa 1.0 wheel; remove it and run again")
    os.makedirs(os.path.join(out, "images"), exist_ok=True)
    with zipfile.ZipFile(arguments[0]) as wheel:
        write(os.path.join(out, "LICENSE"), wheel.read("easy_vqa-1.0.dist-info/LICENSE"))
        for name, (split, *quota) in (MORE if "--more" in sys.argv else QUOTAS).items():
            everything = "--all" in sys.argv
            chosen = list(read(wheel, split)) if everything else draw(wheel, split, *quota, by_kind=name == "more")
            for image in sorted({image for image, _ in chosen}):
                png = wheel.read(f"easy_vqa/data/{split}/images/{image}.png")
                write(os.path.join(out, "images", f"{split}-{image:04d}.png"), png)
            lines = "".join(json.dumps(record, ensure_ascii=False) + "\n" for _, record in chosen)
            write(os.path.join(out, f"{name}.jsonl"), lines.encode())
            print(f"data: {out}/{name}.jsonl, {len(chosen)} records", file=sys.stderr)


if __name__ == "__main__":
    main()
