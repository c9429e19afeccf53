"""A variant as the rounds see it: something to call, caches to empty and count, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor

from vlbench.record.schema import Counts
from vlbench.trial.job import Checked, VariantJob


class Cache(Protocol):
    """What the rounds need of a variant's cache."""

    hits: int
    misses: int

    def clear(self) -> None: ...


@dataclass(frozen=True)
class Subject:
    """A variant that passed its check."""

    run: Callable[[Any], Tensor]
    """Takes one of the bench's inputs."""
    caches: Sequence[Cache] = ()
    counts: Counts | None = None
    first_seconds: float | None = None


@dataclass(frozen=True)
class Inputs:
    """What is fed in, by state. No round sees the bytes of another, so that no variant wins by knowing them."""

    rotating: Sequence[Any]
    """Different contents, the same grids; the first is for warming up. They take turns where `fresh` is None."""
    churning: Callable[[int], Any] | None = field(default=None)
    """The input of a round, with grids drawn afresh; None where grids mean nothing."""
    fresh: Callable[[int], Any] | None = field(default=None)
    """The input by number: the same grids, contents that no other number has."""


class Bench(Protocol):
    """What a trial measures: all variants of a tower, or all ways of a seam."""

    description: str
    grids: tuple[tuple[int, int, int], ...]
    inputs: Inputs

    def check(self, variant: VariantJob) -> tuple[Checked, Subject | None]:
        """A variant's accuracy; something to time if it passed."""

    def allowed(self, exactness: str) -> float:
        """Largest relative error of a timed output to the yardstick's in the same round; 0 asks for equal bits."""
