"""What the rows of a run ask of a GPU at the size of a released model: counted there, and never measured."""

from vlbench.record.base import Amount, Count, Grid, Record
from vlbench.record.counts import Tally


class PredictedSpan(Record):
    """How long one call takes on a GPU: predicted, and never measured."""

    gpu: str
    low: Amount | None = None
    """Seconds with a fast host, all kernels as short as the tables' errors let them be; None where nothing tells it."""
    high: Amount | None = None
    """With a slow host, and all as long."""
    failed: str | None = None
    """Why nothing tells it."""


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
    predicted: PredictedSpan | None = None
    """Of the second forward; None where that was not asked for."""
    failed: str | None = None


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
