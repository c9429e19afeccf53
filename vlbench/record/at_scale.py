"""What the rows of a run ask of a GPU at the size of a released model: counted there, and never measured."""

from vlbench.record.base import Amount, Count, Grid, Record
from vlbench.record.counts import Tally

Ratios = tuple[Amount, Amount]
"""The least and the most of a ratio of two spans, each pair under one host and one error of each table."""


class PredictedSpan(Record):
    """How long one call takes on a GPU: predicted, and never measured."""

    gpu: str
    spans: tuple[Amount, ...] = ()
    """Seconds, one for each host and error of each table, always in one order; none where nothing tells them."""
    failed: str | None = None
    """Why nothing tells them."""

    @property
    def low(self) -> float | None:
        """With a fast host, all kernels as short as the tables' errors let them be; None where nothing tells it."""
        return min(self.spans, default=None)

    @property
    def high(self) -> float | None:
        """With a slow host, and all as long."""
        return max(self.spans, default=None)

    def over(self, other: "PredictedSpan") -> Ratios | None:
        """This span over the other's, in pairs; None where one of them is not told."""
        if not self.spans or not other.spans:
            return None
        found = [a / b for a, b in zip(self.spans, other.spans, strict=True)]
        return min(found), max(found)


class RowAtScale(Record):
    """One row. Without counters there is a reason in `failed`."""

    name: str
    """Of the row of the group."""
    tower: str
    """What was counted, as `--tower` takes it."""
    cold: Tally | None = None
    """The first forward of a new module."""
    warm: Tally | None = None
    """The second, on the same grids."""
    peak_live_bytes: Count | None = None
    """Of the second: most bytes alive at once, weights and inputs included."""
    by_layers: bool = False
    """Were towers of two and three layers counted, and the rest concluded from them?"""
    predicted: tuple[PredictedSpan, ...] = ()
    """Of the second forward, on each GPU that was asked for."""
    failed: str | None = None

    def on(self, gpu: str) -> PredictedSpan | None:
        """What was predicted for it, if anything."""
        return next((each for each in self.predicted if each.gpu == gpu), None)


class AtScale(Record):
    """The rows of a group, on a GPU that is not there."""

    model: str
    point: str
    grids: tuple[Grid, ...]
    """Fed in: the scenario at its full size."""
    dtype: str
    profile: str
    """The GPU that was answered for."""
    cudnn: str
    rows: tuple[RowAtScale, ...]
    seconds: Amount
    """That the counting process took."""
