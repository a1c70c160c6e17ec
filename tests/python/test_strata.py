"""The Python package against the program and the headers."""

from __future__ import annotations

import ctypes
import importlib.util
import json
import math
import os
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

if os.environ.get("STRATA_PYTHON_INSTALLED") != "1" and not Path(os.environ.get("STRATA_LIBRARY", "")).exists():
    pytest.skip("libstrata.so.0 is not built (ninja strata_shared)", allow_module_level=True)

import strata
from strata import _library

ROOT = Path(__file__).resolve().parents[2]
TINY = ROOT / "models" / "easyvqa-tiny"
SHAPE = ROOT / "tests" / "data" / "cli" / "shape.png"
QUESTION = "what shape is in the image?"


@pytest.fixture(scope="module")
def model() -> Any:
    with strata.Model(TINY, threads=1) as opened:
        yield opened


def program_says(program: Path, *arguments: Any) -> Any:
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_generate_as_the_program(model: strata.Model, program: Path) -> None:
    reply = model.generate(SHAPE, QUESTION)
    said = program_says(program, "generate", "--model", TINY, "--image", SHAPE, QUESTION, "--cmab", "--json")
    assert reply.text == said["text"]
    assert reply.ids.tolist() == said["ids"]
    assert np.allclose(reply.logprobs, said["logprobs"], rtol=1e-6)
    assert reply.prompt_tokens == said["prompt_tokens"] and not reply.cut_off
    balance = reply.balance()
    assert math.isclose(balance.rho, said["cmab"]["rho"], rel_tol=1e-12)
    assert np.allclose(balance.tokens, said["cmab"]["rho_t"], rtol=1e-12)
    assert np.allclose(balance.layers, said["cmab"]["rho_layers"], rtol=1e-12)
    for over, value in said["cmab"]["over"].items():
        assert math.isclose(reply.balance(over=over).rho, value, rel_tol=1e-12)


def test_arrays(model: strata.Model) -> None:
    reply = model.generate(SHAPE, QUESTION)
    L, N, S = reply.masses.shape
    assert (L, N, S) == (model.layers, len(reply.ids), len(reply.segments))
    assert reply.masses.dtype == reply.logprobs.dtype == np.float32
    assert sum(segment.length for segment in reply.segments) == reply.prompt_tokens
    kinds = np.array([segment.kind for segment in reply.segments])
    image, text = (reply.masses[:, :, chosen].sum(-1) for chosen in (kinds == "image", kinds != "image"))
    assert np.allclose(reply.balance().layers, image / text, rtol=1e-5)
    cells = reply.attention_map()
    [length] = [segment.length for segment in reply.segments if segment.kind == "image"]
    assert cells.size == length and (cells > 0).all()
    inner = reply.masses[1:-1, :, kinds == "image"].mean((0, 1)).sum()
    assert math.isclose(cells.sum(), inner, rel_tol=1e-4)
    with pytest.raises(IndexError):
        reply.attention_map(1)


def test_kinds_of_images(model: strata.Model) -> None:
    pixels = np.zeros((56, 84, 3), np.uint8)
    pixels[10:40, 20:50] = (255, 0, 0)
    by_pixels = model.generate(pixels, QUESTION)
    if importlib.util.find_spec("PIL"):
        from PIL import Image

        by_picture = model.generate(Image.fromarray(pixels), QUESTION)
        assert by_pixels.ids.tolist() == by_picture.ids.tolist()
        assert (by_pixels.masses == by_picture.masses).all()
    by_path, by_bytes = (model.generate(given, QUESTION) for given in (str(SHAPE), SHAPE.read_bytes()))
    assert (by_path.masses == by_bytes.masses).all()
    turned = model.generate(pixels.transpose(1, 0, 2), QUESTION)  # not contiguous
    assert turned.attention_map().shape == by_pixels.attention_map().shape[::-1]
    two = model.generate([SHAPE, pixels], "<image>what shape is it? <image>")
    assert [segment.image for segment in two.segments if segment.kind == "image"] == [0, 1]
    with pytest.raises(TypeError, match="uint8"):
        model.generate(pixels.astype(float), QUESTION)


def test_together_forced_and_drawn(model: strata.Model) -> None:
    prompts = [strata.Prompt(QUESTION, [SHAPE], temperature=1.0, seed=seed, max_new_tokens=20) for seed in range(5)]
    replies = model.generate_all(prompts)
    assert len({reply.text for reply in replies}) > 1
    for prompt, reply in zip(prompts, replies, strict=True):
        [alone] = model.generate_all([prompt])
        assert alone.ids.tolist() == reply.ids.tolist() and (alone.masses == reply.masses).all()
    forced = model.generate(SHAPE, QUESTION, response_ids=replies[0].ids.tolist())
    assert (forced.masses == replies[0].masses).all() and (forced.logprobs == replies[0].logprobs).all()
    assert model.generate_all([]) == []


def test_no_image_and_no_attention(model: strata.Model) -> None:
    reply = model.generate(None, "hello", max_new_tokens=3, system="Be brief.")
    assert math.isnan(reply.rho) and "system" in {segment.kind for segment in reply.segments}
    quick = model.generate(SHAPE, QUESTION, attention=False)
    assert quick.masses.size == 0 and quick.segments == []
    with pytest.raises(strata.StrataError, match="ATTENTION"):
        quick.balance()
    with pytest.raises(IndexError):
        quick.attention_map()


def test_failures(model: strata.Model, tmp_path: Path) -> None:
    with pytest.raises(strata.StrataError) as failure:
        strata.Model(tmp_path / "none")
    assert failure.value.kind == "input" and "none" in str(failure.value)
    with pytest.raises(strata.StrataError, match="such file"):
        model.generate(tmp_path / "none.png", QUESTION)
    with pytest.raises(strata.StrataError, match="marks"):
        model.generate(SHAPE, "<image><image>?")
    with pytest.raises(ValueError, match="NUL"):
        model.generate(SHAPE, "a\0b")
    with pytest.raises(strata.StrataError) as failure:
        strata.Model(TINY, compute="f64")
    assert failure.value.kind == "usage"
    with pytest.raises(ValueError, match="no role"):
        model.generate_all([strata.Prompt(turns=[("tool", "x")])])  # type: ignore[list-item]
    assert model.generate(SHAPE, QUESTION).text  # as good as new
    closed = strata.Model(TINY)
    reply = closed.generate(SHAPE, QUESTION)
    closed.close()
    assert reply.rho > 0  # replies outlive their model
    with pytest.raises(ValueError, match="closed"):
        closed.generate(SHAPE, QUESTION)


def test_grade() -> None:
    good = strata.grade("4", "<think>2 + 2</think><answer>4.0</answer>")
    assert good.correct and good.score == 1 and good.kind == "math" and good.extracted == "4.0"
    assert not strata.grade("4", "5").correct
    assert strata.grade("B", "<answer>b</answer>", question="Which? A. x B. y").kind == "choice"
    assert strata.grade("4", "<think>it goes on", mode="strict").truncated
    assert strata.grade("naïve – é", "<answer>naïve – é</answer>", verifier="ocr").correct
    with pytest.raises(strata.StrataError) as failure:
        strata.grade("4", "4", mode="lenient")
    assert failure.value.kind == "usage"
    with pytest.raises(ValueError, match="empty"):
        strata.grade("", "4")
    wrong: list[int] = []

    def many() -> None:
        wrong.extend(n for n in range(200) if not strata.grade(str(n), f"<answer>{n}</answer>").correct)

    threads = [threading.Thread(target=many) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_read_run(program: Path, tmp_path: Path) -> None:
    shutil.copy(SHAPE, tmp_path / "a.png")
    records = [{"id": f"é{i}", "question": "<image>?", "images": ["a.png"], "solution": "x", "ability": "ocr"} for i in range(40)]
    records.append({"id": "text", "question": "why?", "solution": "x"})
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    command = [program, "score", tmp_path / "data.jsonl", "--engine", "scripted", "--out", tmp_path / "run", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (tmp_path / "run" / "difficulty.jsonl").read_text(encoding="utf-8").splitlines()]
    rows = strata.read_run(tmp_path / "run")
    assert [row.details for row in rows] == lines
    for row, line in zip(rows, lines, strict=True):
        assert (row.index, row.id, row.ability) == (line["index"], line["id"], line["ability"])
        assert (row.pism, row.lambda_star) == (line["pism"]["stratum"], line["pism"]["lambda_star"])
        assert (row.cmab, row.rho) == (line["cmab"]["stratum"], line["cmab"]["rho"])
        assert row.correct == line["cmab"].get("correct") and row.response == line["cmab"].get("response")
        if line["pism"]["curve"] and row.pism != "not_applicable":
            assert (row.right, row.drawn) == (line["pism"]["curve"][0]["right"], line["pism"]["curve"][0]["drawn"])
    medians = strata.read_run(tmp_path / "run", over="median")
    assert [row.pism for row in medians] == [row.pism for row in rows]
    assert [row.rho for row in medians] == [line["cmab"].get("rho_over_tokens", {}).get("median") for line in lines]
    assert [row.rho for row in strata.read_run(tmp_path / "run", layers="all")] != [row.rho for row in rows]
    with pytest.raises(strata.StrataError):
        strata.read_run(tmp_path)
    with pytest.raises(strata.StrataError, match="layers"):
        strata.read_run(tmp_path / "run", layers=99)


def test_structures_are_those_of_the_headers(tmp_path: Path) -> None:
    """Sizes and offsets of what is passed to the library, against a C compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    structures: dict[str, Any] = {
        "strata_error": _library.Error,
        "strata_vlm_options": _library.Options,
        "strata_vlm_turn": _library.Turn,
        "strata_vlm_image": _library.Image,
        "strata_vlm_prompt": _library.Prompt,
        "strata_balance_options": _library.BalanceOptions,
        "strata_grade_input": _library.GradeInput,
        "strata_run_row": _library.Row,
    }
    body, want = "", []
    for name, structure in structures.items():
        body += f'printf("%zu\\n", sizeof(struct {name}));\n'
        want.append(ctypes.sizeof(structure))
        for field in structure._fields_:
            body += f'printf("%zu\\n", offsetof(struct {name}, {field[0]}));\n'
            want.append(getattr(structure, field[0]).offset)
    source = f"#include <stddef.h>\n#include <stdio.h>\n#include <strata/strata.h>\nint main(void) {{\n{body}}}\n"
    (tmp_path / "sizes.c").write_text(source)
    subprocess.run([compiler, f"-I{ROOT / 'include'}", tmp_path / "sizes.c", "-o", tmp_path / "sizes"], check=True)
    said = subprocess.run([tmp_path / "sizes"], capture_output=True, text=True, check=True).stdout
    assert [int(number) for number in said.split()] == want


def test_version() -> None:
    header = (ROOT / "include" / "strata" / "version.h").read_text()
    assert f'"{strata.__version__}"' in header


def test_examples_of_the_page(program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Python blocks of docs/python.md, in a folder that has what they name."""
    pytest.importorskip("pandas")
    for name in ("shape.png", "a.png", "b.png"):
        shutil.copy(SHAPE, tmp_path / name)
    (tmp_path / "models").symlink_to(ROOT / "models")
    (tmp_path / "data.jsonl").write_text(json.dumps({"question": "<image>?", "images": ["a.png"], "solution": "x"}) + "\n")
    command = [program, "score", "data.jsonl", "--engine", "scripted", "--out", "run", "--quiet"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=120).returncode == 0
    monkeypatch.chdir(tmp_path)
    blocks = (ROOT / "docs" / "python.md").read_text(encoding="utf-8").split("```python\n")[1:]
    assert len(blocks) == 2
    for block in blocks:
        exec(block.partition("```")[0], {})
