#!/usr/bin/env python3
"""Writes the Parquet fixtures of tests/data/test_parquet.c, and what is in them as JSONL, with pyarrow.

usage: make_parquet.py DIRECTORY     (the committed files were made with pyarrow 26 and this directory's parquet/)
"""
import base64
import datetime
import decimal
import json
import sys
import uuid

import pyarrow as pa
import pyarrow.parquet as pq

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==")
UTC = datetime.timezone.utc
ROWS = 37


def every(step, value):
    """Column values where row i is value(i), and null in every step-th row."""
    return [None if i % step == step - 1 else value(i) for i in range(ROWS)]


def odd_table():
    """Every type that people have, nested and flat, with nulls at every level."""
    columns = {
        "text": pa.array(every(5, lambda i: "ä☃\x00\n" * (i % 4)), pa.string()),
        "large": pa.array(every(7, lambda i: "groß %d" % i), pa.large_string()),
        "category": pa.array(every(6, lambda i: "abc"[i % 3])).dictionary_encode(),
        "none": pa.nulls(ROWS),
        "required": pa.array(range(ROWS), pa.int32()),
        "flag": pa.array(every(4, lambda i: i % 3 == 0)),
        "i8": pa.array(every(9, lambda i: i - 20), pa.int8()),
        "u32": pa.array(every(9, lambda i: 4294967295 - i), pa.uint32()),
        "u64": pa.array(every(9, lambda i: 18446744073709551615 if i % 2 else i), pa.uint64()),
        "i64": pa.array(every(8, lambda i: (-1) ** i * 2 ** (i + 20)), pa.int64()),
        "constant": pa.array([7] * ROWS, pa.int64()),
        "f16": pa.array(every(8, lambda i: i / 8), pa.float16()),
        "f32": pa.array(every(8, lambda i: i / 3), pa.float32()),
        "f64": pa.array(every(8, lambda i: float("nan") if i == 3 else -i / 7), pa.float64()),
        "date": pa.array(every(8, lambda i: datetime.date(1965 + 2 * i, 1 + i % 12, 1 + i % 28))),
        "time": pa.array(every(8, lambda i: datetime.time(i % 24, i, i, 1000 * i)), pa.time64("us")),
        "stamp": pa.array(every(8, lambda i: datetime.datetime(1969, 12, 31, i % 24, i, 0, 1000 * i)), pa.timestamp("ms")),
        "utc": pa.array(every(8, lambda i: datetime.datetime(2024, 2, 29, 1, 2, i, 7 * i, UTC)), pa.timestamp("us", "UTC")),
        "decimal": pa.array(every(8, lambda i: decimal.Decimal(1001 * i - 20020) / 100), pa.decimal128(20, 2)),
        "uuid": pa.array(every(8, lambda i: uuid.UUID(int=i * 2 ** 90 + i).bytes), pa.uuid()),
        "binary": pa.array(every(8, lambda i: bytes(range(i)))),
        "fixed": pa.array(every(8, lambda i: bytes([i, 255, i])), pa.binary(3)),
        "list": pa.array(every(5, lambda i: [None if j == 2 else j * i for j in range(i % 4)]), pa.list_(pa.int32())),
        "lists": pa.array(every(6, lambda i: [None if j == 1 else ["x%d" % k for k in range(j)] for j in range(i % 5)]),
                          pa.list_(pa.list_(pa.string()))),
        "struct": pa.array(every(6, lambda i: {"a": i if i % 2 else None, "b": {"c": [{"d": "%d" % i}] * (i % 3)} if i % 4 else None})),
        "map": pa.array(every(6, lambda i: [("k%d" % j, j) for j in range(i % 3)]), pa.map_(pa.string(), pa.int64())),
        "pairs": pa.array(every(6, lambda i: [(j, "v") for j in range(i % 3)]), pa.map_(pa.int32(), pa.string())),
    }
    required = {"required", "constant"}
    fields = [pa.field(name, array.type, name not in required) for name, array in columns.items()]
    return pa.table(list(columns.values()), pa.schema(fields))


def as_json(value, kind):
    """A value as strata reads it (src/data/parquet.h)."""
    if value is None or (isinstance(value, float) and value != value):
        return None
    if pa.types.is_map(kind):
        pairs = [[as_json(key, kind.key_type), as_json(item, kind.item_type)] for key, item in value]
        return dict(pairs) if pa.types.is_string(kind.key_type) else pairs
    if pa.types.is_list(kind):
        return [as_json(item, kind.value_type) for item in value]
    if pa.types.is_struct(kind):
        return {field.name: as_json(value[field.name], field.type) for field in kind}
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime.datetime):
        text = value.replace(tzinfo=None).isoformat()
        text = text.replace(".%06d" % value.microsecond, ".%03d" % (value.microsecond // 1000)) if kind.unit == "ms" else text
        return text + ("Z" if value.tzinfo else "")
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, (decimal.Decimal, uuid.UUID)):
        return str(value)
    if isinstance(value, int) and value > 2 ** 63 - 1:
        return str(value)
    return float(value) if pa.types.is_floating(kind) else value


def write_json(path, table):
    with open(path, "w", encoding="utf-8") as file:
        for row in table.to_pylist():
            record = {field.name: as_json(row[field.name], field.type) for field in table.schema}
            file.write(json.dumps(record, ensure_ascii=False) + "\n")


def orsta_table():
    """The layout of Orsta-Data-47k."""
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    turn = pa.struct([("role", pa.string()), ("content", pa.string())])
    ratio = pa.struct([("iou_completeness", pa.float64()), ("iou_max_label_first", pa.float64())])
    parameters = pa.struct([("det_verifier_normalized", pa.bool_()), ("det_reward_ratio", ratio)])
    reward = pa.struct([("answer", pa.string()), ("ground_truth", pa.string()), ("accuracy_ratio", pa.float32()),
                        ("format_ratio", pa.float32()), ("verifier", pa.string()), ("verifier_parm", parameters)])
    rows = [{
        "data_source": "mm_math", "images": [{"bytes": PIXEL, "path": None}],
        "prompt": [{"role": "user", "content": "<image>Find ∠ABC."}], "ability": "math",
        "reward_model": {"answer": "4", "ground_truth": "\\boxed{4}", "accuracy_ratio": 1.0, "format_ratio": 0.0,
                         "verifier": "mathverify", "verifier_parm": None},
        "extra_info": {"id": "mm_math-1", "image_path": "a/1.png"},
    }, {
        "data_source": "v3det_train", "images": [{"bytes": PIXEL, "path": "b.png"}, {"bytes": PIXEL, "path": "c.png"}],
        "prompt": [{"role": "system", "content": "S"}, {"role": "user", "content": "<image><image>Detect dogs."}],
        "ability": "cv_detection",
        "reward_model": {"answer": None, "ground_truth": "<answer>\n[{'bbox_2d': [1, 2, 3, 4], 'label': 'dog'}]\n</answer>",
                         "accuracy_ratio": 1.0, "format_ratio": 0.1, "verifier": "detection",
                         "verifier_parm": {"det_verifier_normalized": True,
                                           "det_reward_ratio": {"iou_completeness": 0.3, "iou_max_label_first": 1.0}}},
        "extra_info": None,
    }]
    schema = pa.schema([("data_source", pa.string()), ("images", pa.list_(image)), ("prompt", pa.list_(turn)),
                        ("ability", pa.string()), ("reward_model", reward),
                        ("extra_info", pa.struct([("id", pa.string()), ("image_path", pa.string())]))])
    return pa.Table.from_pylist(rows, schema)


def main(folder):
    odd = odd_table()
    write_json(f"{folder}/odd.jsonl", odd)
    # dictionary, page version, codec, rows a group, bytes a page
    plain = {"use_dictionary": False, "row_group_size": 10, "data_page_size": 40}
    pq.write_table(odd, f"{folder}/odd-none-v1.parquet", compression="none", **plain)
    pq.write_table(odd, f"{folder}/odd-snappy-v1.parquet", compression="snappy")
    pq.write_table(odd, f"{folder}/odd-gzip-v2.parquet", compression="gzip", data_page_version="2.0", row_group_size=20)
    pq.write_table(odd, f"{folder}/odd-zstd-v2.parquet", compression="zstd", data_page_version="2.0", **plain)
    pq.write_table(odd, f"{folder}/odd-lz4-v1.parquet", compression="lz4", data_page_size=40)
    delta = {"text": "DELTA_LENGTH_BYTE_ARRAY", "large": "DELTA_BYTE_ARRAY", "required": "DELTA_BINARY_PACKED",
             "i8": "DELTA_BINARY_PACKED", "i64": "DELTA_BINARY_PACKED", "constant": "DELTA_BINARY_PACKED",
             "fixed": "DELTA_BYTE_ARRAY", "f32": "BYTE_STREAM_SPLIT", "f64": "BYTE_STREAM_SPLIT", "u32": "BYTE_STREAM_SPLIT",
             "decimal": "BYTE_STREAM_SPLIT", "flag": "RLE", "lists.list.element.list.element": "DELTA_BYTE_ARRAY",
             "list.list.element": "DELTA_BINARY_PACKED"}
    pq.write_table(odd, f"{folder}/odd-delta-v2.parquet", compression="snappy", data_page_version="2.0",
                   use_dictionary=False, column_encoding=delta, data_page_size=300)
    many = pa.table({"n": pa.array([i * i * 1234567 % 10007 - 5000 for i in range(3000)], pa.int64()),
                     "s": pa.array(["%s-%d" % ("x" * (i % 50), i) for i in range(3000)])})
    pq.write_table(many, f"{folder}/long-delta.parquet", use_dictionary=False, compression="zstd", data_page_size=9000,
                   column_encoding={"n": "DELTA_BINARY_PACKED", "s": "DELTA_BYTE_ARRAY"})
    pq.write_table(many.slice(0, 100), f"{folder}/brotli.parquet", compression="brotli")
    orsta = orsta_table()
    write_json(f"{folder}/orsta.jsonl", orsta)
    pq.write_table(orsta, f"{folder}/orsta.parquet", row_group_size=1)


if __name__ == "__main__":
    main(sys.argv[1])
