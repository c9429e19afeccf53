"""What moved between two counts of one tower: counters with their stages, lines and operations."""

from collections import Counter as Multiset
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from vlbench.judging.judged import Move
from vlbench.record.baseline import CountedCell, CountedForward
from vlbench.record.site import Event, Where

Advice = Mapping[tuple[Event, Where], str]
"""What removes a line, by its event."""

COUNTERS: dict[str, tuple[Event, ...]] = {
    "host_syncs": ("read-back", "upload", "implicit upload", "synchronize"),
    "read_backs": ("read-back",),
    "pageable_uploads": ("upload",),
    "implicit_uploads": ("implicit upload",),
    "uploads": ("upload",),
    "attention_calls": (),
    "device_operations": (),
    "read_back_bytes": ("read-back",),
    "upload_bytes": ("upload",),
    "implicit_upload_bytes": ("implicit upload",),
    "peak_live_bytes": (),
    "allocations": (),
    "allocated_bytes": (),
}
"""What is judged, the most important first, with the events of the lines that explain it. In each, less is better."""

_Line = tuple[Event, str | None, str]
"""A line is known by its event, file and source, and not by its number: an edit above it moves it."""
_K = TypeVar("_K", bound=Hashable)


@dataclass(frozen=True)
class Shift:
    """A counter that is not what it was."""

    counter: str
    before: int
    after: int
    first: bool
    """Only in the first forward, or otherwise there."""
    stage: str
    """The stage that moved most in the same direction, "" where none is known."""

    def direction(self, band: float) -> int:
        """1 for a rise beyond `band`, a share of what was; -1 for a fall beyond it; 0 inside."""
        if abs(self.after - self.before) <= band * self.before:
            return 0
        return 1 if self.after > self.before else -1

    @property
    def move(self) -> Move:
        """The same as a row shows it."""
        return Move(
            kind="counter",
            name=self.counter + _mark(self.first),
            before=self.before,
            after=self.after,
            unit="B" if self.counter.endswith("bytes") else "",
            stage=self.stage,
        )


def shifts(before: CountedCell, after: CountedCell) -> list[Shift]:
    """Every counter that differs, the most important first; then those that differ otherwise in the first forward."""
    found = []
    for counter, a, b, first in _differing(before, after, lambda forward: forward.counters):
        old, new = (before.cold, after.cold) if first else (before.warm, after.warm)
        found.append(Shift(counter, a, b, first, _stage(old, new, counter, 1 if b > a else -1)))
    order = list(COUNTERS)
    return sorted(found, key=lambda each: (each.first, order.index(each.counter)))


def line_moves(before: CountedCell, after: CountedCell, advice: Advice) -> list[Move]:
    """Lines that appeared, vanished or run more or less often, the largest change first."""
    numbers = _numbers(before) | _numbers(after)
    words = {_line(event, where): text for (event, where), text in advice.items()}
    moves = []
    for key, a, b, first in _differing(before, after, _lines):
        event, file, source = key
        moves.append(
            Move(
                kind="line",
                name=f"{event}{_mark(first)}: {source}",
                before=a,
                after=b,
                file=file,
                line=numbers.get(key),
                advice=words.get(key, "") if b > a else "",
            )
        )
    return sorted(moves, key=_by_size)


def operation_moves(before: CountedCell, after: CountedCell) -> list[Move]:
    """Device operations that are asked for more or less often, the largest change first."""
    found = _differing(before, after, lambda forward: forward.operations)
    moves = [Move(kind="operation", name=name + _mark(first), before=a, after=b) for name, a, b, first in found]
    return sorted(moves, key=_by_size)


def _differing(
    before: CountedCell, after: CountedCell, counts: Callable[[CountedForward], Mapping[_K, int]]
) -> Iterator[tuple[_K, int, int, bool]]:
    """What differs in the second forward, then what differs otherwise in the first: key, before, after, in the first?

    A tower that remembers nothing does the same in both, which is not to be said twice.
    """
    warm = _unequal(counts(before.warm), counts(after.warm))
    cold = _unequal(counts(before.cold), counts(after.cold))
    yield from ((key, a, b, False) for key, (a, b) in warm.items())
    yield from ((key, a, b, True) for key, (a, b) in cold.items() if warm.get(key) != (a, b))


def _unequal(before: Mapping[_K, int], after: Mapping[_K, int]) -> dict[_K, tuple[int, int]]:
    pairs = {key: (before.get(key, 0), after.get(key, 0)) for key in (*before, *after)}
    return {key: (a, b) for key, (a, b) in pairs.items() if a != b}


def _stage(before: CountedForward, after: CountedForward, counter: str, direction: int) -> str:
    def gain(stage: str) -> int:
        here, there = (forward.stages.get(stage, {}).get(counter, 0) for forward in (before, after))
        return direction * (there - here)

    names = sorted(before.stages.keys() | after.stages.keys())
    found = max(names, key=gain, default="")
    return found if found and gain(found) > 0 else ""


def _lines(forward: CountedForward) -> Multiset[_Line]:
    found: Multiset[_Line] = Multiset()
    for line in forward.sites:
        found[_line(line.event, line.where)] += line.times
    return found


def _line(event: Event, where: Where) -> _Line:
    return event, where.file, where.source


def _numbers(cell: CountedCell) -> dict[_Line, int]:
    """The first number of each line; of lines without a file there is none."""
    found: dict[_Line, int] = {}
    for site in (*cell.cold.sites, *cell.warm.sites):
        if number := site.where.line:
            key = _line(site.event, site.where)
            found[key] = min(number, found.get(key, number))
    return found


def _mark(first: bool) -> str:
    return " (first forward)" if first else ""


def _by_size(move: Move) -> float:
    return -abs(move.after - move.before)
