"""What keeps forwards from being CUDA graphs, and which keys of graphs are sound: `vlbench count --capture`."""

from typing import Literal, get_args

from pydantic import Field

from vlbench.record.base import Amount, Checksummed, Count, Error, Grid, Record
from vlbench.record.site import Where
from vlbench.record.timing import PlanMade

BlockerKind = Literal[
    "data-dependent shape", "host branch", "read-back", "wait", "pageable upload", "waiting upload", "pinned allocation"
]
"""Why a capture ends: a size follows from values, code branches on a value, another value is read, the host waits or
asks whether the device is done, host memory that is not pinned is copied, a copy of pinned memory is waited for, memory
is pinned."""
BLOCKERS: tuple[BlockerKind, ...] = get_args(BlockerKind)


class Blocker(Record):
    """A line on which a capture ends, in the second of two forwards."""

    kind: BlockerKind
    operation: str
    """Of torch, by its full name."""
    where: Where
    expression: str = ""
    """The part of the source that did it; '' where not known."""
    callers: tuple[Where, ...] = ()
    """The lines that called the function of `where`, outwards as far as the first module's `forward`."""
    times: Count
    bytes: Count = 0
    flags: tuple[str, ...] = ()
    """Flags of ours that remove it."""
    advice: str = ""
    """What removes it, in words; '' where nothing is known that would."""


class Difference(Record):
    """The first operation in which the records of two batches differ. It is a hint: the results may be equal."""

    where: Where
    mine: str
    """The operation with the shapes, strides and dtypes of its tensors, its numbers, and hashes of what it uploads."""
    other: str


class KeyCheck(Record):
    """Batches that share a key: was each computed right by the graph of another?"""

    verdict: Literal["not refuted", "refuted", "plans inside", "not checked"]
    reason: str
    """One plain sentence."""
    replays: Count = 0
    """How many records were replayed with the inputs of another batch."""
    recorded: str = ""
    """The batch whose record refuted it, in words."""
    fed: str = ""
    """The batch whose inputs it was replayed with."""
    error: Error | None = None
    """The relative L2 distance of that replay to that batch's own result; None where its inputs have no place."""
    difference: Difference | None = None
    """Between the records of these two; without a refutation, the first that was found."""
    late: str = ""
    """What ends a capture of a small batch's third forward, in words."""


class CapturableRow(Record):
    """One tower, with its plan made inside of the forward or handed in, on one set of grids."""

    name: str
    tower: str
    source: str | None = None
    plan: PlanMade = "inside"
    parameters: Count = 0
    """Numbers in its weights."""
    blockers: tuple[Blocker, ...] = ()
    left_out: dict[str, str] = Field(default_factory=dict)
    failed: str | None = None
    """Why it was not looked at, or not whole."""
    key: KeyCheck | None = None

    @property
    def lines(self) -> int:
        """How many lines a capture would end on."""
        return len({blocker.where for blocker in self.blockers})

    @property
    def capturable(self) -> bool | None:
        """Can it be a CUDA graph? None where it is not known."""
        return False if self.blockers else None if self.failed else True

    def times(self, *kinds: BlockerKind) -> int:
        """How often it has blockers of these kinds."""
        return sum(blocker.times for blocker in self.blockers if blocker.kind in kinds)


class CapturableGroup(Record):
    """All towers on one set of grids."""

    scenario: str
    point: str
    grids: tuple[Grid, ...]
    images: bool = False
    rows: tuple[CapturableRow, ...]


class CapturableReport(Checksummed):
    """One run of `vlbench count --capture`."""

    schema_version: Literal[1] = 1
    vlbench: str
    profile: str
    cudnn: str = ""
    dtype: str
    region: tuple[str, str] | None = None
    """The first and the last stage of what was asked about; None: the whole forward."""
    key: tuple[str, ...] = ()
    """What batches that may share a graph have in common."""
    groups: tuple[CapturableGroup, ...]
    seconds: Amount
