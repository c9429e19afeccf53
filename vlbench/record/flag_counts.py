"""What each flag changes in the counters of a forward; counted and stored by `python -m results.count_flags`."""

from functools import cache
from typing import Literal

from vlbench.record.base import Checksummed, Count, Record, read_intact
from vlbench.untrusted.files import Kind
from vlbench.version import FOLDER

PATH = FOLDER / "flags" / "counts.json"
STORED = Kind("write it anew with `python -m results.count_flags`", ours=True)

CHURN_PLANS = "churn_plans"
Totals = dict[str, Count]
"""Of one forward by name: the counters of `Tally`, `live_bytes` before it, `peak_live_bytes`, and device operations.

Beside them CHURN_PLANS: attention plans that cuDNN builds in eight more calls, on changing grids."""


class FlagCounts(Record):
    """One flag, against the same tower without it."""

    model: str = ""
    """On which it was counted, where it means nothing on that of the file."""
    beside: tuple[str, ...] = ()
    """Flags that are on in both towers, because it needs them or changes nothing without them."""
    uncounted: str = ""
    """Why no counter tells what it changes; then nothing moved."""
    moves: dict[str, dict[str, int]]
    """By how much `Totals` move, those that do, by scenario; of a flag outside of the tower by its seam."""


class StoredCounts(Checksummed):
    """All flags of one model, in the second forward on each scenario."""

    schema_version: Literal[1] = 1
    vlbench: str
    model: str
    dtype: str
    profile: str
    cudnn: str
    torch_version: str
    """Without the part after "+": builds for CPU and for CUDA count alike."""
    towers: dict[str, dict[str, Totals]]
    """The reference tower, the tower without flags, and the presets, by scenario."""
    flags: dict[str, FlagCounts]


@cache
def stored_counts() -> StoredCounts:
    """The shipped file. Raises UsageError where it is not there, or was edited or damaged."""
    return read_intact(StoredCounts, PATH, STORED)
