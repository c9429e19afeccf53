"""A result file as text and, where it is JSON or JSON lines, as its objects."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from vlbench.errors import UsageError

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class Document:
    """One file."""

    source: str
    text: str
    objects: tuple[dict[str, Any], ...]
    """The object of a JSON file, or one per line; empty for any other file."""

    def where(self, index: int) -> str:
        """The name of object `index` in messages."""
        return self.source if len(self.objects) == 1 else f"{self.source} result {index + 1}"


def load(path: str) -> Document:
    """The file at `path`. Raises `UsageError` if it cannot be read, is empty, or is broken JSON."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}); name a result file") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not text; name a result file in JSON, JSON lines or CSV") from None
    if not text.strip():
        raise UsageError(f"{path} is empty; did the benchmark finish?")
    return Document(path, text, tuple(_objects(path, text)) if text.lstrip().startswith("{") else ())


def _objects(path: str, text: str) -> list[dict[str, Any]]:
    """Objects one after another, whether on one line each or over many."""
    decoder, objects, at = json.JSONDecoder(), [], 0
    while at < len(text):
        try:
            value, end = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            raise UsageError(f"{path} is broken JSON at line {error.lineno} ({error.msg}); was it cut off?") from None
        if not isinstance(value, dict):
            raise UsageError(f"{path} holds {value!r:.40} between JSON objects; name a result file")
        objects.append(value)
        at = end + len(text[end:]) - len(text[end:].lstrip())
    return objects


def validated(model: type[Model], value: dict[str, Any], source: str) -> Model:
    """`value` as a `model`. Raises `UsageError` naming the file and the first field that does not fit."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        message = f"{first['msg'][0].lower()}{first['msg'][1:]}"
        raise UsageError(f"{source}: {field}: {message}; is the file whole and unchanged?") from None
