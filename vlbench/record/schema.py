"""The results file: one versioned, typed schema in which a timing without a passed accuracy check cannot be written.

Raw samples are kept, per trial; everything that is shown is worked out from them.
"""

from collections import Counter
from datetime import datetime
from statistics import median
from typing import Literal, Self, get_args

from pydantic import Field, model_validator

from vlbench.record.at_scale import AtScale
from vlbench.record.base import Amount, Checksummed, Count, Grid, Record, check_once, twice_in
from vlbench.record.exactness import Accuracy
from vlbench.record.fingerprint import Fingerprint
from vlbench.record.machine_card import MachineCard
from vlbench.record.rows import NO_FLAGS as NO_FLAGS, REFERENCE as REFERENCE, Row as Row, SlowedOn as SlowedOn
from vlbench.record.shards import ShardRun
from vlbench.record.timing import Counts as Counts, Load as Load, StageTimes, State as State, Timing as Timing

SCHEMA_VERSION: Literal[3] = 3

TELLING = 3
"""Rounds whose times, in nanoseconds, two trials of one program do not share by chance."""

Device = Literal["cpu", "cuda"]
Dtype = Literal["float32", "bfloat16", "float16"]


class VariantTrial(Record):
    """What one trial found of one variant."""

    name: str
    accuracy: Accuracy | None = None
    counts: Counts | None = None
    stages: dict[str, StageTimes] = Field(default_factory=dict)
    """Self time per stage in seconds, blocks added up: an entry for each of some extra rounds that all variants share.
    Older files have the median alone.
    """
    first_seconds: Amount | None = None
    """Time of the very first call on the timed batch."""
    busy_seconds: Amount | None = None
    """CUDA: time the GPU was busy in one call (profiler)."""
    timings: dict[State, Timing] = Field(default_factory=dict)
    not_measured: str | None = None
    """Why there are no times."""
    left: bool = False
    """True where only time was lacking: a run that goes on measures it."""

    @property
    def stage_seconds(self) -> dict[str, float]:
        """The median of each stage."""
        return {name: median(times) for name, times in self.stages.items()}

    @model_validator(mode="after")
    def _no_time_without_accuracy(self) -> Self:
        if self.timings and not (self.accuracy and self.accuracy.passed):
            raise ValueError(f"{self.name!r} has times but no passed accuracy check")
        if len({len(times) for times in self.stages.values()}) > 1:
            raise ValueError(f"the stages of {self.name!r} are of different numbers of rounds")
        if not self.timings and self.not_measured is None:
            raise ValueError(f"{self.name!r} has neither times nor a reason why not")
        return self


class Trial(Checksummed):
    """One process that ran rounds over a cell group."""

    id: str = ""
    """What no other trial has: a digest of its group's job, its seed, its number and a random part, joined by ":".

    Files before schema 3 lack it.
    """
    number: Count
    """No other trial of its group has the same."""
    confirms: bool = False
    """Was it run again, over suspects alone, only to confirm?"""
    seed: int
    batch: str
    """What was fed in, in words."""
    fed_digest: str = ""
    """SHA-256 of the pixels and their grids; '' for a seam, whose inputs its seed draws."""
    weights_digest: str = ""
    """SHA-256 over a sample of every tensor of the reference tower; '' for a seam."""
    grids: tuple[Grid, ...]
    """Frames, rows and columns of every item, in patches."""
    variants: tuple[VariantTrial, ...]
    order: dict[State, tuple[tuple[int, ...], ...]] = Field(default_factory=dict)
    """For each round, which of the variants was called when, by their places in the list; those that have no times are
    left out. Places beyond the list are the second instance of the reference tower, its third, and so on.
    """
    throttled_rounds: tuple[Count, ...] = ()
    """CUDA: rounds in which the clock was held back."""
    throttled_by: dict[str, Count] = Field(default_factory=dict)
    """CUDA: in how many of these rounds NVML gave which reason. Empty in files that do not have them yet."""
    load: Load | None = None
    """None in older files, and where nothing was timed."""

    @model_validator(mode="after")
    def _is_what_its_id_says(self) -> Self:
        if self.id and self.id.split(":")[1:3] != [str(self.seed), str(self.number)]:
            raise ValueError(f"the id {self.id} is of another seed or number than {self.seed} and {self.number}")
        if self.id and self.grids and not (self.fed_digest and self.weights_digest):  # a seam has no grids
            raise ValueError(f"trial {self.number} does not say by digests what it was fed, and with which weights")
        if twice := twice_in(variant.name for variant in self.variants):
            raise ValueError(f"trial {self.number} holds {twice[0]!r} twice")
        return self

    @model_validator(mode="after")
    def _reasons_are_of_throttled_rounds(self) -> Self:
        if max(self.throttled_by.values(), default=0) > len(self.throttled_rounds):
            raise ValueError(f"throttled_by of trial {self.number} is of more rounds than were throttled")
        return self

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
        for state in get_args(State) if self.id else ():
            if state not in self.order and sum(state in variant.timings for variant in self.variants) > 1:
                raise ValueError(f"trial {self.number} does not say in which order its {state} readings were taken")
        return self

    @property
    def job(self) -> str:
        """The digest of what all trials of its group have in common; "" before schema 3."""
        return self.id.partition(":")[0]

    def instances(self, state: State) -> tuple[int, ...]:
        """Places in `order` that are the reference tower; one where it had no instances beside it."""
        last = max((place for places in self.order.get(state, ()) for place in places), default=0)
        return (0, *range(len(self.variants), last + 1))

    @property
    def samples(self) -> list[tuple[str, State, tuple[float, ...]]]:
        """Variant, state and times of all that it timed in rounds enough for two trials never to agree by chance."""
        return [
            (variant.name, state, timing.seconds)
            for variant in self.variants
            for state, timing in variant.timings.items()
            if len(timing.seconds) >= TELLING
        ]

    def find(self, name: str) -> VariantTrial | None:
        return next((variant for variant in self.variants if variant.name == name), None)


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
    threads: Count
    rows: tuple[Row, ...]
    trials: tuple[Trial, ...]
    lost: tuple[str, ...] = ()
    """Trials that gave nothing, and why."""
    planned: Count | None = None
    """Trials that the run was to make, those that confirm among them. Files before schema 3 lack it."""
    at_scale: AtScale | None = None
    """What its rows ask of a GPU at the size of a released model; None where that was not counted."""

    @property
    def measured(self) -> frozenset[str]:
        """Names of the rows that were checked or timed, or could not be; not of those for which time was lacking."""
        tried = (each for trial in self.trials for each in trial.variants)
        return frozenset(each.name for each in tried if each.accuracy or not each.left)

    @model_validator(mode="after")
    def _reference_first(self) -> Self:
        if [row.is_reference for row in self.rows] != [True] + [False] * (len(self.rows) - 1):
            raise ValueError("the first row of a group is the reference tower, and no other is")
        names = {row.name for row in self.rows}
        for trial in self.trials:
            if strangers := [variant.name for variant in trial.variants if variant.name not in names]:
                raise ValueError(f"trial {trial.number} measured {strangers[0]!r}, which is no row of the group")
        return self

    @model_validator(mode="after")
    def _rows_once(self) -> Self:
        check_once("row", (row.name for row in self.rows))
        counted = [row.name for row in self.at_scale.rows] if self.at_scale else []
        check_once("counted row", counted)
        for what, named in (("reference", {row.reference for row in self.rows}), ("counted row", set(counted))):
            if strangers := named - {row.name for row in self.rows}:
                raise ValueError(f"the {what} {min(strangers)!r} is no row of the group")
        return self

    @model_validator(mode="after")
    def _trials_of_one_job(self) -> Self:
        check_once("trial", (trial.number for trial in self.trials))
        for trial in self.trials:
            if trial.seed != self.seed:
                raise ValueError(f"trial {trial.number} is of seed {trial.seed}, and the group of {self.seed}")
            for name in ("batch", "fed_digest", "weights_digest", "grids", "job"):
                if getattr(trial, name) != getattr(self.trials[0], name):
                    raise ValueError(f"{name} of trial {trial.number} is not that of trial {self.trials[0].number}")
        if copies := twice_in(sample for trial in self.trials for sample in trial.samples):
            raise ValueError(f"two trials hold the same times of {copies[0][0]!r}: one is a copy")
        return self

    @model_validator(mode="after")
    def _checked_as_its_rows_claim(self) -> Self:
        claims = {row.name: row.exactness for row in self.rows}
        for trial in self.trials:
            for variant in trial.variants:
                check, place = variant.accuracy, f"{variant.name!r} of trial {trial.number}"
                if check and check.exactness != claims[variant.name]:
                    raise ValueError(
                        f"{place} was checked as {check.exactness}, and its row says {claims[variant.name]}"
                    )
                if check and check.passed and (check.timed_error is None) != (self.dtype == "float32"):
                    raise ValueError(
                        f"{place} passed, and its error in {self.dtype} does not belong there, or is missing"
                    )
        return self

    @property
    def key(self) -> tuple[str, str, str, str, str]:
        """What must agree for two groups to be about the same thing."""
        return (self.scenario, self.point, self.model, self.dtype, self.device)

    def vote(self, *, confirms: bool = False) -> list[Trial]:
        """The trials of the first vote, or those that measured its suspects again."""
        return [trial for trial in self.trials if trial.confirms is confirms]

    @property
    def states(self) -> list[State]:
        """The states of the caches that anything of it was timed in."""
        timed = {state for trial in self.trials for variant in trial.variants for state in variant.timings}
        return [state for state in get_args(State) if state in timed]

    @property
    def usual_state(self) -> State:
        """The one that its rows are judged by: warm, where anything was timed in it, else the first that was."""
        return [*self.states, "warm"][0]


class Results(Checksummed):
    """A results file."""

    schema_version: Literal[3] = SCHEMA_VERSION
    created: datetime
    command: str
    fingerprint: Fingerprint
    machine: MachineCard | None = None
    """Rates and costs of the machine; None if not asked."""
    groups: tuple[CellGroup, ...]
    complete: bool = True
    """False where the run was interrupted, or had no time for all of it."""
    shards: tuple[ShardRun, ...] = ()
    """Of a plan for many machines: who ran which of its groups."""

    @model_validator(mode="after")
    def _each_trial_once_and_all_where_it_says_so(self) -> Self:
        check_once("trial", (trial.id for group in self.groups for trial in group.trials if trial.id))
        if self.shards and sum(len(shard.groups) for shard in self.shards) != len(self.groups):
            raise ValueError("shards name another number of groups than there are")
        for group in self.groups if self.complete else ():
            if (made := len(group.trials) + len(group.lost)) < (group.planned or 0):
                raise ValueError(f"complete is true, and {group.scenario} has {made} of {group.planned} trials")
        return self
