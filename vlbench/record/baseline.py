"""A stored baseline: what a tower did when somebody accepted it, with the thresholds that it is gated by.

Counters travel between machines; times and ratios belong to the machine class of the fingerprint. The file is sealed:
whoever changes a figure or a threshold by hand has to accept the change, with a reason.
"""

from __future__ import annotations

import unicodedata
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from vlbench.record.base import Amount, Count, Grid, Record, check_once, digest_of
from vlbench.record.counted import Further
from vlbench.record.counts import Key
from vlbench.record.fingerprint import Fingerprint
from vlbench.record.outputs import StoredOutputs
from vlbench.record.schema import Counts, Device, Dtype, State
from vlbench.record.site import Site

BASELINE_SCHEMA: Literal[2] = 2
FILLERS = "\u115f\u1160\u3164\uffa0"
"""Letters that are shown as nothing."""


def readable(text: str) -> bool:
    """Does a name or a reason hold a letter or a digit that can be seen?"""
    return any(unicodedata.category(sign)[0] in "LN" and sign not in FILLERS for sign in text)


def _readable(text: str) -> str:
    if not readable(text):
        raise ValueError("holds no letter and no digit; say it in words")
    return text


Said = Annotated[str, AfterValidator(_readable)]
"""A name or a reason that somebody can read."""
Share = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]


class CountedForward(Record):
    """Exact counts of one forward; in each, less is better."""

    counters: dict[str, Count]
    stages: dict[str, dict[str, Count]]
    """By stage, blocks added up; counters that are zero are left out."""
    operations: dict[str, Count] = Field(default_factory=dict)
    """Device operations by name; they explain a count that moved."""
    sites: tuple[Site, ...]
    """Lines that wait or copy, with how often; they explain a counter that moved, and are not gated on."""


class CountedCell(Record):
    """A tower on a point of a scenario, counted in ghost mode."""

    tower: str
    """As `--tower` takes it."""
    scenario: str
    """As `--scenario` takes it; 'grid' where grids were given."""
    point: str
    grids: tuple[Grid, ...]
    profile: str
    """The GPU that was answered for, such as sm_90."""
    dtype: Dtype
    key: Key
    """What must be equal for counts to compare."""
    cold: CountedForward
    """The first forward."""
    warm: CountedForward
    """The second, on the same grids."""
    bands: dict[str, Share] = Field(default_factory=dict)
    """Counter -> share by which it may differ; exact where it is not named."""
    further: Further | None = None
    """Of further calls; None where an earlier vlbench counted."""

    @property
    def name(self) -> str:
        parts = (self.tower, self.scenario, self.point, self.dtype, self.profile, self.key.platform)
        return " ".join(filter(None, parts))


class StoredTrial(Record):
    """What one trial said: a paired ratio to the reference, with the interval of its rounds."""

    id: str = ""
    """The trial's; '' of those that were stored before trials had one."""

    ratio: Positive
    low: Positive
    high: Positive
    rounds: int = Field(ge=1)
    confidence: float = Field(ge=0, le=1)

    @model_validator(mode="after")
    def _inside_its_interval(self) -> Self:
        if not self.low <= self.ratio <= self.high:
            raise ValueError(f"the ratio {self.ratio:g} lies outside of its interval, {self.low:g} to {self.high:g}")
        return self


class TimedCell(Record):
    """A variant timed against a reference in shared rounds."""

    variant: str
    """As `--variant` takes it, or `--tower` where the model is no model of ours."""
    reference: str
    """The row that its ratio is taken to."""
    scenario: str
    """As `--scenario` takes it."""
    point: str
    grids: tuple[Grid, ...]
    model: str
    """One of ours, or the first `--tower`, which is the reference then."""
    dtype: Dtype
    device: Device
    state: State
    seed: int
    threads: Count
    weights: str
    """'random', 'its own', or the checkpoint folder."""
    exactness: str
    """The class that its accuracy is checked against."""
    flags: tuple[str, ...] | None = None
    """The flags that its name stood for; None where it was stored before they were kept."""
    package: str = ""
    """Whose tower it is, with its version; '' for our own."""
    fed: str = ""
    """Digest of the pixels and grids; '' where it was stored before there was one, as `weights_digest` is."""
    weights_digest: str = ""
    slow_down: Amount = 0.0
    """The share that each call was slowed by on purpose, as in a self-test; of a stored cell 0."""
    trials: tuple[StoredTrial, ...] = Field(min_length=1)
    seconds: Positive
    """Median time of a call."""
    stages: dict[str, Amount] = Field(default_factory=dict)
    """Self time by stage of a warm forward, blocks added up, as a share of the reference's forward."""
    counts: Counts | None = None
    """Of a warm forward; they explain a time that moved."""
    floor: Share = 0.01
    """A change is called only beyond this."""
    threshold: Share = 0.05
    """A run that could not have shown this much is inconclusive."""

    @model_validator(mode="after")
    def _sees_more_than_it_calls(self) -> Self:
        if self.threshold <= self.floor:
            raise ValueError(f"the threshold ({self.threshold}) must lie above the floor ({self.floor})")
        check_once("trial", (trial.id for trial in self.trials if trial.id))
        return self

    @property
    def name(self) -> str:
        state = "" if self.state == "warm" else self.state
        return " ".join(filter(None, (self.model, self.variant, self.scenario, self.point, self.dtype, state)))


class CapturedRange(Record):
    """A range of a capture, which the program went through several times."""

    name: str
    """`domain:name` of the range."""
    instances: Count
    """How often it was seen, the first time left out."""
    counters: dict[str, Count]
    """The value that nearly every instance has; zeros are left out."""
    mixed: dict[str, tuple[float, int]] = Field(default_factory=dict)
    """Mean and largest value of counters of which some instances differ throughout, as full layers among windowed."""
    unsteady: tuple[str, ...] = ()
    """Counters that vary by instance without such a pattern: not gated on."""


class Origin(Record):
    """What a capture says of itself as a whole."""

    source: str
    """'nsys' or 'kineto': they do not count the same calls."""
    version: str
    gpus: tuple[str, ...]
    facts: dict[str, str]
    """Settings of the capture that change what it counts."""
    notes: tuple[str, ...] = ()
    """What a reader has to know, one sentence each."""
    unmeasured: dict[str, str] = Field(default_factory=dict)
    """Counters that it could not count, and why; of one that was stored before they were kept none."""
    beside: dict[str, Count] | None = None
    """By counter, calls that began while a range was open and lie in none; None where it was stored before."""


class CapturedCell(Origin):
    """What a GPU was asked to do, by an Nsight Systems capture or a trace of the torch profiler."""

    name: str
    ranges: tuple[CapturedRange, ...] = Field(min_length=1)
    bands: dict[str, Share] = Field(default_factory=dict)
    """Counter -> share by which it may differ; exact where it is not named."""


class Acceptance(Record):
    """Who took these figures for right, and why."""

    what: Literal["saved", "accepted", "rebased"]
    by: Said
    reason: Said
    date: datetime
    revision: str | None
    """What was checked out where it was measured; None outside a checkout. A rebase or a squash may leave it behind:
    then the figures belong to the commit that the file came with."""
    dirty: bool | None
    """Did that checkout hold uncommitted changes of Python files?"""
    torch: str
    changes: tuple[str, ...] = ()
    """What this changed in the file, one line each."""


class Baseline(Record):
    """A baseline file."""

    kind: Literal["baseline"] = "baseline"
    schema_version: Literal[2] = BASELINE_SCHEMA
    name: str
    fingerprint: Fingerprint
    counted: tuple[CountedCell, ...] = ()
    timed: tuple[TimedCell, ...] = ()
    captured: tuple[CapturedCell, ...] = ()
    outputs: tuple[StoredOutputs, ...] = ()
    """Of counted towers that no reference tower computes, and of reference towers: what they are checked against."""
    unchecked: dict[str, str] = Field(default_factory=dict)
    """Counted towers whose result is not checked, with the reason: their counters are never called improved."""
    trials: int = Field(default=5, ge=4)
    """Trials of a gate run over the timed cells."""
    budget: float = Field(default=10.0, gt=0)
    """Seconds of rounds in a gate run, over all timed cells."""
    accepted: tuple[Acceptance, ...]
    """The last is in force; empty where nobody has accepted it yet."""
    seal: str = ""
    """SHA-256 of all the rest."""

    @model_validator(mode="after")
    def _no_cell_twice(self) -> Self:
        check_once("cell", (cell.name for cell in self.cells))
        return self

    @property
    def cells(self) -> tuple[CountedCell | TimedCell | CapturedCell, ...]:
        """All that it holds."""
        return (*self.counted, *self.timed, *self.captured)

    def sealed(self) -> Baseline:
        """The same with the seal that belongs to it."""
        return self.model_copy(update={"seal": digest_of(self, "seal")})

    @property
    def intact(self) -> bool:
        """Is it as it was when it was sealed?"""
        return self.seal == digest_of(self, "seal")
