"""What a real GPU taught about counts: how many kernels an operation is, and whether syncs and copies agree."""

from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from vlbench.errors import UsageError
from vlbench.record.base import Record
from vlbench.record.site import Where
from vlbench.untrusted.files import Kind, first_fault, read_json

CALIBRATION = Kind("write it anew with `vlbench calibrate`", broken="{path}: not a calibration ({why}); {remedy}")


class Entry(Record):
    """One row of the operation table: what a call of this kind was on the GPU."""

    operation: str
    dtype: str
    size: int
    calls: int
    """How many were seen."""
    kernels: float
    """Mean per call; `least` and `most` are the extremes."""
    least: int
    most: int
    memcpys: float
    """From device to device; those over the bus are counted by themselves."""
    memsets: float


class Disagreement(Record):
    """A line whose waits were counted otherwise than torch reports them."""

    where: Where
    counted: int
    warned: int


class Check(Record):
    """One tower: what was counted, and what the profiler saw of the same forward."""

    tower: str
    dtype: str
    counted: dict[str, int]
    """Counters by name; `seen` has the same names."""
    seen: dict[str, int]
    lines: tuple[Disagreement, ...]
    """Where `torch.cuda.set_sync_debug_mode` disagrees."""
    calls: dict[str, tuple[int, int]]
    """Operations counted and seen, where the two differ."""
    unattributed: dict[str, int]
    """Kernels of operations that are not counted, by operation."""
    kernels: int
    """That the profiler saw."""
    modelled_kernels: float
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
    torch_version: str
    entries: tuple[Entry, ...]
    checks: tuple[Check, ...]
    error: float
    """Largest relative error of modelled kernels over the towers."""
    out_of_sample: bool
    """Was each tower modelled from the others alone?"""


def read_calibration(path: Path) -> Calibration:
    """The calibration in `path`. Raises UsageError where it is something else."""
    try:
        return Calibration.model_validate(read_json(path, CALIBRATION))
    except ValidationError as error:
        raise UsageError(CALIBRATION.say(CALIBRATION.broken, path, first_fault(error))) from None
