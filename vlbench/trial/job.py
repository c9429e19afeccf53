"""What a measuring process is asked to do, and what it says while it does it. Both travel as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from vlbench.record.schema import Accuracy, Counts, Device, Dtype
from vlbench.workload.scenario import ScenarioPoint


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class VariantJob(_Message):
    """One variant to measure."""

    name: str
    flags: tuple[str, ...] | None
    exactness: str


class Job(_Message):
    """One trial: all variants of a cell group, the yardstick first, in one process."""

    model: str
    dtype: Dtype
    device: Device
    threads: int
    seed: int
    weights: Path | None = None
    """A checkpoint folder; None for random weights from the seed."""
    point: ScenarioPoint
    also_check: tuple[ScenarioPoint, ...] = ()
    """More inputs that accuracy is checked on."""
    images: tuple[Path, ...] | None = None
    variants: tuple[VariantJob, ...]
    seconds: float
    """Time for rounds; 0 to check accuracy alone."""


class Prepared(_Message):
    """Weights and inputs are there."""

    event: Literal["prepared"] = "prepared"
    batch: str
    grids: tuple[tuple[int, int, int], ...]


class Starting(_Message):
    """Said before a variant's first call, so that one that kills the process is known by name."""

    event: Literal["starting"] = "starting"
    variant: str


class Checked(_Message):
    """A variant's accuracy, and the counts of one warm forward if it passed."""

    event: Literal["checked"] = "checked"
    variant: str
    accuracy: Accuracy
    counts: Counts | None = None


class Round(_Message):
    """Seconds of every variant in one round."""

    event: Literal["round"] = "round"
    seconds: dict[str, float]


class Stages(_Message):
    """Median self time of a variant's stages, in seconds."""

    event: Literal["stages"] = "stages"
    variant: str
    seconds: dict[str, float]


class Refused(_Message):
    """The job cannot be done as asked; the message is for the user."""

    event: Literal["refused"] = "refused"
    message: str


class Finished(_Message):
    """Everything was done."""

    event: Literal["finished"] = "finished"


Event = Prepared | Starting | Checked | Round | Stages | Refused | Finished
EVENTS: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="event")])
