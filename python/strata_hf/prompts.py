"""Records of a data set, and their prompts: the same tokens and the same segments as strata's own (src/model/prompt.c)."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image, ImageOps

DEFAULT_SYSTEM = "You are a helpful assistant."
MARK = "<image>"
PLACEHOLDERS = ("<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>")
ROLES = {"system": "system", "user": "user", "human": "user", "assistant": "assistant", "gpt": "assistant"}
OWN_KIND = {"system": "system", "user": "question", "assistant": "reply"}


class Segment(NamedTuple):
    """Prompt tokens [begin, begin + length) of one kind; ``image`` numbers images and the markers around them."""

    kind: str
    begin: int
    length: int
    image: int


@dataclass
class Record:
    id: str
    turns: list[tuple[str, str]]  # role, text; without a final assistant turn
    images: list[Any] = field(default_factory=list)  # a path, bytes, or a PIL image
    where: str = ""


@dataclass
class Prompt:
    ids: list[int]
    segments: list[Segment]
    md5: str  # of the rendered chat, one placeholder an image


class RecordError(ValueError):
    """A record that cannot be asked; says where it stands."""


def _image_of(value: Any, directory: Path, where: str) -> Any:
    if isinstance(value, dict):
        if value.get("bytes"):
            return base64.b64decode(value["bytes"]) if isinstance(value["bytes"], str) else bytes(value["bytes"])
        value = value.get("path")
    if not isinstance(value, str) or not value:
        raise RecordError(f"{where}: an image is no path, data URL or base64")
    if value.startswith("data:"):
        return base64.b64decode(value.partition(",")[2])
    if value.startswith(("iVBOR", "/9j/", "UklGR")):
        return base64.b64decode(value)
    return directory / value


def _turns_of(record: dict[str, Any], where: str) -> list[tuple[str, str]]:
    turns = record.get("messages") or record.get("conversations")
    if turns is None and isinstance(record.get("prompt"), list):
        turns = record["prompt"]
    if turns is None:
        question = record.get("question") or record.get("prompt")
        turns = [{"role": "user", "content": question}]
    found = []
    for turn in turns:
        role, text = turn.get("role", turn.get("from")), turn.get("content", turn.get("value"))
        if role not in ROLES or not isinstance(text, str):
            raise RecordError(f"{where}: a turn that is no role and text; `strata convert` writes such records")
        found.append((ROLES[role], text))
    if found and found[-1][0] == "assistant":
        found.pop()
    if not found:
        raise RecordError(f"{where}: there is no question")
    return found


def read_record(
    record: dict[str, Any],
    default_id: str,
    directory: Path,
    where: str,
    system: str | None = None,
    prepend_missing_image: bool = False,
) -> Record:
    turns = _turns_of(record, where)
    if system is not None and turns[0][0] != "system":
        turns.insert(0, ("system", system))
    images = record.get("images", record.get("image"))
    images = [] if images is None else images if isinstance(images, list) else [images]
    marks = sum(text.count(MARK) for role, text in turns if role != "assistant")
    if images and not marks and prepend_missing_image:
        first = next(i for i, (role, _) in enumerate(turns) if role == "user")
        turns[first] = ("user", MARK * len(images) + turns[first][1])
        marks = len(images)
    if marks != len(images):
        raise RecordError(f"{where}: {marks} {MARK} marks, but {len(images)} images")
    if any(placeholder in text for _, text in turns for placeholder in PLACEHOLDERS):
        raise RecordError(f"{where}: a vision placeholder is written out in the text")
    identity = record.get("id")
    identity = default_id if identity is None else identity if isinstance(identity, str) else json.dumps(identity)
    return Record(identity, turns, [_image_of(image, directory, where) for image in images], where)


def read_records(path: str | Path, **options: Any) -> Iterator[Record | RecordError]:
    """The records of a JSONL file (perhaps .gz) in strata's own layout; other layouts: ``strata convert`` first. Bad
    records come as the error, so that positions (and ids made from them) stay those of strata."""
    path = Path(path)
    stem = path.name.removesuffix(".gz")
    stem = stem.rpartition(".")[0] or stem
    index = -1
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            index += 1
            where = f"{path}:{number}"
            try:
                record = json.loads(line)
                if not isinstance(record, dict):
                    raise RecordError(f"{where}: not a JSON object")
                yield read_record(record, f"{stem}-{index}", path.parent, where, **options)
            except RecordError as error:
                yield error
            except ValueError as error:
                yield RecordError(f"{where}: {error}")


def load_image(source: Any) -> Image.Image:
    """As transformers reads a file: EXIF orientation applied, RGB."""
    if not isinstance(source, Image.Image):
        source = Image.open(io.BytesIO(source) if isinstance(source, bytes) else source)
    return ImageOps.exif_transpose(source).convert("RGB")


def render(turns: list[tuple[str, str]]) -> str:
    """Qwen's ChatML with one placeholder an image, as `strata_chat_render`."""
    if turns[0][0] != "system":
        turns = [("system", DEFAULT_SYSTEM), *turns]
    parts = []
    for role, text in turns:
        if role != "assistant":
            text = text.replace(MARK, "<|vision_start|><|image_pad|><|vision_end|>")
        parts.append(f"<|im_start|>{role}\n{text}<|im_end|>\n")
    return "".join(parts) + "<|im_start|>assistant\n"


class PromptBuilder:
    """Tokens and segments of a record's prompt. Takes a fast tokenizer of the Qwen2 family."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._markers = {
            text: tokenizer.convert_tokens_to_ids(text)
            for text in ("<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>")
        }

    def build(self, record: Record, image_tokens: list[int]) -> Prompt:
        """``image_tokens``: how many tokens each image takes."""
        labelled: list[tuple[int, str, int]] = []  # id, kind, image
        image = 0
        turns = record.turns if record.turns[0][0] == "system" else [("system", DEFAULT_SYSTEM), *record.turns]
        for role, text in turns:
            self._marker(labelled, "<|im_start|>", "template", 0)
            head = role + "\n"
            pieces = text.split(MARK) if role != "assistant" else [text]
            for at, piece in enumerate(pieces):
                if at > 0:
                    self._marker(labelled, "<|vision_start|>", "vision", image)
                    for _ in range(image_tokens[image]):
                        self._marker(labelled, "<|image_pad|>", "image", image)
                    self._marker(labelled, "<|vision_end|>", "vision", image)
                    image += 1
                self._text(labelled, head, piece, OWN_KIND[role])
                head = ""
            self._marker(labelled, "<|im_end|>", "template", 0)
            self._text(labelled, "\n", "", OWN_KIND[role])
        self._marker(labelled, "<|im_start|>", "template", 0)
        self._text(labelled, "assistant\n", "", "template")
        digest = hashlib.md5(render(record.turns).encode(), usedforsecurity=False).hexdigest()
        return Prompt([token for token, _, _ in labelled], _segments(labelled), digest)

    def _marker(self, labelled: list[tuple[int, str, int]], text: str, kind: str, image: int) -> None:
        labelled.append((self._markers[text], kind, image))

    def _text(self, labelled: list[tuple[int, str, int]], head: str, text: str, kind: str) -> None:
        """A token belongs where its first byte is: to the template's ``head`` or to the message's own text."""
        if not head and not text:
            return
        encoded = self._tokenizer(head + text, add_special_tokens=False, return_offsets_mapping=True)
        for token, (begin, _) in zip(encoded["input_ids"], encoded["offset_mapping"], strict=True):
            labelled.append((token, "template" if begin < len(head) else kind, 0))


def _segments(labelled: list[tuple[int, str, int]]) -> list[Segment]:
    segments: list[Segment] = []
    for position, (_, kind, image) in enumerate(labelled):
        if segments and segments[-1].kind == kind and segments[-1].image == image:
            segments[-1] = segments[-1]._replace(length=segments[-1].length + 1)
        else:
            segments.append(Segment(kind, position, 1, image))
    return segments
