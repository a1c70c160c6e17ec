#!/usr/bin/env python3
"""Gives the records of data/easyvqa/train.jsonl an assistant turn to learn: what the image shows, then the answer.

usage: easyvqa_reasons.py IN OUT

Shape and colour of an image come from the answers of its other records; a record whose image has not both is left out.
"""
import json
import sys

COLORS = "red green blue yellow black teal brown gray".split()
SHAPES = "circle rectangle triangle".split()


def main():
    records = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
    seen = {}
    for record in records:
        image, answer = record["images"][0], record["solution"]
        kind = "color" if answer in COLORS else "shape" if answer in SHAPES else None
        if kind:
            seen.setdefault(image, {})[kind] = answer
    kept = 0
    with open(sys.argv[2], "w", encoding="utf-8") as out:
        for record in records:
            image = seen.get(record["images"][0], {})
            if len(image) < 2:
                continue
            text = "<think>The image shows a {color} {shape}.</think><answer>{answer}</answer>".format(
                answer=record["solution"], **image)
            record["messages"].append({"role": "assistant", "content": text})
            out.write(json.dumps(record) + "\n")
            kept += 1
    print("%d of %d records" % (kept, len(records)))


if __name__ == "__main__":
    main()
