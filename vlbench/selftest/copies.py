"""What the harness proves itself on: copies of the reference tower, and copies slowed down by a known share."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from vlbench.record.schema import Device, SlowedOn
from vlbench.towers.variants import Variant, reference_tower
from vlbench.workload.scenario import Item, ScenarioPoint, SeamPoint
from vlbench.workload.seams import find_seam_case

SCENARIO = "self-test"
MODEL, SEAMS_MODEL = "qwen2-vl-tiny", "qwen2.5-vl-tiny"
SHORT, LONG = "2x2", "10x10"
"""One token: 2 to 6 ms a forward, all of it overhead, so that noise is at its worst; and 20 ms and more."""
LARGE = "128x128"
"""In place of the longer one on a GPU: its attention takes longer than its host takes to ask for it."""
SEAM = "inverse-permutation"


@dataclass(frozen=True)
class Design:
    """How many comparisons of each kind, in which shape of a run, and how long they take.

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
    grid: str = SHORT
    kind: Literal["towers", "ab", "seam"] = "towers"
    """Rows beside the reference tower; rows held against BASE, which is one, as `ab` does; or ways of a seam alone."""
    slowed_on: SlowedOn = "host"
    """Where the slow-downs are injected."""
    device: Device = "cpu"

    @property
    def model(self) -> str:
        """What is copied; the seam is one of windows, which the first has not."""
        return SEAMS_MODEL if self.kind == "seam" else MODEL

    @property
    def shape(self) -> str:
        """Such as "2x2, 51 rows"."""
        what = {"towers": self.grid, "ab": f"ab {self.grid}", "seam": SEAM}[self.kind]
        where = f", slowed on the {self.slowed_on}" if self.device == "cuda" else ""
        return f"{what}, {len(self.variants)} rows{where}"

    @property
    def variants(self) -> list[Variant]:
        """The reference first, the copies, and those that are slowed down."""
        base = Variant("BASE", None)
        first = {
            "towers": [reference_tower()],
            "ab": [reference_tower(), base],
            "seam": [Variant("naive", None, reference="naive")],
        }
        known = first[self.kind]
        reference = known[-1].name
        copy = Variant("", None, reference=reference)
        copies = [replace(copy, name=f"copy {number + 1}") for number in range(self.copies)]
        slowed = [
            replace(copy, name=f"+{100 * share:g}% {number + 1}", slow_down=share, slowed_on=self.slowed_on)
            for share, count in self.slowed.items()
            for number in range(count)
        ]
        return [*known, *copies, *slowed]

    @property
    def points(self) -> list[ScenarioPoint | SeamPoint]:
        """One per group, alike but for the label."""
        labels = [f"{self.shape}, group={number + 1}" for number in range(self.groups)]
        if self.kind == "seam":
            size = min(find_seam_case(SEAM).sizes.values())
            return [SeamPoint(seam=SEAM, size=size, label=label) for label in labels]
        item = Item(grid=self.grid)
        return [ScenarioPoint(scenario=SCENARIO, label=label, source="noise", item=(item,)) for label in labels]


FULL = (
    Design(groups=2, copies=38, slowed={0.03: 10, 0.05: 2}, seconds=8.0),
    Design(groups=1, copies=17, slowed={0.03: 7}, seconds=8.0),
    Design(groups=2, copies=18, slowed={0.03: 6}, seconds=8.0, grid=LONG),
    Design(groups=1, copies=1, slowed={0.03: 1}, seconds=8.0, kind="ab"),
    Design(groups=2, copies=35, slowed={0.03: 10}, seconds=8.0, kind="seam"),
)
"""More than 200 comparisons of identical programs and 60 of +3 %, in the shapes that are used; all have the same
seconds and trials. About 20 minutes on two quiet cores."""
QUICK = (Design(groups=2, copies=10, slowed={0.03: 4, 0.05: 2}, seconds=4.0),)
"""A look of three minutes; 20 comparisons of identical programs bound little."""


def designs(device: Device, *, quick: bool) -> tuple[Design, ...]:
    """What is compared on a device.

    On a GPU slow-downs are on its stream, since a host that runs ahead of it hides its own time, but for those of one
    shape: a tower of one token keeps a GPU waiting for its host, which is therefore slowed.
    """
    made = QUICK if quick else FULL
    return made if device == "cpu" else tuple(map(_on_gpu, made))


def _on_gpu(design: Design) -> Design:
    host = design.kind == "towers" and design.grid == SHORT and design.groups == 1
    grid = LARGE if design.grid == LONG else design.grid
    return replace(design, device="cuda", grid=grid, slowed_on="host" if host else "stream")
