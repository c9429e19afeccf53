"""What the harness proves itself on: copies of the reference tower, and copies slowed down by a known share."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from vlbench.towers.variants import Variant, yardstick
from vlbench.workload.scenario import Item, ScenarioPoint

SCENARIO = "self-test"
MODEL = "qwen2-vl-tiny"
GRID = "2x2"
"""One token: 3 to 6 ms a forward, all of it overhead, so that many rounds fit and noise is at its worst."""


@dataclass(frozen=True)
class Design:
    """How many comparisons of each kind, and how long they take.

    Every group is a cell group of its own, with its own weights, inputs and processes. Its copies share the rounds and
    the reference tower of its trials, so they are not independent of one another; groups are.
    """

    groups: int
    copies: int
    """Per group: comparisons of identical programs."""
    slowed: Mapping[float, int] = field(hash=False)
    """Per group: copies that take this share longer."""
    seconds: float
    """Of rounds per trial."""
    trials: int = 5

    @property
    def variants(self) -> list[Variant]:
        """The reference tower first, the copies, and those that are slowed down."""
        copies = [Variant(f"copy {number + 1}", None) for number in range(self.copies)]
        slowed = [
            Variant(f"+{100 * share:g}% {number + 1}", None, slow_down=share)
            for share, count in self.slowed.items()
            for number in range(count)
        ]
        return [yardstick(), *copies, *slowed]

    @property
    def points(self) -> list[ScenarioPoint]:
        """One per group, alike but for the label."""
        item = Item(grid=GRID)
        return [
            ScenarioPoint(scenario=SCENARIO, label=f"group={number + 1}", source="noise", item=(item,))
            for number in range(self.groups)
        ]


FULL = Design(groups=6, copies=34, slowed={0.01: 2, 0.02: 2, 0.03: 10, 0.05: 2}, seconds=12.0)
"""204 comparisons of identical programs and 60 of +3 %; 60 s of rounds per group before suspects are measured again."""
QUICK = Design(groups=2, copies=10, slowed={0.03: 4, 0.05: 2}, seconds=4.0)
"""A look of three minutes; 20 comparisons of identical programs bound little."""
