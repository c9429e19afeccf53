"""What no CUDA graph can hold, and where in a forward it is.

Sources: CUDA programming guide, "CUDA graphs", on what a stream that is captured refuses: to be waited for or asked
whether it is done, and calls that the driver may have to wait for, such as pinning memory;
aten/src/ATen/native/cuda/Copy.cu: host memory has to be pinned, and a copy that blocks waits for the stream.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from vlbench.errors import UsageError
from vlbench.record.capturable import Blocker, BlockerKind
from vlbench.record.site import Content, Event

if TYPE_CHECKING:
    from vlbench.counting_device.where import Cause

_SIZES = re.compile(
    r"aten::(nonzero|_?unique\w*|masked_select|repeat_interleave|bincount|_?index(_put(_impl)?_?)?)(\.|$)"
)
"""Operations that read back how large their result is, or by a mask how much of a tensor is meant."""
_NUMBERED = re.compile(r"\[[1-9]\d*\]")


def blocker_of(event: Event, operation: str, content: Content, *, blocking: bool, pinned: bool) -> BlockerKind | None:
    """Why a capture ends on an event; None where it goes on. A wait that is allowed ends it like any other."""
    match event:
        case "attention plan":
            return None
        case "synchronize":
            return "wait"
        case "upload" | "implicit upload":
            return "pageable upload" if not pinned else "waiting upload" if blocking else None
        case "read-back":
            if not blocking:
                return None
            if _SIZES.match(operation):
                return "data-dependent shape"
            return "host branch" if content == "truth value" else "read-back"


class StageError(UsageError):
    """A region was asked about that a forward does not have."""


class Region:
    """A listener to stages that knows whether the forward is between the first and the last of them."""

    def __init__(self, first: str, last: str, ends: int) -> None:
        """`ends` says how often `last` ends from there on: a stage may come several times."""
        self._first, self._last, self._ends = first, last, ends
        self.inside = self.over = False

    def enter(self, name: str) -> None:
        """A stage begins."""
        self.inside = self.inside or (name == self._first and not self.over)

    def exit(self, name: str) -> None:
        """It ends."""
        if self.inside and name == self._last:
            self._ends -= 1
            self.over = not self._ends
            self.inside = not self.over


class Stages:
    """A listener that remembers one forward, so that a region of the next is known."""

    def __init__(self) -> None:
        self._told: list[tuple[str, bool]] = []

    def enter(self, name: str) -> None:
        """A stage begins."""
        self._told.append((name, True))

    def exit(self, name: str) -> None:
        """It ends."""
        self._told.append((name, False))

    def region(self, first: str, last: str) -> Region:
        """From the first beginning of `first` to the last end of `last`. Raises StageError where there is none such."""
        entered = [name for name, begins in self._told if begins]
        for name in (first, last):
            if name not in entered:
                known = ", ".join(dict.fromkeys(each for each in entered if not _NUMBERED.search(each)))
                raise StageError(f"--region: there is no stage {name!r:.60} in this forward; it has {known or 'none'}")
        ends = self._told[self._told.index((first, True)) :].count((last, False))
        if not ends:
            raise StageError(f"--region: {last} ends before {first} begins; give them in the order of the forward")
        return Region(first, last, ends)


class Watch:
    """Lists what would end a capture, of all that happens or of a region."""

    def __init__(self, region: Region | None = None) -> None:
        self._region = region
        self.operations = 0
        """How much was asked of the device."""
        self.doubts: dict[str, None] = {}
        """What may end a capture, in words: some releases of torch let it."""
        self._met: dict[tuple[BlockerKind, str, Cause], list[int]] = {}

    @property
    def _inside(self) -> bool:
        return self._region is None or self._region.inside

    def ask(self) -> None:
        """Work was asked of the device, for which nobody waits."""
        self.operations += self._inside

    def doubt(self, sentence: str) -> None:
        """Something happened of which it is not known whether a capture goes on."""
        if self._inside:
            self.doubts[sentence] = None

    def meet(self, kind: BlockerKind, operation: str, place: Cause, size: int) -> None:
        """It happened, with so many bytes."""
        if self._inside:
            times_and_bytes = self._met.setdefault((kind, operation, place), [0, 0])
            times_and_bytes[0] += 1
            times_and_bytes[1] += size

    @property
    def blockers(self) -> tuple[Blocker, ...]:
        """What it met, the most frequent first."""
        found = (
            Blocker(
                kind=kind, operation=operation, where=place.where, expression=place.expression, callers=place.callers,
                times=times, bytes=size,
            )
            for (kind, operation, place), (times, size) in self._met.items()
        )  # fmt: skip
        return tuple(sorted(found, key=lambda each: -each.times))
