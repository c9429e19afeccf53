"""What a real GPU taught about counts: how many kernels an operation is, and whether syncs and copies agree."""

from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from vlbench.errors import UsageError
from vlbench.record.base import Amount, Count, Error, Record, record_of
from vlbench.record.site import Where
from vlbench.untrusted.files import Kind, first_fault, read_json

CALIBRATION = Kind(
    "write it anew with `vlbench calibrate`", broken="{path}: not a calibration ({why}); {remedy}", ours=True
)


class Entry(Record):
    """One row of the operation table: what a call of this kind was on the GPU."""

    operation: str
    dtype: str
    size: Count
    calls: Count
    """How many were seen."""
    kernels: Amount
    """Mean per call; `least` and `most` are the extremes."""
    least: Count
    most: Count
    memcpys: Amount
    """From device to device; those over the bus are counted by themselves."""
    memsets: Amount


class Disagreement(Record):
    """A line whose waits were counted otherwise than torch reports them."""

    where: Where
    counted: Count
    warned: Count


class Check(Record):
    """One tower: what was counted, and what the profiler saw of the same forward."""

    tower: str
    dtype: str
    counted: dict[str, Count]
    """Counters by name; `seen` has the same names."""
    seen: dict[str, Count]
    lines: tuple[Disagreement, ...]
    """Where `torch.cuda.set_sync_debug_mode` disagrees."""
    calls: dict[str, tuple[Count, Count]]
    """Operations counted and seen, where the two differ."""
    unattributed: dict[str, Count]
    """Kernels of operations that are not counted, by operation."""
    kernels: Count
    """That the profiler saw."""
    modelled_kernels: Amount
    """From a table that was learned from the other towers; from all, where there is only one."""

    @property
    def exact(self) -> bool:
        """Do syncs and copies agree, in number and line by line?"""
        return self.counted == self.seen and not self.lines


class Calibration(Record):
    """What `vlbench calibrate` writes."""

    schema_version: Literal[1] = 1
    created: datetime
    vlbench: str
    gpu: str
    profile: str
    cudnn: str = ""
    """That torch used there, which decides how it attends; "" where it was not kept."""
    torch_version: str
    entries: tuple[Entry, ...]
    checks: tuple[Check, ...]
    error: Error
    """Largest relative error of modelled kernels over the towers."""
    out_of_sample: bool
    """Was each tower modelled from the others alone?"""


def read_calibration(path: Path) -> Calibration:
    """The calibration in `path`. Raises UsageError where it is something else."""
    try:
        return record_of(Calibration, read_json(path, CALIBRATION))
    except ValidationError as error:
        raise UsageError(CALIBRATION.say(CALIBRATION.broken, path, first_fault(error))) from None
