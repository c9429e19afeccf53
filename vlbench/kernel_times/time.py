"""What a table answers: a time with its band, and the rows that it rests on."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple


class Row(NamedTuple):
    """A measured row."""

    engine: str
    """Which engine ran the kernel, with its version."""
    names: tuple[str, ...]
    """Of its sizes."""
    values: tuple[int, ...]
    us: float
    """As it was measured."""

    @property
    def sizes(self) -> tuple[tuple[str, int], ...]:
        """By name, such as ("m", 1024)."""
        return tuple(zip(self.names, self.values, strict=True))

    def __str__(self) -> str:
        return f"{self.engine} {' '.join(f'{name}={size}' for name, size in self.sizes)}: {self.us:.1f} us"


@dataclass(frozen=True, slots=True)
class Time:
    """A time on a board, in microseconds."""

    us: float
    low: float
    """The band: errors of rows that were held out (their middle 80 %), and what engines differ by."""
    high: float
    rows: tuple[Row, ...]
    """The nearest rows, of every engine that was asked; none where the time follows from bytes."""
    source: str
    """Where it comes from, and what there is to say about it, in words."""
    beyond: float = 1.0
    """How many times the work of the nearest row; 1 inside the table."""


def total(times: Iterable[tuple[Time, int]], source: str) -> Time:
    """The sum of these, each so many times; bands add up, as what is wrong with a table is wrong of each call."""
    kept = list(times)
    us, low, high = (sum(getattr(time, part) * count for time, count in kept) for part in ("us", "low", "high"))
    return Time(us, low, high, (), source, max((time.beyond for time, _ in kept), default=1.0))
