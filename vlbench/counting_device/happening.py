"""What happens while a forward is counted, one thing after another, as listeners hear of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from torch import UntypedStorage

from vlbench.record.sequence import Kind
from vlbench.record.site import Content

if TYPE_CHECKING:
    from vlbench.counting_device.where import Cause


class Source(NamedTuple):
    """What was copied."""

    memory: UntypedStorage
    """Kept, or another tensor gets its place and is taken for this one."""
    place: tuple[int, ...]
    """Where it begins in there, and its shape."""
    version: int
    """Another one once something was written to it."""
    values: int | None
    """The same for equal values; None where they are not known."""
    one: bool
    """Is it a single element?"""


@dataclass(slots=True)
class Happening:
    """An event with its tensors, which are there only now: see `vlbench.record.sequence.Event`."""

    kind: Kind
    name: str
    stage: str
    arguments: Sequence[Any] = ()
    """As torch has them: tensors, lists of them, and whatever else."""
    results: Sequence[Any] = ()
    bytes: int = 0
    pinned: bool = False
    blocking: bool = False
    implicit: bool = False
    attention: str = ""
    new_plan: bool = False
    replayed: bool = False
    cause: Cause | None = None
    """The line, of what makes the host wait, copies, or has a plan built."""
    source: Source | None = None
    content: Content = ""
    live_bytes: int = 0
    """Of an allocation: all that is alive with it."""


class Listener(Protocol):
    """Is told of everything, in order, on the thread in which it happens."""

    def hear(self, now: Happening) -> None:
        """One thing happened."""
