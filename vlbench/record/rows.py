"""The rows of a cell group."""

from typing import Literal

from pydantic import Field

from vlbench.record.base import Amount, Record
from vlbench.record.timing import PlanMade

SlowedOn = Literal["host", "stream"]
REFERENCE = "baseline"
"""The row of the reference tower."""
NO_FLAGS = "no-flags"
"""The row of the optimized tower without any flag, which single flags are held against."""


class Row(Record):
    """A variant of a cell group."""

    name: str
    flags: tuple[str, ...] | None
    """The flags that are on; None for the reference tower."""
    exactness: str
    reference: str = REFERENCE
    """The variant that its ratio is taken to."""
    tower: str | None = None
    """Whose tower it is, with its version; None for vlbench's own."""
    plan: PlanMade = "inside"
    """Where its plan is made."""
    left_out: dict[str, str] = Field(default_factory=dict)
    """Flags that do not apply here, and why."""
    slow_down: Amount = 0.0
    """Injected by the self-test: each call takes this share longer."""
    slowed_on: SlowedOn = "host"
    """Where that is injected: a GPU that is behind its host shows only what is on its own stream."""

    @property
    def is_reference(self) -> bool:
        """Is it what all is compared with? The self-test's copies of it have no flags either, and are not."""
        return self.flags is None and self.name == self.reference
