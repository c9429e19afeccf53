"""The results file: one versioned, typed schema in which a timing without a passed accuracy check cannot be written.

Raw samples are kept, per trial; everything that is shown is worked out from them.
"""

from collections import Counter
from datetime import datetime
from typing import Annotated, Literal, Self, get_args

from pydantic import AliasChoices, Field, model_validator

from vlbench.record.base import Record
from vlbench.record.fingerprint import Fingerprint
from vlbench.record.machine_card import MachineCard

SCHEMA_VERSION: Literal[2] = 2

Device = Literal["cpu", "cuda"]
Dtype = Literal["float32", "bfloat16", "float16"]


class Token(Record):
    """One output token, by where it comes from."""

    item: int
    """Which image or video of the batch, from 0; of a tower of images, which image."""
    frame: int
    """Which temporal slice of it, from 0."""
    row: int
    """Row of the merged cell; 0 for a tower of images."""
    column: int
    """Column of the merged cell; of a tower of images, which token of the image."""
    error: float
    """L2 error of this token, relative to the root mean square of all tokens."""


class Accuracy(Record):
    """How far a variant is from the reference tower, and whether that is allowed."""

    passed: bool
    exactness: str
    """The class that the variant claims."""
    fp32_error: float | None
    """Relative L2 error in fp32; None where it could not run."""
    fp32_limit: float
    """What its class allows in fp32; 0 asks for equal bits."""
    timed_error: float | None = None
    """Relative L2 error in the timed dtype, if not fp32."""
    timed_limit: float | None = None
    """What is allowed there: 1.5 x the reference tower's own."""
    part: str | None = None
    """Which part of the output is the furthest off, where it has several."""
    worst_token: Token | None = None
    """The output token furthest off in fp32."""
    reason: str | None = None
    """Why it failed, in one sentence."""


class Counts(Record):
    """What one warm forward asks of torch."""

    aten_operations: int = Field(  # schema 1 had the shorter name
        validation_alias=AliasChoices("aten_operations", "operations")
    )
    """aten operations that compute or copy; views and bare allocations not counted."""
    attention_calls: int
    """Calls of scaled_dot_product_attention."""


Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
State = Literal["warm", "cold", "churn", "behind"]


class Timing(Record):
    """One variant in one state of the caches, in the rounds of one trial."""

    seconds: tuple[Seconds, ...] = Field(min_length=1)
    """Time of one call, one entry per round; of the reference tower the median over its instances."""
    calls: tuple[tuple[Seconds, ...], ...] = ()
    """Of the reference tower: each instance's call of each round. In older files one instance was called several times,
    and these are its calls as they were made.
    """
    host_seconds: tuple[Seconds, ...] = ()
    """CUDA: time until the call gave the host back, one entry per round."""
    hit_rate: float | None = None
    """Share of cache look-ups that hit; None without caches."""

    @model_validator(mode="after")
    def _calls_are_of_its_rounds(self) -> Self:
        if len(self.calls) not in (0, len(self.seconds)):
            raise ValueError("the calls are of another number of rounds than the times")
        return self

    @property
    def every_call(self) -> tuple[tuple[Seconds, ...], ...]:
        """The calls of each round."""
        return self.calls or tuple((seconds,) for seconds in self.seconds)


class VariantTrial(Record):
    """What one trial found of one variant."""

    name: str
    accuracy: Accuracy | None = None
    counts: Counts | None = None
    stages: dict[str, float] = Field(default_factory=dict)
    """Median self time per stage in seconds, from extra rounds; blocks added up."""
    first_seconds: float | None = None
    """Time of the very first call on the timed batch."""
    busy_seconds: float | None = None
    """CUDA: time the GPU was busy in one call (profiler)."""
    timings: dict[State, Timing] = Field(default_factory=dict)
    not_measured: str | None = None
    """Why there are no times."""
    left: bool = False
    """True where only time was lacking: a run that goes on measures it."""

    @model_validator(mode="after")
    def _no_time_without_accuracy(self) -> Self:
        if self.timings and not (self.accuracy and self.accuracy.passed):
            raise ValueError(f"{self.name!r} has times but no passed accuracy check")
        if not self.timings and self.not_measured is None:
            raise ValueError(f"{self.name!r} has neither times nor a reason why not")
        return self


class Trial(Record):
    """One process that ran rounds over a cell group."""

    number: int
    confirms: bool = False
    """Was it run again, over suspects alone, only to confirm?"""
    seed: int
    batch: str
    """What was fed in, in words."""
    grids: tuple[tuple[int, int, int], ...]
    """Frames, rows and columns of every item, in patches."""
    variants: tuple[VariantTrial, ...]
    order: dict[State, tuple[tuple[int, ...], ...]] = Field(default_factory=dict)
    """For each round, which of the variants was called when, by their places in the list; those that have no times are
    left out. Places beyond the list are the second instance of the reference tower, its third, and so on.
    """
    throttled_rounds: tuple[int, ...] = ()
    """CUDA: rounds in which the clock was held back."""

    @model_validator(mode="after")
    def _rounds_are_shared(self) -> Self:
        for state in get_args(State):
            rounds = {len(variant.timings[state].seconds) for variant in self.variants if state in variant.timings}
            if len(rounds) > 1:
                raise ValueError(f"the variants of a trial do not share their {state} rounds")
        return self

    @model_validator(mode="after")
    def _order_holds_every_call(self) -> Self:
        for state, order in self.order.items():
            timings = {place: variant.timings.get(state) for place, variant in enumerate(self.variants)}
            calls = {place: timing.every_call for place, timing in timings.items() if timing}
            made = [dict(zip(calls, map(len, one), strict=True)) for one in zip(*calls.values(), strict=True)]
            if len(instances := self.instances(state)) > 1:
                made = [one | dict.fromkeys(instances, 1) for one in made if one.get(0) == len(instances)]
            if [Counter(places) for places in order] != made:
                raise ValueError(f"the order of the {state} readings does not hold each of their calls once")
        return self

    def instances(self, state: State) -> tuple[int, ...]:
        """Places in `order` that are the reference tower; one where it had no instances beside it."""
        last = max((place for places in self.order.get(state, ()) for place in places), default=0)
        return (0, *range(len(self.variants), last + 1))

    def find(self, name: str) -> VariantTrial | None:
        return next((variant for variant in self.variants if variant.name == name), None)


NO_FLAGS = "no-flags"
"""The row of the optimized tower without any flag, which single flags are held against."""


class Row(Record):
    """A variant of a cell group."""

    name: str
    flags: tuple[str, ...] | None
    """The flags that are on; None for the reference tower."""
    exactness: str
    reference: str = "baseline"
    """The variant that its ratio is taken to."""
    tower: str | None = None
    """Whose tower it is, with its version; None for vlbench's own."""
    left_out: dict[str, str] = Field(default_factory=dict)
    """Flags that do not apply here, and why."""
    slow_down: float = 0.0
    """Injected by the self-test: each call takes this share longer."""

    @property
    def is_yardstick(self) -> bool:
        """Is it what all is compared with? The self-test's copies of it have no flags either, and are not."""
        return self.flags is None and self.name == self.reference


class CellGroup(Record):
    """All variants of one scenario point, model, dtype and device, timed against each other in the same rounds."""

    scenario: str
    point: str
    """Which point of the scenario's sweep; empty without a sweep."""
    model: str
    dtype: Dtype
    device: Device
    why_scaled: str | None = None
    """Why the scenario is smaller here than on a GPU."""
    weights: str
    """'random', or the checkpoint folder."""
    images: tuple[str, ...] = ()
    """Pictures that were fed in, in place of the shipped ones."""
    seed: int
    threads: int
    rows: tuple[Row, ...]
    trials: tuple[Trial, ...]
    lost: tuple[str, ...] = ()
    """Trials that gave nothing, and why."""

    @model_validator(mode="after")
    def _yardstick_first(self) -> Self:
        if [row.is_yardstick for row in self.rows] != [True] + [False] * (len(self.rows) - 1):
            raise ValueError("the first row of a group is the reference tower, and no other is")
        names = {row.name for row in self.rows}
        for trial in self.trials:
            if strangers := [variant.name for variant in trial.variants if variant.name not in names]:
                raise ValueError(f"trial {trial.number} measured {strangers[0]!r}, which is no row of the group")
        return self

    @property
    def key(self) -> tuple[str, str, str, str, str]:
        """What must agree for two groups to be about the same thing."""
        return (self.scenario, self.point, self.model, self.dtype, self.device)

    @property
    def states(self) -> list[State]:
        """The states of the caches that anything of it was timed in."""
        timed = {state for trial in self.trials for variant in trial.variants for state in variant.timings}
        return [state for state in get_args(State) if state in timed]


class Results(Record):
    """A results file."""

    schema_version: Literal[2] = SCHEMA_VERSION
    created: datetime
    command: str
    fingerprint: Fingerprint
    machine: MachineCard | None = None
    """Rates and costs of the machine; None if not asked."""
    groups: tuple[CellGroup, ...]
    complete: bool = True
    """False where the run was interrupted, or had no time for all of it."""
