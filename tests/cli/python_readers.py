"""What strata writes, read by the packages of other trainers. usage: python_readers.py STRATA DIRECTORY

The directory is empty at first. Prints what was not tried because a package is missing."""
import importlib
import json
import os
import re
import shutil
import subprocess
import sys

STRATA, OUT = sys.argv[1:3]
PIXEL = "tests/data/images/adam7_rgb_13x9.png"


def package(name):
    try:
        return importlib.import_module(name)
    except ImportError:
        print(f"skipped: no Python package {name}")
        return None


def convert(source, target, *options):
    subprocess.run([STRATA, "convert", f"{OUT}/{source}", f"{OUT}/{target}", "--quiet", *options], check=True)


def lines(name):
    with open(f"{OUT}/{name}", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def write_samples(count):
    """Samples with everything a table may hold, and an image file."""
    with open(PIXEL, "rb") as file, open(f"{OUT}/a.png", "wb") as copy:
        copy.write(file.read())
    with open(f"{OUT}/samples.jsonl", "w", encoding="utf-8") as file:
        for i in range(count):
            record = {"id": f"ä{i}", "messages": [{"role": "user", "content": "<image>wie viele ☃?"}], "images": ["a.png"],
                      "solution": str(i), "n": i, "x": None if i % 3 else i / 7, "flag": i % 2 == 0,
                      "list": [[j, None] for j in range(i % 3)], "deep": {"a": {"b": [{"c": "d" * (i % 4)}]}}}
            if i % 5 == 0:
                record["ability"] = "count"
            file.write(json.dumps(record, ensure_ascii=False) + "\n")


def check_pyarrow():
    parquet = package("pyarrow.parquet")
    if not parquet:
        return
    convert("samples.jsonl", "samples.parquet")
    file = parquet.ParquetFile(f"{OUT}/samples.parquet")
    rows = [row for batch in file.iter_batches() for row in batch.to_pylist()]
    expected = lines("samples.jsonl")
    for row, record in zip(rows, expected, strict=True):
        assert row == {"ability": None, **record}, (row, record)
    # And back, after pyarrow wrote it anew in its own way.
    parquet.write_table(file.read(), f"{OUT}/again.parquet", row_group_size=7)
    convert("again.parquet", "again.jsonl")
    assert lines("again.jsonl") == expected
    print(f"pyarrow reads {len(rows)} records as they were")


def check_datasets():
    datasets = package("datasets")
    if not datasets or not package("PIL"):
        return
    convert("samples.jsonl", "verl.parquet", "--format", "verl")
    data = datasets.load_dataset("parquet", data_files=f"{OUT}/verl.parquet", split="train", cache_dir=f"{OUT}/cache")
    image = data[0]["images"][0]
    assert image.size[0] > 0, image  # a picture, as TRL's and verl's loaders want it
    assert data[3]["prompt"] == [{"role": "user", "content": "<image>wie viele ☃?"}]
    assert data[3]["reward_model"]["ground_truth"] == "3" and data[3]["data_source"] == "strata"
    raw = data.cast_column("images", datasets.Sequence(datasets.Image(decode=False)))
    with open(f"{OUT}/a.png", "rb") as file:
        assert raw[0]["images"][0]["bytes"] == file.read()
    # What datasets writes itself comes back.
    data.to_parquet(f"{OUT}/hub.parquet")
    convert("hub.parquet", "hub.jsonl", "--format", "swift")
    hub = lines("hub.jsonl")
    assert [row["id"] for row in hub] == [row["id"] for row in lines("samples.jsonl")]
    assert hub[0]["images"][0].startswith("data:image/png;base64,")
    print(f"datasets loads {len(data)} records with pictures")


def check_pandas():
    pandas = package("pandas")
    if not pandas or not package("pyarrow"):
        return
    frame = pandas.read_parquet(f"{OUT}/samples.parquet")
    assert frame.n.sum() == sum(range(len(frame))) and frame.x.isna().sum() > 0
    frame.to_parquet(f"{OUT}/pandas.parquet")
    convert("pandas.parquet", "pandas.jsonl")
    assert [row["n"] for row in lines("pandas.jsonl")] == list(frame.n)
    print("pandas reads and writes it")


def check_difficulty():
    """The snippets of docs/formats.md, on a run of the small model."""
    snippets = re.findall(r"```python run=(\w+)\n(.*?)```", DOCS, re.S)
    assert [name for name, _ in snippets] == ["pandas", "datasets"]
    shutil.copy("tests/data/cli/shape.png", f"{OUT}/shape.png")
    with open(f"{OUT}/data.jsonl", "w", encoding="utf-8") as file:
        for i, (ability, answer) in enumerate([("shape", "circle"), ("shape", "square"), ("color", "red"), ("color", "blue")]):
            file.write(json.dumps({"id": f"s{i}", "question": f"<image>what {ability} is the shape?", "answer": answer,
                                   "image": "shape.png", "ability": ability}) + "\n")
    run = [STRATA, "score", f"{OUT}/data.jsonl", "--model", "models/easyvqa-tiny", "--out", f"{OUT}/run", "--quiet"]
    subprocess.run([*run, "--max-new-tokens", "8", "--draws", "4"], check=True, stdout=subprocess.DEVNULL)
    for kind in ("parquet", "csv", "jsonl"):
        subprocess.run([STRATA, "inspect", f"{OUT}/run", "--out", f"{OUT}/difficulty.{kind}"], check=True)
    rows = lines("difficulty.jsonl")
    with open(f"{OUT}/run/difficulty.jsonl", encoding="utf-8") as file:
        told = [json.loads(line) for line in file]
    for row, line in zip(rows, told, strict=True):
        assert row["id"] == line["id"] and row["pism_stratum"] == line["pism"]["stratum"], (row, line)
        assert row["pism_lambda_star"] == line["pism"]["lambda_star"] and row["cmab_rho"] == line["cmab"]["rho"]
        assert row["curve_right"] == [point["right"] for point in line["pism"]["curve"]]
    pandas = package("pandas")
    if pandas and package("pyarrow"):
        frame, table = (pandas.read_parquet(f"{OUT}/difficulty.parquet"), pandas.read_csv(f"{OUT}/difficulty.csv"))
        documented = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", DOCS, re.M))))
        assert set(frame.columns) <= documented, set(frame.columns) - documented
        for name in frame.columns:
            if name.startswith("curve"):
                assert [json.loads(cell) for cell in table[name + ":json"]] == [list(cell) for cell in frame[name]]
            elif not frame[name].isna().all():
                assert (table[name].fillna(-1) == frame[name].fillna(-1)).all(), name
    for name, code in snippets:
        if package(name) and package("pyarrow"):
            subprocess.run([sys.executable, "-c", code], check=True, cwd=OUT, stdout=subprocess.DEVNULL)
            print(f"the {name} snippet of docs/formats.md runs")


STRATA = os.path.abspath(STRATA)
with open("docs/formats.md", encoding="utf-8") as page:
    DOCS = page.read()
write_samples(40)
check_difficulty()
check_pyarrow()
check_datasets()
check_pandas()
