"""A listener that takes a reading at every border of a stage; what changed between two is charged to the stage.

A reading is whatever only grows: a time, a recorded CUDA event, a number of operations so far. Nothing is worked out
while stages run: entering or leaving one costs the reading and an append.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import astuple, dataclass
from statistics import median
from typing import Generic, TypeVar

Reading = TypeVar("Reading")

_BLOCK = re.compile(r"^block\[\d+\]\.")


def without_block(name: str) -> str:
    """`block[3].mlp` is `mlp`: the blocks' stages are added up."""
    return _BLOCK.sub("", name)


@dataclass(frozen=True)
class Charge:
    """What one stage was charged."""

    visits: float
    own: float
    """Without the stages inside it: over all stages, these add up to what `forward` has in total."""
    total: float
    """With them. A stage inside one of the same name is not counted twice."""


class Tally(Generic[Reading]):
    """Readings at the borders, in order."""

    def __init__(self, read: Callable[[], Reading]) -> None:
        self._read = read
        self._borders: list[tuple[str | None, Reading]] = []

    def enter(self, name: str) -> None:
        """A stage begins."""
        self._borders.append((name, self._read()))

    def exit(self, name: str) -> None:
        """The innermost stage ends."""
        self._borders.append((None, self._read()))

    def charges(
        self, between: Callable[[Reading, Reading], float], name_of: Callable[[str], str] = without_block
    ) -> dict[str, Charge]:
        """What each stage was charged, in order of first entry; `between` is what two readings differ by."""
        visits: dict[str, int] = defaultdict(int)
        own: dict[str, float] = defaultdict(float)
        total: dict[str, float] = defaultdict(float)
        opened: list[tuple[str, Reading]] = []
        last: Reading | None = None
        for entered, reading in self._borders:
            if opened and last is not None:
                own[opened[-1][0]] += between(last, reading)
            last = reading
            if entered is None:
                name, since = opened.pop()
                if all(name != outer for outer, _ in opened):
                    total[name] += between(since, reading)
                continue
            name = name_of(entered)
            visits[name] += 1
            opened.append((name, reading))
        return {name: Charge(visits[name], own[name], total[name]) for name in visits}


def typical(runs: Iterable[Mapping[str, Charge]]) -> dict[str, Charge]:
    """The medians of several runs, stage by stage; one that a run did without counts as nothing there."""
    runs = list(runs)
    absent = Charge(0, 0.0, 0.0)
    result = {}
    for name in dict.fromkeys(name for run in runs for name in run):
        found = [astuple(run.get(name, absent)) for run in runs]
        result[name] = Charge(*map(median, zip(*found, strict=True)))
    return result
