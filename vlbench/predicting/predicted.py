"""What is kept of a prediction: bands, never single figures, in seconds; it never stands for a measured time."""

from typing import Literal

from pydantic import Field

from vlbench.record.base import Amount, Checksummed, Count, Grid, Record
from vlbench.record.sequence import ForwardName

Bound = Literal["host", "device", "either"]
HALF = 0.5
"""The share of idle time above which a call is bound by the host, under every host and error."""


class Band(Record):
    """From the least to the most, over fast and slow hosts and the errors of the tables."""

    low: float
    high: float


class StageTime(Record):
    """A stage, blocks taken together; the spans of all stages add up to that of the call."""

    stage: str
    span: Band
    busy: Band


class Pay(Record):
    """What would pay: the call simulated without these events."""

    what: str
    events: Count
    saves: Band
    """Seconds of the span."""


class Predicted(Record):
    """One row on one GPU."""

    row: str
    tower: str
    gpu: str
    forward: ForwardName
    figures: Literal["predicted"] = "predicted"
    """What all of them are: none was measured."""
    events: Count = 0
    replayed: Count = 0
    """Operations that one launch replays as a CUDA graph: no host holds them up."""
    notes: dict[str, Count] = Field(default_factory=dict)
    """What is to be said of times beside their errors, such as of products that no table has so; of how many."""
    span: Band | None = None
    """From the start of the call to the end of its last kernel, or of the host; None where it is not told."""
    central: Amount | None = None
    """Seconds with times as the tables have them, halfway between the hosts: their geometric mean."""
    busy: Band | None = None
    """Of the device."""
    idle: Band | None = None
    """The share of the span in which the device waits for the host."""
    floor: Band | None = None
    """The products and attention that the tower cannot avoid, alone."""
    of_floor: Band | None = None
    """The floor over the span: 1 is as fast as it gets."""
    against: str = ""
    """The row that `ratio` is to."""
    ratio: Band | None = None
    """Its span over this one's, each pair under one host and one error of each table."""
    stages: tuple[StageTime, ...] = ()
    pays: tuple[Pay, ...] = ()
    not_predicted: dict[str, Count] = Field(default_factory=dict)
    """Operations without a time, with the reason: how often; they take none in the figures above."""
    not_predicted_share: Amount = 0
    """Of the bytes of all operations."""
    failed: str | None = None
    """Why there is no span."""

    @property
    def bound(self) -> Bound | None:
        """What holds the call up, under every host and error."""
        if self.idle is None:
            return None
        return "host" if self.idle.low > HALF else "device" if self.idle.high < HALF else "either"

    @property
    def told_apart(self) -> bool | None:
        """Is it faster or slower than the row it is held against, under every host and error?"""
        return None if self.ratio is None else not self.ratio.low <= 1 <= self.ratio.high


class PredictedGroup(Record):
    """All rows on one set of grids."""

    scenario: str
    point: str
    grids: tuple[Grid, ...]
    images: bool = False
    rows: tuple[Predicted, ...]


class Prediction(Checksummed):
    """One run of `vlbench predict`."""

    schema_version: Literal[1] = 1
    vlbench: str
    dtype: str
    cudnn: str
    hosts: str
    """The checksum of the host times."""
    boards: dict[str, str]
    """By GPU: where its kernel times are from."""
    groups: tuple[PredictedGroup, ...]

    @property
    def complete(self) -> bool:
        """Is there anything, and a span for all of it?"""
        rows = [row for group in self.groups for row in group.rows]
        return bool(rows) and all(row.span for row in rows)
