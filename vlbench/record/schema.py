"""The results file: one versioned, typed schema in which a timing without a passed accuracy check cannot be written.

Raw samples are kept, per trial; everything that is shown is worked out from them.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Annotated, Literal, Self, get_args

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, model_validator

from vlbench.record.fingerprint import Fingerprint
from vlbench.record.machine_card import MachineCard

SCHEMA_VERSION: Literal[2] = 2

Device = Literal["cpu", "cuda"]
Dtype = Literal["float32", "bfloat16", "float16"]


class Record(BaseModel):
    """A part of a results file: frozen, and strict about unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")


class Token(Record):
    """One output token, by where it comes from."""

    item: int = Field(description="Which image or video of the batch, from 0; of a tower of images, which image.")
    frame: int = Field(description="Which temporal slice of it, from 0.")
    row: int = Field(description="Row of the merged cell; 0 for a tower of images.")
    column: int = Field(description="Column of the merged cell; of a tower of images, which token of the image.")
    error: float = Field(description="L2 error of this token, relative to the root mean square of all tokens.")


class Accuracy(Record):
    """How far a variant is from the yardstick, and whether that is allowed."""

    passed: bool
    exactness: str = Field(description="The class that the variant claims.")
    fp32_error: float | None = Field(description="Relative L2 error in fp32; None where it could not run.")
    fp32_limit: float = Field(description="What its class allows in fp32; 0 asks for equal bits.")
    timed_error: float | None = Field(default=None, description="Relative L2 error in the timed dtype, if not fp32.")
    timed_limit: float | None = Field(default=None, description="What is allowed there: 1.5 x the yardstick's own.")
    part: str | None = Field(
        default=None, description="Which part of the output is the furthest off, where it has several."
    )
    worst_token: Token | None = Field(default=None, description="The output token furthest off in fp32.")
    reason: str | None = Field(default=None, description="Why it failed, in one sentence.")


class Counts(Record):
    """What one warm forward asks of torch."""

    aten_operations: int = Field(
        validation_alias=AliasChoices("aten_operations", "operations"),  # schema 1 had the shorter name
        description="aten operations that compute or copy; views and bare allocations not counted.",
    )
    attention_calls: int = Field(description="Calls of scaled_dot_product_attention.")


Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
State = Literal["warm", "cold", "churn", "behind"]


class Timing(Record):
    """One variant in one state of the caches, in the rounds of one trial."""

    seconds: tuple[Seconds, ...] = Field(
        min_length=1,
        description="Time of one call, one entry per round. The yardstick is called several times in a round of many: "
        "the median.",
    )
    calls: tuple[tuple[Seconds, ...], ...] = Field(
        default=(), description="Where it was called several times: every call of each round, as they were made."
    )
    host_seconds: tuple[Seconds, ...] = Field(
        default=(), description="CUDA: time until the call gave the host back, one entry per round."
    )
    hit_rate: float | None = Field(default=None, description="Share of cache look-ups that hit; None without caches.")

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
    stages: dict[str, float] = Field(
        default_factory=dict, description="Median self time per stage in seconds, from extra rounds; blocks added up."
    )
    first_seconds: float | None = Field(default=None, description="Time of the very first call on the timed batch.")
    busy_seconds: float | None = Field(default=None, description="CUDA: time the GPU was busy in one call (profiler).")
    timings: dict[State, Timing] = Field(default_factory=dict)
    not_measured: str | None = Field(default=None, description="Why there are no times.")

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
    confirms: bool = Field(default=False, description="Was it run again, over suspects alone, only to confirm?")
    seed: int
    batch: str = Field(description="What was fed in, in words.")
    grids: tuple[tuple[int, int, int], ...] = Field(description="Frames, rows and columns of every item, in patches.")
    variants: tuple[VariantTrial, ...]
    order: dict[State, tuple[tuple[int, ...], ...]] = Field(
        default_factory=dict,
        description="For each round, which of the variants was called when, by their places in the list; those that "
        "have no times are left out.",
    )
    throttled_rounds: tuple[int, ...] = Field(default=(), description="CUDA: rounds in which the clock was held back.")

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
            if [Counter(places) for places in order] != made:
                raise ValueError(f"the order of the {state} readings does not hold each of their calls once")
        return self

    def find(self, name: str) -> VariantTrial | None:
        return next((variant for variant in self.variants if variant.name == name), None)


class Row(Record):
    """A variant of a cell group."""

    name: str
    flags: tuple[str, ...] | None = Field(description="The flags that are on; None for the yardstick.")
    exactness: str
    reference: str = Field(default="baseline", description="The variant that its ratio is taken to.")
    tower: str | None = Field(default=None, description="Whose tower it is, with its version; None for vlbench's own.")
    left_out: dict[str, str] = Field(default_factory=dict, description="Flags that do not apply here, and why.")
    slow_down: float = Field(default=0.0, description="Injected by the self-test: each call takes this share longer.")

    @property
    def is_yardstick(self) -> bool:
        """Is it what all is compared with? The self-test's copies of it have no flags either, and are not."""
        return self.flags is None and self.name == self.reference


class CellGroup(Record):
    """All variants of one scenario point, model, dtype and device, timed against each other in the same rounds."""

    scenario: str
    point: str = Field(description="Which point of the scenario's sweep; empty without a sweep.")
    model: str
    dtype: Dtype
    device: Device
    why_scaled: str | None = Field(default=None, description="Why the scenario is smaller here than on a GPU.")
    weights: str = Field(description="'random', or the checkpoint folder.")
    images: tuple[str, ...] = Field(default=(), description="Pictures that were fed in, in place of the shipped ones.")
    seed: int
    threads: int
    rows: tuple[Row, ...]
    trials: tuple[Trial, ...]
    lost: tuple[str, ...] = Field(default=(), description="Trials that gave nothing, and why.")

    @model_validator(mode="after")
    def _yardstick_first(self) -> Self:
        if [row.is_yardstick for row in self.rows] != [True] + [False] * (len(self.rows) - 1):
            raise ValueError("the first row of a group is the yardstick, and no other is")
        names = {row.name for row in self.rows}
        for trial in self.trials:
            if strangers := [variant.name for variant in trial.variants if variant.name not in names]:
                raise ValueError(f"trial {trial.number} measured {strangers[0]!r}, which is no row of the group")
        return self

    @property
    def key(self) -> tuple[str, str, str, str, str]:
        """What must agree for two groups to be about the same thing."""
        return (self.scenario, self.point, self.model, self.dtype, self.device)


class Results(Record):
    """A results file."""

    schema_version: Literal[2] = SCHEMA_VERSION
    created: datetime
    command: str
    fingerprint: Fingerprint
    machine: MachineCard | None = Field(default=None, description="Rates and costs of the machine; None if not asked.")
    groups: tuple[CellGroup, ...]
    complete: bool = Field(default=True, description="False where the run was interrupted.")
