"""The launch files that strata select writes, against the trainers they are for. usage: launch_python.py STRATA DIRECTORY

What needs a package that Python has not is skipped, and said. Of ms-swift, LLaMA-Factory and verl it is enough that their
files are there (PYTHONPATH may name unpacked wheels): names are compared with the fields of their argument classes."""
import ast
import dataclasses
import importlib
import importlib.util
import json
import os
import pathlib
import re
import runpy
import shutil
import subprocess
import sys

STRATA, OUT = os.path.abspath(sys.argv[1]), pathlib.Path(sys.argv[2])


def find(name):
    """The package's folder, without importing it; None where it is not installed."""
    spec = importlib.util.find_spec(name)
    if not spec or not spec.submodule_search_locations:
        print(f"skipped: no Python package {name}")
        return None
    return pathlib.Path(spec.submodule_search_locations[0])


def strata(*words):
    return subprocess.run([STRATA, *map(str, words)], check=True, stdout=subprocess.PIPE, text=True).stdout


def make_data():
    shutil.copy("tests/data/cli/shape.png", OUT / "shape.png")
    with open(OUT / "data.jsonl", "w", encoding="utf-8") as file:
        for i, (ability, answer) in enumerate([("shape", "circle"), ("color", "red"), ("color", "blue")]):
            file.write(json.dumps({"id": f"s{i}", "question": f"<image>what {ability}?", "answer": answer,
                                   "image": "shape.png", "ability": ability}) + "\n")
    strata("score", OUT / "data.jsonl", "--model", "models/easyvqa-tiny", "--out", OUT / "run", "--quiet",
           "--max-new-tokens", 8, "--draws", 2, "--metric", "pism", "--system", "Look well.")
    names = {"swift": "it's s.jsonl", "trl": "trl.jsonl", "verl": "it's v.parquet", "llamafactory": "lf"}
    for kind, name in names.items():
        told = strata("select", OUT / "run", "--strata", "easy,mid,hard,unsolved", "--format", kind, "--out", OUT / name)
        assert "launch file: " in told, told
    with open(OUT / "it's s.jsonl", encoding="utf-8") as file:
        assert json.loads(file.readline())["messages"][0] == {"role": "system", "content": "Look well."}
    # What is there is left as it is.
    (OUT / "lf" / "sft.yaml").write_text((OUT / "lf" / "sft.yaml").read_text() + "# mine\n")
    told = strata("select", OUT / "run", "--strata", "easy,mid,hard,unsolved", "--format", "llamafactory", "--out", OUT / "lf")
    assert "left as it is" in told and "# mine" in (OUT / "lf" / "sft.yaml").read_text(), told


def arguments_of(script, program):
    """What the script would run: its program is one that prints its arguments."""
    folder = OUT / f"fake-{program}"
    folder.mkdir(exist_ok=True)
    (folder / program).write_text('#!/bin/sh\n[ "$1" = -c ] && { echo "$VERSION"; exit; }\nprintf "%s\\n" "$@"\n')
    (folder / program).chmod(0o755)
    (folder / "python3").exists() or shutil.copy(folder / program, folder / "python3")
    return lambda version: subprocess.run(
        ["sh", str(OUT / script)], check=True, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "VERSION": version}).stdout.splitlines()


def check_reward():
    os.environ["STRATA"] = STRATA
    reward = runpy.run_path(str(OUT / "trl.jsonl.reward.py"))
    messages = [[{"role": "assistant", "content": "<answer>red</answer>"}], [{"role": "assistant", "content": "blue"}]]
    assert reward["accuracy"](messages, solution=["red", "red"], ability=["color", None]) == [1.0, 0.0]
    assert reward["accuracy"](["4", "5"], solution=[4, "4"], verifier=None) == [1.0, 0.0]
    assert reward["compute_score"]("strata", "so <answer>B</answer>", "B", extra_info={}) == 1.0
    try:
        reward["accuracy"](["4"])
        raise AssertionError("a missing solution is graded")
    except ValueError:
        pass
    print("reward.py grades")


def written_fields(*folders):
    """Names of all class fields that the Python files of the folders declare."""
    names = set()
    for folder in folders:
        for file in sorted(folder.rglob("*.py")) if folder.is_dir() else [folder]:
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ClassDef):
                    names |= {item.target.id for item in node.body if isinstance(item, ast.AnnAssign)}
    return names


def training_fields():
    """The Hugging Face arguments that the trainers' classes inherit."""
    transformers = importlib.import_module("transformers")
    names = {field.name for field in dataclasses.fields(transformers.TrainingArguments)}
    return names | {"warmup_ratio", "overwrite_output_dir"}  # gone in transformers 5, which neither trainer takes yet


def check_swift():
    version = subprocess.run([sys.executable, "-c", "from importlib.metadata import version; print(version('ms-swift'))"],
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout.strip()
    run = arguments_of("it's s.jsonl.grpo.sh", "swift")
    words = run(version or "3.7.2")
    assert words[0] == "rlhf" and f"{OUT}/it's s.jsonl" in words, words
    flags = {word[2:] for word in words if word.startswith("--")}
    assert "train_type" in {word[2:] for word in run("3.7.2")} and "tuner_type" in {word[2:] for word in run("4.6.0")}
    folder = find("swift")
    if not folder or not find("transformers"):
        return
    known = training_fields()
    for part in ("llm/argument", "trainers", "arguments", "rlhf_trainers"):
        if (folder / part).is_dir():
            known |= written_fields(folder / part)
    assert flags <= known, f"ms-swift {version} has no {sorted(flags - known)}"
    print(f"ms-swift {version} knows all {len(flags)} arguments")


def check_llamafactory():
    yaml = importlib.util.find_spec("yaml") and importlib.import_module("yaml")
    if not yaml:
        print("skipped: no Python package yaml")
        return
    settings = yaml.safe_load((OUT / "lf" / "sft.yaml").read_text(encoding="utf-8"))
    assert settings["dataset"] == "lf" and os.path.isfile(settings["deepspeed"]) and settings["learning_rate"] == 1e-6
    assert "lf" in json.loads(pathlib.Path(settings["dataset_dir"], "dataset_info.json").read_text())
    folder = find("llamafactory")
    if not folder or not find("transformers"):
        return
    known = written_fields(folder / "hparams") | training_fields()
    assert set(settings) <= known, f"LLaMA-Factory has no {sorted(set(settings) - known)}"
    templates = (folder / "data" / "template.py").read_text(encoding="utf-8")
    assert f'name="{settings["template"]}"' in templates
    print(f"LLaMA-Factory knows all {len(settings)} settings")


def check_verl():
    words = arguments_of("it's v.parquet.grpo.sh", "python3")("")
    assert words[:2] == ["-m", "verl.trainer.main_ppo"], words
    folder = find("verl")
    if not folder or not find("hydra"):
        return
    hydra = importlib.import_module("hydra")
    with hydra.initialize_config_dir(str(folder / "trainer" / "config"), version_base=None):
        config = hydra.compose("ppo_trainer", overrides=words[2:])
    assert config.data.train_files == f"{OUT}/it's v.parquet", config.data.train_files
    assert config.actor_rollout_ref.rollout.n == 8 and config.actor_rollout_ref.actor.optim.betas == [0.9, 0.95]
    print(f"verl takes all {len(words) - 2} settings")


def check_trl():
    script = runpy.run_path(str(OUT / "trl.jsonl.grpo.py"))
    if find("trl"):
        config = script["config"](bf16=False, use_cpu=True, per_device_train_batch_size=8)
        assert config.num_generations == 8 and config.loss_type == "grpo" and config.learning_rate == 5e-7
        print("TRL's GRPOConfig takes all settings")
    if find("datasets") and find("PIL"):
        data = script["load"]()
        assert data[0]["images"][0].size[0] > 0 and data[0]["prompt"][0]["role"] == "system"
        assert data[0]["prompt"][1]["content"][0]["type"] == "image"
        print("datasets loads TRL's records with pictures")
    assert callable(script["reward"]())


make_data()
for script in OUT.glob("*.sh"):
    subprocess.run(["sh", "-n", str(script)], check=True)
assert not re.search(r"@[A-Z]+@", "".join(p.read_text() for p in [*OUT.glob("*.grpo.*"), *OUT.glob("lf/*.yaml")]))
check_reward()
check_swift()
check_llamafactory()
check_verl()
check_trl()
