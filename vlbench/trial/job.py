"""What a measuring process is asked to do, and what it says while it does it. Both travel as JSON."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from vlbench.process.messages import Message, Refused
from vlbench.record.exactness import Accuracy
from vlbench.record.schema import Counts, Device, Dtype, Load, SlowedOn, State
from vlbench.record.timing import PlanMade
from vlbench.record.work import Work
from vlbench.workload.scenario import ScenarioPoint, SeamPoint

if TYPE_CHECKING:
    from vlbench.matrix.plan import Plan

LAST_CALL = 2.0
"""Seconds that a call may go on when the time of its trial is over."""


class VariantJob(Message):
    """One variant to measure."""

    name: str
    flags: tuple[str, ...] | None
    exactness: str
    tower: str | None = None
    """What `resolve_tower` makes of this variant; None for our own tower with `flags`."""
    plan: PlanMade = "inside"
    """Where its plan is made."""
    slow_down: float = 0.0
    """Injected: the call takes this share longer, for the harness to prove itself on."""
    slowed_on: SlowedOn = "host"


class Job(Message):
    """One trial: all variants of a cell group, the reference tower first, in one process."""

    model: str
    """One of our models, or any tower that `resolve_tower` knows: the reference tower."""
    dtype: Dtype
    device: Device
    threads: int
    seed: int
    trial: int = 0
    """Which trial it is: seeds the order of rounds, not what is fed in."""
    secret: int = 0
    """Decides the contents of rounds: drawn for each trial, so that no tower knows them beforehand."""
    weights: Path | None = None
    """A checkpoint folder; None for random weights from the seed."""
    point: ScenarioPoint | SeamPoint
    """What is fed in: to a whole tower, or to one seam."""
    also_check: tuple[ScenarioPoint, ...] = ()
    """More inputs that accuracy is checked on."""
    briefly: bool = False
    """Check accuracy on the timed batch alone: an earlier process checked the same rows on all of it."""
    images: tuple[Path, ...] | None = None
    variants: tuple[VariantJob, ...]
    states: tuple[State, ...] = ("warm",)
    seconds: float
    """Time for rounds; 0 to check accuracy alone."""
    confidence: float = 0.95
    """Of the intervals that rounds go on for, until they are narrow."""
    stages: bool = True
    """Also run the extra rounds that tell the stages' shares?"""
    by: float = math.inf
    """When it should be over, and the `further` trials with it, by `time.monotonic()`: rows for which that would not do
    are left out."""
    further: int = 0
    """Trials of the same rows that follow, which check them briefly."""
    until: float = math.inf
    """When it ends with what it has: no call begins after it."""


def job_of(plan: Plan, trial: int, seconds: float, names: Iterable[str] | None = None) -> Job:
    """Trial number `trial` of a plan, with `seconds` of rounds, over those called `names`, by default all."""
    wanted = {variant.name for variant in plan.variants} if names is None else set(names)
    # What a plan and a job have in common has one name, and so has what their variants have in common.
    chosen = [variant for variant in plan.variants if variant.name in wanted]
    variants = tuple(VariantJob.model_validate(variant, from_attributes=True) for variant in chosen)
    shared: dict[str, Any] = {name: getattr(plan, name) for name in Job.model_fields.keys() & vars(plan).keys()}
    return Job(**shared | {"trial": trial, "seconds": seconds, "variants": variants})


class FedIn(Message):
    """What is fed in is there; the reference tower's first forwards are next."""

    event: Literal["fed-in"] = "fed-in"
    batch: str


class Prepared(Message):
    """Weights and inputs are there."""

    event: Literal["prepared"] = "prepared"
    batch: str
    grids: tuple[tuple[int, int, int], ...]
    fed_digest: str = ""
    weights_digest: str = ""
    """As `record.schema.Trial` has them."""


class Checked(Message):
    """A variant's accuracy, and the counts of one warm forward if it passed."""

    event: Literal["checked"] = "checked"
    variant: str
    accuracy: Accuracy
    counts: Counts | None = None
    first_seconds: float | None = None
    raised: bool = False
    """Did its process give no result, so that nothing is known of it? Of a check alone."""
    work: Work = ()
    """Of a small call. Of a check alone."""


class Estimated(Message):
    """The reference tower was checked, which tells about how long the rest takes."""

    event: Literal["estimated"] = "estimated"
    seconds: float
    """For all rows, from the first check to the end of the trial."""
    again: float
    """The same of a further trial, which checks the rows briefly."""
    fitting: int
    """Rows that fit into its time, the reference tower among them."""


class Round(Message):
    """One round in one state: seconds by variant."""

    event: Literal["round"] = "round"
    number: int
    state: State
    seconds: dict[str, float]
    order: tuple[str, ...] = ()
    """Who was called, in that order."""
    instances: dict[str, float] = Field(default_factory=dict)
    """Of the reference tower where it has several instances: each one's seconds, of which `seconds` has the median."""
    host_seconds: dict[str, float] = Field(default_factory=dict)
    looked_up: dict[str, tuple[int, int]] = Field(default_factory=dict)
    """Hits and misses of a variant's caches in this round."""
    throttled: tuple[str, ...] = ()
    """Why the clock of the GPU was held back."""
    plan_seconds: dict[str, float] = Field(default_factory=dict)
    """Of those whose plan is handed in: to make it."""
    queue_seconds: float | None = None
    """Behind queued work: how long that takes."""


class FirstKernel(Message):
    """Behind queued work: seconds from its end to the first kernel of a call."""

    event: Literal["first-kernel"] = "first-kernel"
    variant: str
    seconds: float


class Loaded(Message):
    """How busy the machine was while the rounds went on."""

    event: Literal["loaded"] = "loaded"
    load: Load


class Struck(Message):
    """A variant was caught in the timed rounds; its times are void."""

    event: Literal["struck"] = "struck"
    variant: str
    reason: str


class Stages(Message):
    """Self time of a variant's stages in one of the rounds that tell them, in seconds."""

    event: Literal["stages"] = "stages"
    variant: str
    seconds: dict[str, float]
    busy_seconds: float | None = None


class Finished(Message):
    """Everything was done."""

    event: Literal["finished"] = "finished"


Event = FedIn | Prepared | Checked | Estimated | Round | FirstKernel | Loaded | Struck | Stages | Refused | Finished
EVENTS: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="event")])
