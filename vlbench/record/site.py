"""Something that happened at a line of code, from the device that saw it to the row of a gate that names it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, Self, TypeVar

from pydantic import GetCoreSchemaHandler, SerializerFunctionWrapHandler, model_serializer
from pydantic_core import CoreSchema, core_schema

from vlbench.record.base import Count, Record

_Place = TypeVar("_Place", bound=Hashable)
Event = Literal["read-back", "upload", "implicit upload", "synchronize", "attention plan"]
Content = Literal[
    "", "truth value", "truth values", "integer", "integers", "number", "numbers", "read-back", "several kinds"
]
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
    """A line that makes the host wait, copies between host and device, or has cuDNN build a plan for attention.

    What nobody kept has its default.
    """

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
    allowed: str = ""
    """Why the code says that this wait is meant; '' where it does not."""
    callers: tuple[Where, ...] = ()
    """The lines that called the function of `where`, outwards as far as the first module's `forward`."""
    pinned: bool = False
    same: Literal["", "tensor", "values", "elements"] = ""
    """What its copies, over all stages, have in common: one tensor, equal values, or that tensors went by element."""
    content: Content = ""
    """What was copied; of a wait "read-back" where one that did not wait may need it. '' if not known."""
    times: Count
    bytes: Count = 0
    flags: tuple[str, ...] = ()
    """Flags of ours that remove this pattern, each by itself."""
    advice: str = ""
    """What removes it, in words; '' where nothing is known that would."""

    @model_serializer(mode="wrap")
    def _what_is_known(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without the fields that a baseline does not keep."""
        found: dict[str, Any] = handler(self)
        kept = ["event", "where", "times", *(name for name in ("allowed", "callers") if found.get(name))]
        return found if self.operation else {name: found[name] for name in kept}

    @property
    def line(self) -> Line:
        """What tells lines apart that wait or copy."""
        return self.event, self.allowed, (self.where, *self.callers)

    @property
    def kind(self) -> str:
        """The event, and whether it is a wait that is meant."""
        return f"allowed {self.event}" if self.allowed else self.event


Line = tuple[Event, str, tuple[Where, ...]]
"""Event, why it is allowed, and the line with its callers."""


def times_by_line(sites: Iterable[Site]) -> Counter[Line]:
    """How often each line waits or copies, by its event and callers, whichever parts of it do."""
    found: Counter[Line] = Counter()
    for site in sites:
        found[site.line] += site.times
    return found


def outside_of_helpers(chains: Iterable[tuple[_Place, ...]]) -> dict[tuple[_Place, ...], _Place]:
    """The nearest line outside of shared helpers for each line with its callers.

    A line that was reached from two or more calling lines is in a shared helper; then the caller counts, or the
    caller's, where that is in a shared helper itself.
    """
    known = set(chains)
    above: dict[tuple[_Place, ...], set[_Place]] = {}
    for chain in known:
        for end in range(1, len(chain)):
            above.setdefault(chain[:end], set()).add(chain[end])

    def named(chain: tuple[_Place, ...]) -> _Place:
        shared = [len(above.get(chain[:end], ())) > 1 for end in range(1, len(chain) + 1)]
        if True not in shared:
            return chain[0]
        return chain[shared.index(False, shared.index(True))]

    return {chain: named(chain) for chain in known}
