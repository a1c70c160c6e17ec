"""strata_hf against transformers' own attention matrices (the golden models) and against the native engine."""

from __future__ import annotations

import base64
import json
import math
import subprocess
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("torchvision")

from PIL import Image  # noqa: E402
from safetensors.torch import load_file  # noqa: E402
from transformers import AutoModelForImageTextToText, AutoProcessor  # noqa: E402
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS  # noqa: E402

import strata_hf  # noqa: E402
from strata_hf.__main__ import main  # noqa: E402
from strata_hf.writer import limit_pixels, line  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
TINY = ROOT / "models" / "easyvqa-tiny"
torch.set_num_threads(2)


def load(directory: Path, dtype: Any = torch.float32, attention: str = "sdpa") -> tuple[Any, Any]:
    model = AutoModelForImageTextToText.from_pretrained(directory, dtype=dtype, attn_implementation=attention)
    return model.eval(), AutoProcessor.from_pretrained(directory)


class Golden:
    """A golden model, its prompts as records, with the images as the model saw them (already resized)."""

    def __init__(self, directory: Path, name: str) -> None:
        self.directory = directory / name
        self.model, self.processor = load(self.directory)
        self.prompts = {prompt["name"]: prompt for prompt in json.loads((self.directory / "prompts.json").read_text())}
        greedy = json.loads((self.directory / "greedy.json").read_text())
        self.greedy = {row["name"]: row for row in greedy["prompts"]}
        self.new_tokens = greedy["max_new_tokens"]
        images = json.loads((directory / "images.json").read_text())["images"]
        pixels = load_file(directory / "images.safetensors")
        self.records = {}
        for prompt in self.prompts.values():
            keys = [images[image]["settings"][name]["key"] for image in prompt["images"]]
            pictures = [Image.fromarray(pixels[f"{key}.u8"].numpy()) for key in keys]
            self.records[prompt["name"]] = strata_hf.Record(prompt["name"], self._turns(prompt["messages"]), pictures)

    @staticmethod
    def _turns(messages: list[dict[str, Any]]) -> list[tuple[str, str]]:
        turns = []
        for message in messages:
            content = message["content"]
            if not isinstance(content, str):
                content = "".join("<image>" if part["type"] == "image" else part["text"] for part in content)
            turns.append((message["role"], content))
        return turns

    def answer(self, names: list[str]) -> list[strata_hf.Answer]:
        records = [self.records[name] for name in names]
        return strata_hf.answer_batch(
            self.model, self.processor, records, max_new_tokens=self.new_tokens, allow_placeholders=True
        )

    def check(self, answer: strata_hf.Answer) -> None:
        name = answer.record.id
        want = self.prompts[name]
        assert answer.prompt.ids == want["input_ids"], name
        assert answer.ids == self.greedy[name]["generated_ids"], name
        assert answer.finish == ("stop" if self.greedy[name]["finish"] == "eos" else "length")
        if not answer.record.images:
            return
        cmab = load_file(self.directory / f"cmab_{name}.safetensors")
        image = mass(answer, lambda segment, after: segment.kind == "image")
        text = mass(answer, lambda segment, after: segment.kind != "image")
        before = mass(answer, lambda segment, after: segment.kind != "image" and not after)
        question = mass(answer, lambda segment, after: segment.kind == "question")
        for got, key in ((image, "S_img"), (text, "S_txt"), (before, "S_txt_before_image"), (question, "S_txt_question")):
            assert (got - cmab[key]).abs().max() < 1e-5, (name, key)
        assert ((image / text) / cmab["rho"] - 1).abs().max() < 2e-5, name


def mass(answer: strata_hf.Answer, wanted: Any) -> Any:
    """(layers, tokens): the masses of the segments that `wanted` takes."""
    after, chosen = False, []
    for s, segment in enumerate(answer.prompt.segments):
        if wanted(segment, after):
            chosen.append(s)
        after = after or segment.kind == "image"
    return answer.masses[:, :, chosen].double().sum(-1)


@pytest.fixture(scope="module", params=["dev-a", "dev-b", "dev-c"])
def fixture(request: pytest.FixtureRequest, golden: Path) -> Golden:
    if not (golden / request.param / "model.safetensors.index.json").exists() and not (
        golden / request.param / "model.safetensors"
    ).exists():
        pytest.skip(f"{golden / request.param} is not there")
    return Golden(golden, request.param)


def test_golden_alone(fixture: Golden) -> None:
    for name in fixture.records:
        [answer] = fixture.answer([name])
        fixture.check(answer)


def test_golden_batch(fixture: Golden) -> None:
    """Padded on the left to the longest prompt, text-only prompts among them."""
    for answer in fixture.answer(list(fixture.records)):
        fixture.check(answer)


def test_prompts_are_the_processors(fixture: Golden) -> None:
    for name, record in fixture.records.items():
        rendered = fixture.prompts[name]["rendered"]
        assert strata_hf.prompts.render(record.turns) == rendered
        segments = fixture.answer([name])[0].prompt.segments
        ends = [segment.begin + segment.length for segment in segments]
        assert [segment.begin for segment in segments] == [0, *ends[:-1]]
        assert ends[-1] == fixture.prompts[name]["tokens"]


def test_other_kernels(golden: Path) -> None:
    """Under eager attention and in bf16 the hook measures what transformers itself returns."""
    model, processor = load(golden / "dev-a", attention="eager")
    record = strata_hf.Record("x", [("user", "<image>What is this?")], [Image.new("RGB", (84, 56), "red")])
    [answer] = strata_hf.answer_batch(model, processor, [record], max_new_tokens=4, allow_placeholders=True)
    image = mass(answer, lambda segment, after: segment.kind == "image")
    inputs = processor(text=[strata_hf.prompts.render(record.turns)], images=record.images, return_tensors="pt")
    out = model.generate(
        **inputs, max_new_tokens=4, do_sample=False, output_attentions=True, return_dict_in_generate=True
    )
    assert out.sequences[0, inputs["input_ids"].shape[1] :].tolist() == answer.ids
    places = inputs["input_ids"][0] == model.config.image_token_id
    for n, layers in enumerate(out.attentions):
        for layer, weights in enumerate(layers):
            want = weights[0, :, -1, : len(places)][:, places].mean(0).sum()
            assert abs(float(want) - float(image[layer, n])) < 1e-5
    half, _ = load(golden / "dev-a", dtype=torch.bfloat16)
    [rough] = strata_hf.answer_batch(half, processor, [record], max_new_tokens=1, allow_placeholders=True)
    assert (rough.masses[:, 0] - answer.masses[:, 0]).abs().max() < 0.05


def test_given_response(golden: Path) -> None:
    """One pass over prompt and response measures the same rows as making the response token by token."""
    model, processor = load(golden / "dev-a")
    record = strata_hf.Record("x", [("user", "<image>What is this?")], [Image.new("RGB", (84, 56), "red")])
    [answer] = strata_hf.answer_batch(model, processor, [record], max_new_tokens=12, allow_placeholders=True)
    inputs = processor(text=[strata_hf.prompts.render(record.turns)], images=record.images, return_tensors="pt")
    segments = torch.zeros_like(inputs["input_ids"])
    for s, segment in enumerate(answer.prompt.segments):
        segments[0, segment.begin : segment.begin + segment.length] = s
    mask = inputs["attention_mask"]
    more = torch.tensor([answer.ids[:-1]])
    inputs["input_ids"] = torch.cat([inputs["input_ids"], more], 1)
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    inputs["mm_token_type_ids"] = (inputs["input_ids"] == model.config.image_token_id).int()
    with torch.inference_mode(), strata_hf.AttentionMasses(model) as watch:
        watch.begin(segments, mask, forced=len(answer.ids))
        model(**inputs)
        masses = watch.masses()[:, :, 0].transpose(0, 1)
    assert masses.shape == answer.masses.shape
    assert (masses - answer.masses).abs().max() < 1e-5


def test_the_hook_leaves_nothing_behind(golden: Path) -> None:
    model, processor = load(golden / "dev-a")
    before = ALL_ATTENTION_FUNCTIONS["sdpa"]
    with pytest.raises(RuntimeError), strata_hf.AttentionMasses(model):
        assert ALL_ATTENTION_FUNCTIONS["sdpa"] is not before
        raise RuntimeError
    assert ALL_ATTENTION_FUNCTIONS["sdpa"] is before
    assert "sdpa" not in ALL_ATTENTION_FUNCTIONS._local_mapping


def make_data(folder: Path) -> list[dict[str, Any]]:
    """Questions about shapes drawn at sizes that need no resizing, so that the engines see the same pixels."""
    shapes = ["circle", "rectangle", "triangle"]
    records = []
    for i in range(12):
        picture = Image.new("RGB", (112, 112), (255, 255, 255))
        box = (20 + i, 30, 70 + i, 80)
        picture.paste((200, 20 * i, 30), box)
        picture.save(folder / f"{i}.png")
        question = ["what shape is in the image?", "what color is the shape?"][i % 2]
        records.append(
            {
                "id": f"r{i}",
                "messages": [{"role": "user", "content": "<image>" + question}],
                "images": [f"{i}.png"],
                "solution": shapes[i % 3] if i % 2 == 0 else "red",
                "ability": "shape" if i % 2 == 0 else "color",
            }
        )
    del records[3]["id"]  # takes the file's name and its place
    records[5]["messages"].insert(0, {"role": "system", "content": "Answer in one word."})
    write_data(folder / "data.jsonl", records)
    return records


def write_data(path: Path, records: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def strata(program: Path, *arguments: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, timeout=300)


def rows(run: Path) -> list[dict[str, Any]]:
    return [json.loads(text) for text in (run / "difficulty.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory, program: Path) -> Path:
    """A folder with data.jsonl, cmab.jsonl (by strata_hf, float32) and native (a run of the native engine)."""
    folder = tmp_path_factory.mktemp("scored")
    make_data(folder)
    arguments = [str(folder / "data.jsonl"), "--model", str(TINY), "--out", str(folder / "cmab.jsonl")]
    assert main([*arguments, "--dtype", "float32", "--device", "cpu", "--batch", "5", "--max-new-tokens", "40"]) == 0
    done = strata(
        program, "score", folder / "data.jsonl", "--model", TINY, "--out", folder / "native", "--metric", "cmab",
        "--compute", "f32", "--weights", "f32", "--max-new-tokens", "40", "--quiet",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


def test_same_as_native(scored: Path, program: Path) -> None:
    done = strata(program, "score", scored / "data.jsonl", "--cmab-from", scored / "cmab.jsonl", "--out", scored / "run")
    assert done.returncode == 0, done.stderr
    native, here = rows(scored / "native"), rows(scored / "run")
    assert len(native) == len(here) == 12
    assert len({row["cmab"]["stratum"] for row in native}) > 1
    for want, got in zip(native, here, strict=True):
        for key in ("stratum", "correct", "response", "tokens", "truncated"):
            assert got["cmab"][key] == want["cmab"][key], (want["id"], key)
        assert got["id"] == want["id"]
        for over, rho in want["cmab"]["rho_over_tokens"].items():
            assert math.isclose(got["cmab"]["rho_over_tokens"][over], rho, rel_tol=2e-5), (want["id"], over)


def test_cut_again(scored: Path, program: Path, tmp_path: Path) -> None:
    options = ["--by", "cmab", "--strata", "hard", "--cmab-bands", "0.1,0.4,1.25,1.9", "--cmab-first", "skip"]
    done = strata(program, "score", scored / "data.jsonl", "--cmab-from", scored / "cmab.jsonl", "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    for run, out in ((scored / "native", "a.jsonl"), (tmp_path / "run", "b.jsonl")):
        done = strata(program, "select", run, *options, "--out", tmp_path / out)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.jsonl").read_text() == (tmp_path / "b.jsonl").read_text() != ""


def test_pending_then_finished(scored: Path, program: Path, tmp_path: Path) -> None:
    lines = (scored / "cmab.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "part.jsonl").write_text("".join(lines[:8]))
    (tmp_path / "rest.jsonl").write_text("".join([lines[0], *lines[8:]]))
    first = ["score", scored / "data.jsonl", "--out", tmp_path / "run", "--cmab-from", tmp_path / "part.jsonl"]
    done = strata(program, *first)
    assert done.returncode == 0, done.stderr
    pending = [row["id"] for row in rows(tmp_path / "run") if row["cmab"]["stratum"] == "pending"]
    assert len(pending) == 5
    done = strata(program, *first, "--cmab-from", tmp_path / "rest.jsonl")
    assert done.returncode == 0, done.stderr
    whole = strata(program, "score", scored / "data.jsonl", "--cmab-from", scored / "cmab.jsonl", "--out", tmp_path / "all")
    assert whole.returncode == 0, whole.stderr
    assert rows(tmp_path / "run") == rows(tmp_path / "all")


def test_going_on(scored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A killed run leaves a line cut off: what is whole stays, the rest is answered; other settings are refused."""
    text = (scored / "cmab.jsonl").read_text()
    out = tmp_path / "cmab.jsonl"
    cut = text.splitlines(keepends=True)
    out.write_text("".join(cut[:6]) + cut[6][:1000])
    arguments = [str(scored / "data.jsonl"), "--model", str(TINY), "--out", str(out), "--dtype", "float32"]
    assert main([*arguments, "--device", "cpu", "--batch", "5", "--max-new-tokens", "40"]) == 0
    assert "5 answers are there already" in capsys.readouterr().err
    want, got = ([json.loads(row) for row in source.splitlines()] for source in (text, out.read_text()))
    assert [row["id"] for row in got[1:]] == [row["id"] for row in want[1:]]
    assert [row["ids"] for row in got[1:]] == [row["ids"] for row in want[1:]]
    with pytest.raises(SystemExit, match="other settings"):
        main([*arguments, "--device", "cpu", "--max-new-tokens", "41"])


def test_shards(scored: Path, program: Path, tmp_path: Path) -> None:
    files = []
    for shard in ("1/2", "2/2"):
        out = tmp_path / (shard[0] + ".jsonl")
        arguments = [str(scored / "data.jsonl"), "--model", str(TINY), "--out", str(out), "--dtype", "float32"]
        assert main([*arguments, "--device", "cpu", "--max-new-tokens", "40", "--shard", shard]) == 0
        files += ["--cmab-from", out]
    done = strata(program, "score", scored / "data.jsonl", *files, "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert [row["cmab"]["stratum"] for row in rows(tmp_path / "run")] == [
        row["cmab"]["stratum"] for row in rows(scored / "native")
    ]


def test_pixels_are_limited(tmp_path: Path) -> None:
    model, processor = load(TINY)
    limit_pixels(processor, 56 * 56)
    record = strata_hf.Record("x", [("user", "<image>what shape is in the image?")], [Image.new("RGB", (448, 448))])
    [answer] = strata_hf.answer_batch(model, processor, [record], max_new_tokens=2)
    assert sum(segment.length for segment in answer.prompt.segments if segment.kind == "image") == 4
    assert json.loads(line(answer))["prompt_tokens"] == len(answer.prompt.ids)
    assert len(base64.b64decode(json.loads(line(answer))["masses"])) == answer.masses.numel() * 4


def test_bad_records_are_told_and_left_out(tmp_path: Path) -> None:
    make_data(tmp_path)
    text = (tmp_path / "data.jsonl").read_text().splitlines(keepends=True)[:3]
    (tmp_path / "1.png").write_text("no image")
    more = ["{broken\n", json.dumps({"id": "m", "question": "<image><image>?", "images": ["0.png"]}) + "\n"]
    more.append(json.dumps({"question": "no image, not asked"}) + "\n")
    (tmp_path / "data.jsonl").write_text("".join([text[0], *more, *text[1:]]))
    model, processor = load(TINY)
    told: list[str] = []
    records = list(strata_hf.read_records(tmp_path / "data.jsonl"))
    assert [getattr(record, "id", None) for record in records] == ["r0", None, None, "data-3", "r1", "r2"]
    settings = strata_hf.Settings(max_new_tokens=3)
    out = tmp_path / "cmab.jsonl"
    assert strata_hf.generate_file(model, processor, records, out, settings, batch_size=4, tell=told.append) == 2
    assert [json.loads(row)["id"] for row in out.read_text().splitlines()[1:]] == ["r0", "r2"]
    assert len(told) == 3
    for place, message in zip(("data.jsonl:2", "data.jsonl:3", "data.jsonl:5"), told, strict=True):
        assert place in message
