"""Something that happened at a line of code, from the device that saw it to the row of a gate that names it."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, Self

from pydantic import GetCoreSchemaHandler, SerializerFunctionWrapHandler, model_serializer
from pydantic_core import CoreSchema, core_schema

from vlbench.record.base import Record

Event = Literal["read-back", "upload", "implicit upload", "synchronize"]
_TEXT = re.compile(r"(.*?):(\d+): (.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Where:
    """A line of code. Files hold it as the text `file:line: source text`."""

    source: str
    file: str | None = None
    """As its module's name spells it; None where there is no Python line."""
    line: int | None = None

    def __str__(self) -> str:
        return f"{self.place}: {self.source}" if self.file else self.source

    @property
    def place(self) -> str:
        """`file:line`, "" where there is none."""
        return f"{self.file}:{self.line}" if self.file else ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """From the text."""
        found = _TEXT.fullmatch(text)
        return cls(found[3], found[1], int(found[2])) if found else cls(text)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """A text in every file."""
        text = core_schema.no_info_after_validator_function(cls.parse, core_schema.str_schema())
        return core_schema.json_or_python_schema(
            text,
            core_schema.union_schema([core_schema.is_instance_schema(cls), text]),
            serialization=core_schema.to_string_ser_schema(),
        )


class Site(Record):
    """A line that makes the host wait or copies between host and device. What nobody kept has its default."""

    event: Event
    operation: str = ""
    """Of torch, by its full name."""
    stage: str = ""
    """The innermost stage it happened in; '' outside of all, and of several."""
    where: Where
    """The innermost frame outside torch."""
    expression: str = ""
    """The part of the source that did it, such as `lengths.tolist()`; '' where not known."""
    blocking: bool = False
    pinned: bool = False
    times: int
    bytes: int = 0
    flags: tuple[str, ...] = ()
    """Flags of ours that remove this pattern, each by itself."""
    advice: str = ""
    """What removes it, in words; '' where nothing is known that would."""

    @model_serializer(mode="wrap")
    def _what_is_known(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without the fields that a baseline does not keep."""
        found: dict[str, Any] = handler(self)
        return found if self.operation else {name: found[name] for name in ("event", "where", "times")}


def times_by_line(sites: Iterable[Site]) -> Counter[tuple[Event, Where]]:
    """How often each line waits or copies, by its event, whichever parts of it do."""
    found: Counter[tuple[Event, Where]] = Counter()
    for site in sites:
        found[site.event, site.where] += site.times
    return found
