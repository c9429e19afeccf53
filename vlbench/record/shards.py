"""Who ran which part of a plan, and how fast that machine was when it began and when it ended."""

import re
from statistics import median

from pydantic import Field

from vlbench.record.base import Count, Record
from vlbench.record.machine_card import MachineCard
from vlbench.record.timing import Timing


def part_stem(shard: str) -> str:
    """The name, without its suffix, of a file for a part such as "2/4"."""
    return f"vlbench-shard-{shard.replace('/', '-of-')}"


PART = re.compile(rf"{part_stem('([0-9]+)/([0-9]+)')}\.json")
"""Names of such files; its groups are which part it is, and of how many."""


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
