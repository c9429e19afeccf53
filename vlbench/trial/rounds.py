"""Rounds: every variant once, in an order drawn afresh, with several instances of the reference tower among them.

Times of one round, or next to each other in it, are compared: whatever slows the machine for a while slows both.
Outputs of timed calls lie in a store until all of the round were called, so that nothing can be copied; then they are
compared with the reference tower's. Each round has contents of its own, so that nothing can be replayed.
"""

import gc
import math
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass, field
from functools import partial
from statistics import median
from typing import Any

from vlbench.implementations.output import OutputError, Parts
from vlbench.implementations.stage import stage
from vlbench.record.schema import State
from vlbench.stats.paired import fewest_rounds, paired_ratio, precise_enough
from vlbench.trial.clock import BehindClock, Clock
from vlbench.trial.difference import beyond
from vlbench.trial.job import Round
from vlbench.trial.store import Here, Store, Taken
from vlbench.trial.subject import Inputs, Subject

WARM_UP_CALLS = 20
FEWEST_WARM_UPS = 6
WARM_UP_SECONDS = 1.0
"""Enough where calls are slow: each tower was called many times in its check."""
SETTLED = 0.05
LOOK_EVERY = 16
"""Rounds between two looks at whether the intervals are narrow enough."""
HIDDEN = "much more time passes than its stream shows: it works elsewhere, or later"
"""What is struck that hides its work in most of its calls."""


@dataclass(frozen=True)
class Entrant:
    """A subject in the rounds."""

    name: str
    subject: Subject
    allowed: Mapping[str, float]
    """By part: largest relative error to the reference tower's output of the same round; 0 asks for equal bits."""


def warm_up(subject: Subject, entry: Any, clock: Clock, enough: float = math.inf) -> float:
    """Call until the median of the last three is not 5 % below that of the three before, or for `enough` seconds.

    Returns that median: what a warm call takes. What is not warm yet gets faster; times that grow are the machine's,
    and would not settle however long one waits.
    """
    times: list[float] = []
    for _ in range(WARM_UP_CALLS):
        times.append(clock(partial(subject.run, entry)).seconds)
        if len(times) >= FEWEST_WARM_UPS and median(times[-3:]) > (1 - SETTLED) * median(times[-6:-3]):
            break
        if sum(times) >= enough:
            break
    return median(times[-3:])


def instances_for(variants: int) -> int:
    """How many instances of the reference tower share a round of so many variants: odd, near the root of the others.

    All ratios of a round share its reference. With m instances a ratio varies as 1 + 1/m, and a round lasts for as many
    calls as there are others, and m: the product of both is least at the root. Each is a tower of its own that shares
    the weights and is called once a round, as its rivals are: one tower called seven times is warmer than they, and was
    1 % faster than its own copies where a forward takes 2 ms. Three are the fewest of which one can be told to be odd;
    of identical programs 2 of 186 were called with three, 1 of 162 with seven, 7 of 198 with one (first votes).
    """
    return max(3, 1 + 2 * round((math.sqrt(variants - 1) - 1) / 2)) if variants > 1 else 1


def round_numbers(
    seconds: float,
    until: float,
    precise: Callable[[], bool],
    *,
    confidence: float,
    now: Callable[[], float] = time.monotonic,
) -> Iterator[int]:
    """The numbers of rounds to run: for `seconds`, or until they are `precise`, but as many as an interval takes.

    By `until` it is over all the same: no round begins that would take longer than there is left.
    """
    end, number, took, fewest = now() + seconds, 0, 0.0, fewest_rounds(confidence)
    while number < fewest or (now() < end and not (number % LOOK_EVERY == 0 and precise())):
        if (start := now()) + took >= until:
            return
        yield number
        number, took = number + 1, now() - start


def is_narrow(times: Sequence[float], base: Sequence[float], confidence: float) -> bool:
    """Do further rounds add nothing to the ratio of these times, both in seconds by round?"""
    return precise_enough(paired_ratio(times, base, confidence=confidence), confidence=confidence)


def raised_in_round(failure: Exception) -> str:
    """What a tower that raised is struck for."""
    return f"raised {type(failure).__name__} in a timed round"


@dataclass
class Rounds:
    """The rounds of one trial, in one or several states of the caches."""

    entrants: list[Entrant]
    """The first is the reference tower."""
    inputs: Inputs
    clocks: Mapping[State, Clock]
    _: KW_ONLY
    store: Store = field(default_factory=Here)
    """Where outputs lie until all of a round were called."""
    instances: Sequence[Entrant] = ()
    """Further instances of the reference tower, each called once a round as its rivals are."""
    confidence: float = 0.95
    """Of the intervals: the more rows share one, the surer each must be."""
    seed: int
    mark: Callable[[str], None]
    """Told who is called next, in case it never returns."""
    throttled_by: Callable[[], tuple[str, ...]] = tuple
    """Called after each round: why the clock of the GPU is held back."""
    count: Callable[[], None] = lambda: None
    """Told of every timed call, which is the stage `iteration`."""
    synchronize: Callable[[], None] = lambda: None
    """Waits for the device after an exception; raises where the device is lost to all that come after."""

    def __post_init__(self) -> None:
        self.draw = random.Random(self.seed)
        self.struck: dict[str, str] = {}
        """Entrants that were caught, and at what."""
        self.bait: Parts = {}
        """The reference tower's output of the last round. It is left here on purpose: a tower that copies it returns
        the wrong round's output, and is struck."""
        self._hidden: Counter[str] = Counter()
        self._calls: Counter[str] = Counter()
        self._seconds: dict[tuple[State, str], list[float]] = {}

    def run(
        self, seconds: float, now: Callable[[], float] = time.monotonic, until: float = math.inf
    ) -> Iterator[Round]:
        """Rounds for as long as `round_numbers` says, until each interval is narrow enough."""
        for number in round_numbers(seconds, until, self._precise, confidence=self.confidence, now=now):
            for state, clock in self.clocks.items():
                yield self._round(number, state, clock)
        for entrant in self.entrants:
            if 2 * self._hidden[entrant.name] > self._calls[entrant.name]:
                self._strike(entrant, HIDDEN)

    def _round(self, number: int, state: State, clock: Clock) -> Round:
        entry = self._entry(number, state)
        order = [each for each in (*self.entrants, *self.instances) if each.name not in self.struck]
        self.draw.shuffle(order)
        seconds: dict[str, float] = {}
        host, plans = dict[str, float](), dict[str, float]()
        looked_up, outputs, called = {}, {}, []
        for entrant in order:
            caches = entrant.subject.caches
            if state == "cold":
                for cache in caches:
                    cache.clear()
            before = [(cache.hits, cache.misses) for cache in caches]
            self.mark(self.entrants[0].name if entrant in self.instances else entrant.name)
            own = entrant.subject.prepare(self.inputs.fresh(entry))
            self.count()
            try:
                with stage("iteration"):  # around the clock, so that marking it is in no time
                    reading = clock(partial(entrant.subject.run, own))
            except OutputError as failure:
                self._strike(entrant, failure.timed)
                continue
            except Exception as failure:
                self.synchronize()
                self._strike(entrant, raised_in_round(failure))
                continue
            outputs[entrant.name] = self.store.put(reading.output)
            self._hidden[entrant.name] += reading.hidden
            self._calls[entrant.name] += 1
            called.append(entrant.name)
            seconds[entrant.name] = reading.seconds / self.inputs.calls
            if (planned := getattr(own, "plan_seconds", None)) is not None:
                plans[entrant.name] = planned
            if reading.host_seconds is not None:
                host[entrant.name] = reading.host_seconds / self.inputs.calls
            if caches:
                hits = [cache.hits - old for cache, (old, _) in zip(caches, before, strict=True)]
                misses = [cache.misses - old for cache, (_, old) in zip(caches, before, strict=True)]
                looked_up[entrant.name] = (sum(hits), sum(misses))
                if state == "cold" and any(hit and not miss for hit, miss in zip(hits, misses, strict=True)):
                    self._strike(entrant, "a cache of it was warm although it had just been emptied")
        self._compare(outputs)
        first, *others = self.entrants
        same = {each.name: seconds[each.name] for each in (first, *self.instances) if each.name in seconds}
        times = {first.name: median(same.values())}
        times |= {each.name: seconds[each.name] for each in others if each.name in seconds}
        for name, value in times.items():
            self._seconds.setdefault((state, name), []).append(value)
        return Round(
            number=number,
            state=state,
            seconds=times,
            order=tuple(called),
            instances=same if len(same) > 1 else {},
            host_seconds=host,
            plan_seconds=plans,
            looked_up=looked_up,
            throttled=self.throttled_by(),
            queue_seconds=clock.queue_seconds if isinstance(clock, BehindClock) else None,
        )

    def _entry(self, number: int, state: State) -> Any:
        if state == "churn" and self.inputs.churning:
            return self.inputs.churning(number)
        if self.inputs.novel:  # not what another state of this round was fed either
            return self.inputs.novel(number * len(self.clocks) + list(self.clocks).index(state))
        return self.inputs.rotating[number % len(self.inputs.rotating)]

    def _compare(self, outputs: Mapping[str, Taken]) -> None:
        """Strike whoever's timed output is not the reference tower's, which may not be struck itself."""
        first = self.entrants[0].name
        self._check_reference()
        self.bait = wanted = outputs[first]()
        for entrant in (*self.entrants[1:], *self.instances):
            if entrant.name not in outputs:
                continue
            if wrong := beyond(entrant.allowed, outputs[entrant.name](), wanted, entrant.subject.put_back):
                self._strike(entrant, f"{wrong[0]} of a timed round is wrong: replayed, late, or a stale cache")
        self._check_reference()

    def _check_reference(self) -> None:
        """RuntimeError where the reference tower, or another instance of it, was caught."""
        for each in (self.entrants[0], *self.instances):
            if reason := self.struck.get(each.name):
                self.mark(self.entrants[0].name)
                raise RuntimeError(f"the reference tower failed in a timed round: {reason}")

    def _strike(self, entrant: Entrant, reason: str) -> None:
        self.struck[entrant.name] = reason

    def _precise(self) -> bool:
        first = self.entrants[0].name
        for (state, name), times in self._seconds.items():
            base = self._seconds[state, first]
            if name != first and name not in self.struck and not is_narrow(times, base, self.confidence):
                return False
        return True


@contextmanager
def without_collector() -> Iterator[None]:
    """No garbage collection inside: it would strike one variant with what all have left behind."""
    gc.collect()
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
