"""What moved between two counts of one tower: counters with their stages, lines and operations."""

from collections import Counter as Multiset
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from vlbench.comparing.operation_advice import ATTENTION, operation_advice
from vlbench.judging.judged import Move
from vlbench.record.baseline import CountedCell, CountedForward
from vlbench.record.site import Event, Site, Where, outside_of_helpers

Advice = Mapping[tuple[Event, Where], str]
"""What removes a line, by its event."""

_READ_BACKS = ("read-back", "allowed read-back")
_UPLOADS = ("upload", "allowed upload")
_IMPLICIT = ("implicit upload", "allowed implicit upload")

COUNTERS: dict[str, tuple[str, ...]] = {
    "host_syncs": ("read-back", "upload", "implicit upload", "synchronize"),
    "allowed_syncs": ("allowed ",),
    "read_backs": _READ_BACKS,
    "pageable_uploads": _UPLOADS,
    "implicit_uploads": _IMPLICIT,
    "uploads": _UPLOADS,
    "attention_plans": ("attention plan",),
    "attention_calls": (),
    "device_operations": (),
    "read_back_bytes": _READ_BACKS,
    "upload_bytes": _UPLOADS,
    "implicit_upload_bytes": _IMPLICIT,
    "peak_live_bytes": (),
    "allocations": (),
    "allocated_bytes": (),
}
"""What is judged, the most important first, and how the names of lines begin that explain it. Less is better."""

_Place = tuple[str | None, str]
"""A line is known by its file and source, and not by its number: an edit above it moves it."""
_Line = tuple[str, str, _Place, _Place]
"""Kind of event, why it is allowed, the line that is named, and the line in a helper that does it: often the same."""
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
            advice=ATTENTION if self.adds_attention else "",
        )

    @property
    def adds_attention(self) -> bool:
        """Whether there are more attention calls."""
        return self.counter == "attention_calls" and self.after > self.before


def shifts(before: CountedCell, after: CountedCell) -> list[Shift]:
    """Every counter that differs, the most important first; then those that differ otherwise in the first forward."""
    found = []
    listed = before.warm.counters.keys()  # a counter newer than the file is not judged
    for counter, a, b, first in _differing(before, after, lambda each: _counters(each, listed)):
        old, new = (before.cold, after.cold) if first else (before.warm, after.warm)
        found.append(Shift(counter, a, b, first, _stage(old, new, counter, 1 if b > a else -1)))
    order = list(COUNTERS)
    return sorted(found, key=lambda each: (each.first, order.index(each.counter)))


def line_moves(before: CountedCell, after: CountedCell, advice: Advice) -> list[Move]:
    """Lines that appeared, vanished or run more or less often, the largest change first."""
    numbers = _numbers(before) | _numbers(after)
    named = _named(before, after)
    words: dict[tuple[str, _Place], str] = {(event, _place(where)): text for (event, where), text in advice.items()}
    moves = []
    for key, a, b, first in _differing(before, after, lambda forward: _lines(forward, named)):
        kind, allowed, (file, source), inner = key
        reason = f" ({allowed})" if allowed else ""
        through = "" if inner == (file, source) else f", through {inner[0]}:{numbers.get(inner)}: {inner[1]}"
        moves.append(
            Move(
                kind="line",
                name=f"{kind}{_mark(first)}{reason}: {source}{through}",
                before=a,
                after=b,
                file=file,
                line=numbers.get((file, source)),
                advice=words.get((kind, inner), "") if b > a else "",
            )
        )
    return sorted(moves, key=_by_size)


def operation_moves(before: CountedCell, after: CountedCell, *, advise: bool = False) -> list[Move]:
    """Device operations that are asked for more or less often, the largest change first.

    With advice if `advise`: where no wait and no attention call explains them.
    """
    moves = []
    for name, a, b, first in _differing(before, after, lambda forward: forward.operations):
        advice = "" if first or not advise else operation_advice(before, after, name)
        moves.append(Move(kind="operation", name=name + _mark(first), before=a, after=b, advice=advice))
    return sorted(moves, key=_by_size)


def _counters(forward: CountedForward, listed: Collection[str]) -> dict[str, int]:
    """Those that are `listed`. Who knew no allowed waits took them for any other: an added mark must not hide one."""
    found = {name: value for name, value in forward.counters.items() if name in listed}
    if "allowed_syncs" not in listed:
        found["host_syncs"] += forward.counters.get("allowed_syncs", 0)
    return found


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


def _lines(forward: CountedForward, named: Mapping[tuple[_Place, ...], _Place]) -> Multiset[_Line]:
    found: Multiset[_Line] = Multiset()
    for site in forward.sites:
        chain = _chain(site)
        found[site.kind, site.allowed, named.get(chain, chain[0]), chain[0]] += site.times
    return found


def _named(*cells: CountedCell) -> dict[tuple[_Place, ...], _Place]:
    """By line and callers, the line that is named: the nearest outside of helpers that either side shares.

    Where one side did not keep the callers of a line, both sides are told by that line.
    """
    chains = {_chain(site) for cell in cells for site in (*cell.cold.sites, *cell.warm.sites)}
    alone = {chain[0] for chain in chains if len(chain) == 1}
    return outside_of_helpers(chain for chain in chains if chain[0] not in alone)


def _chain(site: Site) -> tuple[_Place, ...]:
    return tuple(map(_place, (site.where, *site.callers)))


def _place(where: Where) -> _Place:
    return where.file, where.source


def _numbers(cell: CountedCell) -> dict[_Place, int]:
    """The first number of each line; of lines without a file there is none."""
    found: dict[_Place, int] = {}
    for site in (*cell.cold.sites, *cell.warm.sites):
        for where in (site.where, *site.callers):
            if where.line:
                found[_place(where)] = min(where.line, found.get(_place(where), where.line))
    return found


def _mark(first: bool) -> str:
    return " (first forward)" if first else ""


def is_first(move: Move) -> bool:
    """Is it of the first forward alone?"""
    return _mark(True) in move.name.split(":", 1)[0]


def _by_size(move: Move) -> float:
    return -abs(move.after - move.before)
