"""What a count of towers says: written by `vlbench count --json`, read by whoever gates on it."""

from typing import Annotated, Literal

from pydantic import Field

from vlbench.record.base import Amount, Checksummed, Count, Grid, Record
from vlbench.record.counts import Counts, Question, Tally
from vlbench.record.site import Site
from vlbench.record.timing import PlanMade, handed_in


class Forward(Record):
    """The counts of one forward."""

    counts: Counts
    sites: tuple[Site, ...]
    """By line, over all stages, with what removes them."""
    grids_sent: int = 0
    """Bytes of the grids that a peer's adapter has on the device before the forward, and not among its uploads."""


CHURN = "eight new grids"
"""Further calls of which the attention plans are kept, added up: each is on a grid that was never seen."""
NEWEST_CALL = "five items"
"""A further call that was added late: a baseline of an earlier vlbench does not hold it."""


class Further(Record):
    """Counts of further calls, on small grids."""

    calls: dict[str, dict[Annotated[str, Field(pattern=f"^({'|'.join(Tally.model_fields)})$")], Count]]
    """By call: counters by name."""
    uneven: tuple[str, ...] = ()
    """Calls that are like the second one and do not count as it does."""
    kept_bytes: Count = 0
    """Device memory that stays alive after calls on several new grids, beyond the weights."""
    failed: dict[str, str] = Field(default_factory=dict)
    """Calls that raised, and what."""
    allowed: tuple[Site, ...] = ()
    """Lines of those calls that wait and whose code says that this is meant."""


class CountedTower(Record):
    """One row: a tower on one set of grids. Without a forward there is a reason in `failed`."""

    name: str
    tower: str
    """What `resolve_tower` makes of it."""
    source: str | None = None
    """Whose it is, with a version, where it is not ours."""
    plan: PlanMade = "inside"
    """Where its plan is made."""
    making: bool = False
    """Is it no call that was counted, but the making of the plan that is handed in?"""
    cold: Forward | None = None
    """The first forward."""
    warm: Forward | None = None
    """The second, on the same grids: whatever the tower remembers, it has."""
    questions: tuple[Question, ...] = ()
    """All that was asked about the GPU while the tower was built and called."""
    left_out: dict[str, str] = Field(default_factory=dict)
    """Flags of a preset that mean nothing here, with the reason."""
    further: Further | None = None
    """Of further calls; None where the first two failed, and where the plan is handed in."""
    failed: str | None = None

    @property
    def complete(self) -> bool:
        """Can it be gated on? It was counted, and every operation in it is known."""
        return self.failed is None and all(each is not None and each.counts.complete for each in (self.cold, self.warm))

    @property
    def called(self) -> str:
        """Its tower, with what was counted of it where that is not all of a call."""
        return self.tower if self.plan == "inside" else handed_in(self.tower, self.plan, making=self.making)


class CountGroup(Record):
    """All towers on one set of grids."""

    scenario: str
    point: str
    grids: tuple[Grid, ...]
    images: bool = False
    """Are these whole images?"""
    calls: tuple[Count, ...] = ()
    """Of recorded calls: how many of the grids each takes, in order, counted as one forward; () for one call."""
    towers: tuple[CountedTower, ...]


class CountReport(Checksummed):
    """One run of `vlbench count`."""

    schema_version: Literal[1] = 1
    vlbench: str
    profile: str
    cudnn: str = ""
    """The version of cuDNN that was answered for; "" of counts from before it made a difference."""
    dtype: str
    groups: tuple[CountGroup, ...]
    seconds: Amount
    """That the counting process took once torch was there: importing towers, building and counting them."""
    peak_host_bytes: Count
    """Most memory that process held, all in all."""

    @property
    def names(self) -> tuple[str, ...]:
        """What its towers are called, each once."""
        return tuple(dict.fromkeys(tower.name for group in self.groups for tower in group.towers))

    @property
    def complete(self) -> bool:
        """Is there anything, and all of it complete?"""
        towers = [tower for group in self.groups for tower in group.towers]
        return bool(towers) and all(tower.complete for tower in towers)
