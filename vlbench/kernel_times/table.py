"""Times between measured ones: straight lines between logarithms, along all sizes, and never falling with the steps."""

import math
import re
from bisect import bisect_left
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import NamedTuple

from vlbench.errors import UsageError
from vlbench.kernel_times.stored import SIZES, TimeTable
from vlbench.kernel_times.time import Row

MOST_BEYOND = {"batch": 64.0}
"""By size: times the work of its last row that a table answers for. A batch of 64 fills a GPU, and so do more."""
ELSE_BEYOND = 4.0
BLOCKS = {"2": 128, "3": 192, "4": 256}
"""Queries that a multiprocessor works on as one, by the generation of flash attention, for heads of up to 96: `kBlockM`
of 2 and 3 (hopper/tile_size.h), and two tiles of 128 of 4 (cute/flash_fwd_sm100.py)."""
TORCHS_BLOCK = BLOCKS["2"]
"""Torch's own is flash attention 2, which shares out the keys as well where sequences are few (`num_splits`)."""


class NotInTablesError(UsageError):
    """Nothing was measured near what is asked: the message says what, and of which board."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one engine's table says."""

    log_us: float
    rows: tuple[Row, ...]
    between: tuple[str, ...]
    """The sizes that no row has."""
    beyond: float
    """Times the work of the last row."""
    residual: float
    """Largest log of what was measured over what stands for it, so that times never fall."""


def generation(kernel: str) -> str:
    """Of flash attention, such as "3"; the kernel's own name where it is none."""
    found = re.search(r"flash_att\w*?_(?:fa|v)(\d)", kernel)
    return found[1] if found else kernel


def monotone(values: Sequence[float]) -> list[float]:
    """The nearest values that never fall: neighbours that do are replaced by their mean (pool adjacent violators)."""
    pools: list[tuple[float, int]] = []
    for value in values:
        pool = (value, 1)
        while pools and pools[-1][0] > pool[0]:
            mean, count = pools.pop()
            pool = ((mean * count + pool[0] * pool[1]) / (count + pool[1]), count + pool[1])
        pools.append(pool)
    return [mean for mean, count in pools for _ in range(count)]


@dataclass(frozen=True, slots=True)
class Curve:
    """The times of one pair, along the steps that were measured."""

    steps: tuple[int, ...]
    us: tuple[float, ...]
    logs: tuple[float, ...]
    """Monotone."""
    off: tuple[float, ...]
    """How far each of these is from what was measured."""

    @classmethod
    def of(cls, points: Collection[tuple[int, float]]) -> "Curve":
        """Through these steps and times."""
        steps, us = zip(*points, strict=True)
        logs = [math.log(each) for each in us]
        kept = monotone(logs)
        return cls(steps, us, tuple(kept), tuple(abs(one - other) for one, other in zip(logs, kept, strict=True)))


class Corner(NamedTuple):
    """A pair that was measured, beside one that was not, and how much it says of that."""

    weight: float
    pair: tuple[int, int]
    curve: Curve


Ends = tuple[tuple[int, float], ...]
"""The places on an axis that stand for a size, with their weights, which add up to 1."""


def ends(axis: Sequence[int], size: int, hidden: bool = False) -> tuple[Ends, float]:
    """Where a size lies on a sorted axis, and how many times the last it is, where it is larger; 1 where it is not.

    With `hidden`, as if the size itself were not there. Raises LookupError below the first.
    """
    at = bisect_left(axis, size)
    after = at + (at < len(axis) and axis[at] == size)
    if after > at and not hidden:
        return ((at, 1.0),), 1.0
    if at == 0:
        raise LookupError
    if after == len(axis):
        return ((at - 1, 1.0),), size / axis[at - 1]
    share = math.log(size / axis[at - 1]) / math.log(axis[after] / axis[at - 1])
    return ((at - 1, 1 - share), (after, share)), 1.0


class Table:
    """The rows of one kernel by one engine."""

    def __init__(self, stored: TimeTable, sms: int | None = None) -> None:
        """Curves are made when they are first asked for. `sms`: multiprocessors that share out attention's blocks."""
        self.stored = stored
        self.sms = sms if stored.what == "attention" else None
        self.shares_keys = generation(stored.kernel) not in BLOCKS
        self.block = TORCHS_BLOCK if self.shares_keys else BLOCKS[generation(stored.kernel)]
        self.names = SIZES[stored.what]
        self.axes = tuple(sorted({pair[place] for pair in stored.pairs}) for place in (0, 1))
        self.rows = dict(zip(stored.pairs, stored.us, strict=True))
        self._curves: dict[tuple[int, int], Curve] = {}

    def measured(self, pair: tuple[int, int], step: int) -> float | None:
        """The time of a row; None where there is none."""
        row = self.rows.get(pair, ())
        at = bisect_left(self.stored.steps, step)
        return row[at] if row and at < len(row) and self.stored.steps[at] == step else None

    def at(self, first: int, second: int, step: int, hidden: Collection[str] = ()) -> Reading:
        """The time at a pair and a step; with `hidden`, as if none of these sizes of its own were in the table.

        Raises LookupError below its first row, and too far beyond its last.
        """
        axes, names = self.axes, self.names
        (one, over_one), (two, over_two) = (
            ends(axes[0], first, names[0] in hidden),
            ends(axes[1], second, names[1] in hidden),
        )
        left = step if names[2] in hidden else None
        power = 2 if self.stored.what == "attention" else 1
        log_us, residual, beyond, rows, between_steps = 0.0, 0.0, 1.0, [], False
        steps: tuple[int, ...] = ()
        corners: list[Corner] = []
        for (i, share), (j, other) in product(one, two):
            pair = axes[0][i], axes[1][j]
            curve = self._curve(pair, left)
            if curve.steps is not steps:
                steps = curve.steps
                found, over = ends(steps, step)
                beyond = max(beyond, over**power)
                between_steps = between_steps or len(found) > 1
            log_us += share * other * self._along(curve, found, pair, step)
            corners.append(Corner(share * other, pair, curve))
            for at, _ in found:
                residual = max(residual, curve.off[at])
                rows.append(Row(self.stored.engine, names, (*pair, steps[at]), curve.us[at]))
        if self.sms is not None and len(corners) > 1 and not self.shares_keys:
            curve = self._between((first, second), corners)
            found, over = ends(curve.steps, step)
            beyond = max(beyond, over**power)
            log_us = self._along(curve, found, (first, second), step)
            residual = max(residual, *(curve.off[at] for at, _ in found))
        for name, over in zip(names, (over_one, over_two, beyond), strict=True):
            if over > MOST_BEYOND.get(name, ELSE_BEYOND):
                raise LookupError
        beyond *= over_one * over_two
        crossed = (len(one) > 1, len(two) > 1, between_steps)
        between = tuple(name for name, there in zip(names, crossed, strict=True) if there)
        return Reading(log_us + math.log(beyond), tuple(rows), between, beyond, residual)

    def _between(self, pair: tuple[int, int], corners: Sequence[Corner]) -> Curve:
        """The curve of a pair that no row has: what a wave takes between the corners, in the waves of its own."""
        steps = [step for step in corners[0].curve.steps if all(step in each.curve.steps for each in corners)]
        points = []
        for step in steps:
            log_us = math.log(self._waves(pair, step))
            for weight, other, curve in corners:
                measured = curve.logs[bisect_left(curve.steps, step)]
                log_us += weight * (measured - math.log(self._waves(other, step)))
            points.append((step, math.exp(log_us)))
        if not points:
            raise LookupError
        return Curve.of(points)

    def _along(self, curve: Curve, found: Ends, pair: tuple[int, int], step: int) -> float:
        """Log of the time at a step: a line between rows, of attention in waves of blocks one between times of a wave.

        Where the longer row takes less for a wave, it is the end of a curve by the shorter one's, as times never fall.
        """
        line = sum(weight * curve.logs[at] for at, weight in found)
        if self.sms is None or len(found) == 1:
            return line
        low, here, high = (
            math.log(self._waves(pair, each)) for each in (curve.steps[found[0][0]], step, curve.steps[found[1][0]])
        )
        (first, share), (last, other) = found
        if curve.logs[last] - high < curve.logs[first] - low:
            return min(curve.logs[last], curve.logs[first] + here - low)
        return line + here - share * low - other * high

    def _waves(self, pair: tuple[int, int], length: int) -> int:
        """How often all multiprocessors have a block of queries, the last time perhaps not all."""
        heads, batch = pair
        return -(-heads * batch * -(-length // self.block) // (self.sms or 1))

    def _curve(self, pair: tuple[int, int], left: int | None) -> Curve:
        if left is None and pair in self._curves:
            return self._curves[pair]
        points = [
            (step, us)
            for step, us in zip(self.stored.steps, self.rows.get(pair, ()), strict=False)
            if us is not None and step != left
        ]
        if not points:
            raise LookupError
        curve = Curve.of(points)
        if len(points) == len(self.stored.steps):  # one object for all of them, so that a step is found once
            curve = replace(curve, steps=self.stored.steps)
        if left is None:
            self._curves[pair] = curve
        return curve
