"""A variant as the rounds see it: something to call, caches to empty and count, and nothing else."""

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from vlbench.implementations.output import Parts
from vlbench.trial.accuracy import Judge
from vlbench.trial.clock import cycles_per_second, occupy
from vlbench.trial.difference import PutBack
from vlbench.trial.job import Checked, Prepared, VariantJob


class Cache(Protocol):
    """What the rounds need of a variant's cache."""

    hits: int
    misses: int

    def clear(self) -> None:
        """Forget all of it; hits and misses go on."""


@dataclass(frozen=True)
class Subject:
    """A variant that passed its check."""

    run: Callable[[Any], Parts]
    """Takes one of the bench's inputs, and unpacks what comes out. Raises OutputError."""
    caches: Sequence[Cache] = ()
    prepare: Callable[[Any], Any] = lambda entry: entry
    """What is done with an input before a call, outside of its time: grids go where the tower takes them."""
    put_back: PutBack | None = None
    """Of one that leaves tokens out: how its output is made whole before it is compared."""
    warm_seconds: float | None = None
    """Of a warm call, where one was timed: about how long the others will take."""


@dataclass(frozen=True)
class Inputs:
    """What is fed in, by state. No round sees the bytes of another, so that no variant wins by knowing them."""

    rotating: Sequence[Any]
    """Different contents, the same grids; the first is for warming up. They take turns where `novel` is None."""
    churning: Callable[[int], Any] | None = None
    """The input of a round, with grids drawn afresh; None where grids mean nothing."""
    novel: Callable[[int], Any] | None = None
    """The input by number: the same grids, contents that no other number has."""
    calls: int = 1
    """How often `run` does its work on one input: a reading's time is divided by it."""
    fresh: Callable[[Any], Any] = copy.deepcopy
    """Made of the input before each call, outside of its time: whoever writes into it, or remembers its address, gains
    nothing."""


class Bench(Protocol):
    """What a trial measures: all variants of a tower, or all ways of a seam."""

    description: str
    grids: tuple[tuple[int, int, int], ...]
    fed: str
    weights_digest: str
    """Digests of what is fed in, and of the reference's weights."""

    @property
    def inputs(self) -> Inputs:
        """What is fed in."""

    @property
    def judge(self) -> Judge:
        """Holds outputs against the reference tower's."""

    def check(self, variant: VariantJob) -> tuple[Checked, Subject | None]:
        """A variant's accuracy; something to time if it passed."""

    def another(self, variant: VariantJob) -> Subject:
        """A further instance of a variant that passed: built anew, with the same weights, and called once."""

    def allowed(self, exactness: str) -> Mapping[str, float]:
        """Largest relative error of each part of a timed output to the reference tower's in the same round; 0: equal
        bits."""


def prepared(bench: Bench) -> Prepared:
    """What is said of a bench that is built."""
    digests = {"fed_digest": bench.fed, "weights_digest": bench.weights_digest}
    return Prepared(batch=bench.description, grids=tuple(bench.grids), **digests)


def slowed(run: Callable[[Any], Parts], variant: VariantJob) -> Callable[[Any], Parts]:
    """`run`, with each call taking as much longer as the variant asks; itself for 0."""
    if not variant.slow_down:
        return run
    return SlowedOnStream(run, variant.slow_down) if variant.slowed_on == "stream" else _slowed(run, variant.slow_down)


def _slowed(run: Callable[[Any], Parts], share: float) -> Callable[[Any], Parts]:
    def run_slower(entry: Any) -> Parts:
        start = time.perf_counter()
        output = run(entry)
        until = start + (time.perf_counter() - start) * (1 + share)
        while time.perf_counter() < until:
            pass
        return output

    return run_slower


class SlowedOnStream:
    """Slower on the GPU: its stream is kept busy behind each call, which a host that runs ahead could not do."""

    def __init__(self, run: Callable[[Any], Parts], share: float) -> None:
        """Nothing is slowed before it is calibrated."""
        self.run, self.share = run, share
        self._pause = 0.0

    def calibrate(self, span: float) -> None:
        """To the seconds that a warm call of it takes."""
        self._pause = self.share * span
        cycles_per_second()  # before anything counts

    def __call__(self, entry: Any) -> Parts:
        output = self.run(entry)
        if self._pause:
            occupy(self._pause)
        return output
