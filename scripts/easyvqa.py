#!/usr/bin/env python3
"""Turns the easy-vqa 1.0 wheel into the JSONL layout that `strata score` reads.

usage: easyvqa.py WHEEL OUT [--all]

Writes OUT/test.jsonl (600 records over test images 0-149), OUT/train.jsonl (1,960 over training images 0-399) and
OUT/images/. Records are `id`, `messages`, `images`, `solution`, `ability`; images are the PNG files byte for byte.

The package has 74 % yes/no questions, and "nothing is there" is right for four fifths of them without looking. So
the draw takes presence in four equal parts ({yes, no} x {plain, negated}) beside fixed numbers of shape and color
questions, evenly over the images. Draw and order follow from SHA-256 of the record's id: the same wheel always gives
the same files.
--all writes every question of both splits instead.
"""
import hashlib
import json
import os
import re
import sys
import zipfile

WHEEL_SHA256 = "fcb51b309b78c7b00f97b64cdbcbcf5c105f94da1b39c0796cee5a787c4f650f"
SYSTEM = "Look at the image and answer the question."
QUOTAS = {  # split: (images, shape, color, presence)
    "test": (150, 180, 180, 240),
    "train": (400, 480, 480, 1000),
}


def ability(question):
    if re.match(r"what color is the |what is the color of ", question):
        return "color"
    return "shape" if question.startswith("what ") else "presence"


def stratum(record):
    """What the quotas count: the ability, presence split further by answer and by negation."""
    if record["ability"] != "presence":
        return record["ability"]
    question = record["messages"][1]["content"]
    negated = bool(re.search(r"\b(not|no)\b", question))
    return ("presence", record["solution"], negated)


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


def draw(wheel, split):
    images, shape, color, presence = QUOTAS[split]
    wanted = {"shape": shape, "color": color}
    for answer in ("yes", "no"):
        for negated in (False, True):
            wanted[("presence", answer, negated)] = presence // 4
    def order(item, purpose="draw"):
        return hashlib.sha256(f"{purpose} {item[1]['id']}".encode()).digest()

    # Each image's first question of a kind comes before any image's second one.
    candidates, taken = [], {}
    for image, record in sorted((r for r in read(wheel, split) if r[0] < images), key=order):
        key = (image, stratum(record))
        taken[key] = taken.get(key, 0) + 1
        candidates.append((taken[key], order((image, record)), image, record))
    chosen = []
    for _, _, image, record in sorted(candidates, key=lambda c: c[:2]):
        key = stratum(record)
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
    arguments = [a for a in sys.argv[1:] if a != "--all"]
    if len(arguments) != 2:
        sys.exit(__doc__)
    out = arguments[1]
    with open(arguments[0], "rb") as file:
        if hashlib.sha256(file.read()).hexdigest() != WHEEL_SHA256:
            sys.exit(f"data: {arguments[0]} is not the easy-vqa 1.0 wheel; remove it and run again")
    os.makedirs(os.path.join(out, "images"), exist_ok=True)
    with zipfile.ZipFile(arguments[0]) as wheel:
        write(os.path.join(out, "LICENSE"), wheel.read("easy_vqa-1.0.dist-info/LICENSE"))
        for split in ("train", "test"):
            chosen = list(read(wheel, split)) if "--all" in sys.argv else draw(wheel, split)
            for image in sorted({image for image, _ in chosen}):
                png = wheel.read(f"easy_vqa/data/{split}/images/{image}.png")
                write(os.path.join(out, "images", f"{split}-{image:04d}.png"), png)
            lines = "".join(json.dumps(record, ensure_ascii=False) + "\n" for _, record in chosen)
            write(os.path.join(out, f"{split}.jsonl"), lines.encode())
            print(f"data: {out}/{split}.jsonl, {len(chosen)} records", file=sys.stderr)


if __name__ == "__main__":
    main()
