"""Who ran which part of a plan, and how fast that machine was when it began and when it ended."""

from statistics import median

from pydantic import Field

from vlbench.record.base import Count, Record
from vlbench.record.machine_card import MachineCard
from vlbench.record.timing import Timing


class Bracket(Record):
    """A machine at one end of its part: its card, and the A/A cell, which is the same in every part."""

    card: MachineCard | None
    """None where it was not asked for."""
    reference: Timing
    """The reference tower of the A/A cell."""
    copy_of_it: Timing
    """A further tower that is the same program, in the same rounds."""

    @property
    def seconds(self) -> float:
        """Of one call of the reference tower, the median."""
        return median(self.reference.seconds)

    @property
    def ratio(self) -> float:
        """The copy's time over the reference tower's, the median over rounds."""
        return median(b / a for a, b in zip(self.reference.seconds, self.copy_of_it.seconds, strict=True))


class ShardRun(Record):
    """A part of a plan that ran on one machine."""

    plan: str
    """The digest of the plan."""
    shard: str
    """Such as "2/4"."""
    groups: tuple[Count, ...] = Field(min_length=1)
    """Numbers of the plan's groups, from 1."""
    machine: str
    """Name of the host, and the UUID of its GPU."""
    begin: Bracket
    end: Bracket | None
    """None where the run was not complete."""
