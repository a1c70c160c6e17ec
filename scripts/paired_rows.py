#!/usr/bin/env python3
"""How much better one `strata eval` of a data set is than another of the same, record by record.

usage: paired_rows.py BEFORE.rows.jsonl AFTER.rows.jsonl...

Prints for each AFTER the change of the share of right answers, its paired standard error, and their quotient.
"""
import json
import sys


def correct(path):
    with open(path, encoding="utf-8") as lines:
        return {row["id"]: bool(row["correct"]) for row in map(json.loads, lines)}


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    before = correct(sys.argv[1])
    for path in sys.argv[2:]:
        after = correct(path)
        if after.keys() != before.keys():
            sys.exit(f"{path} has other records than {sys.argv[1]}")
        changes = [after[name] - before[name] for name in before]
        n = len(changes)
        gain = sum(changes) / n
        error = ((sum(c * c for c in changes) - n * gain * gain) / (n - 1) / n) ** 0.5
        print(f"{path}: {100 * sum(after.values()) / n:.1f} %, {100 * gain:+.1f} points, standard error {100 * error:.1f}: "
              f"{gain / error if error else 0:.1f} standard errors")


if __name__ == "__main__":
    main()
