"""What every kept record is: frozen, strict about fields and types, and described by the docstrings of its fields.

A number is a finite number: no text, no truth value, no NaN. Where a figure may be infinite, its type says so.
"""

import json
from collections import Counter
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from vlbench.errors import UsageError
from vlbench.untrusted.files import Kind, first_fault, read_json

_IN_JSON = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}
"""What JSON has no numbers for is written as these texts."""


def _from_text(value: Any) -> Any:
    return _IN_JSON.get(value, value) if isinstance(value, str) else value


def _not_negative(value: float) -> float:
    if value < 0:
        raise ValueError("must not be negative")
    return value


Unbounded = Annotated[float, Field(allow_inf_nan=True), BeforeValidator(_from_text)]
"""Also infinite, or NaN."""
Error = Annotated[Unbounded, AfterValidator(_not_negative)]
"""How far off something is: infinite or NaN where nothing was right."""
Amount = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]
Grid = tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]]
"""Frames (after temporal patching), rows and columns, in patches; of an image that is fed whole 1, height, width."""


def grid_text(grid: Iterable[int]) -> str:
    """A grid as it is written, such as "1x36x36"; a shape, too."""
    return "x".join(map(str, grid))


class Record(BaseModel):
    """A part of what is kept."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        ser_json_inf_nan="strings",
    )


N = TypeVar("N")


def twice_in(names: Iterable[N]) -> list[N]:
    """What is there more than once."""
    return [name for name, times in Counter(names).items() if times > 1]


def printable_line(text: str) -> str:
    """The text. Raises ValueError where it holds what ends a line, or what a terminal would obey."""
    if not text.isprintable():
        raise ValueError("must be one line of printable characters")
    return text


def check_once(what: str, names: Iterable[object]) -> None:
    """Raises ValueError for the first name that is there more than once; `what` says of what it is the name."""
    for name in twice_in(names):
        raise ValueError(f"the {what} {name!r} is there twice")


def share_of(hits: int, misses: int) -> float | None:
    """The hit rate of so many look-ups; None without any."""
    return hits / (hits + misses) if hits + misses else None


R = TypeVar("R", bound=Record)


def record_of(kind: type[R], content: object) -> R:
    """The record that a JSON document holds. Raises pydantic's ValidationError."""
    return kind.model_validate_json(json.dumps(content))


def fitting(kind: type[R], content: object, named: object, remedy: str, error: type[UsageError] = UsageError) -> R:
    """The same, of a file. Raises `error`, which names the file, the first field that does not fit, and the remedy."""
    try:
        return record_of(kind, content)
    except ValidationError as failure:
        raise error(f"{named}: {first_fault(failure)}; {remedy}") from None


def digest_of(record: Record, without: str) -> str:
    """SHA-256 of the content of a record, but for the field `without`, where the digest itself is kept.

    It is over the content and not over the text: keys are sorted, and what has its default value is left out, so that
    neither a formatter nor a later vlbench with one more optional field breaks it.
    """
    content = record.model_dump(mode="json", exclude={without}, exclude_defaults=True)
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


class Checksummed(Record):
    """A record with a checksum over the rest of it.

    It finds what was damaged, copied or edited without care. It is no signature: who computes it anew can lie.
    """

    checksum: str = ""
    """SHA-256 of all the rest; empty where none was made."""

    def with_checksum(self) -> Self:
        """The same with the checksum that belongs to it."""
        return self.model_copy(update={"checksum": digest_of(self, "checksum")})

    @property
    def intact(self) -> bool:
        """Is it as it was when its checksum was made?"""
        return self.checksum == digest_of(self, "checksum")


C = TypeVar("C", bound=Checksummed)


def read_intact(kind: type[C], path: Path, of: Kind) -> C:
    """The record in a file of ours. Raises UsageError where it is not there, or was edited or damaged."""
    found = fitting(kind, read_json(path, of), path, of.remedy)
    if not found.intact:
        raise UsageError(f"{path}: its checksum does not fit, it was edited or damaged; {of.remedy}")
    return found
