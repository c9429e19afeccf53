"""What a counting process is to do, and what it says while it does it. Both travel as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, TypeAdapter

from vlbench.errors import UsageError
from vlbench.implementations.config import MODELS
from vlbench.implementations.preprocessing import Fed, Images
from vlbench.process.messages import Message, Refused
from vlbench.record.at_scale import RowAtScale
from vlbench.record.base import Grid
from vlbench.record.counted import CountedTower
from vlbench.record.grouping import gathered
from vlbench.record.schema import Dtype
from vlbench.record.work import Work
from vlbench.workload.batch import as_fed, grids_only
from vlbench.workload.library import load_scenario
from vlbench.workload.scenario import ScenarioPoint

T = TypeVar("T")
REPLAYED = 16
"""Recorded calls that are counted, each twice a tower."""
SEED = 0
"""Of scenarios that draw their requests."""


class Point(Message):
    """One call that every tower is counted on."""

    scenario: str
    label: str
    grids: tuple[Grid, ...] = ()
    """Given as they are, or what `feed` came to."""
    images: bool = False
    """Are these images, each 1, height, width?"""
    calls: tuple[int, ...] = ()
    """How many of the grids each of several calls takes, in order; () for one call."""
    feed: ScenarioPoint | None = None
    """Of a scenario: what that makes depends on the tower."""

    def fed_to(self, fed: Fed) -> Point:
        """The same with the grids that a tower is fed."""
        if self.feed is None:
            return self
        images, grids = isinstance(fed, Images), grids_only(self.feed, SEED, fed)
        return Point(scenario=self.scenario, label=self.label, grids=grids, images=images)

    def replayed(self, fed: Fed) -> Point:
        """The same, of recorded calls the first `REPLAYED`, to be counted in their order."""
        if self.feed is None or not self.feed.calls:
            return self.fed_to(fed)
        calls = [as_fed(call, fed) for call in self.feed.calls[:REPLAYED]]
        grids = tuple(grid for call in calls for grid in call)
        images = isinstance(fed, Images)
        return Point(scenario=self.scenario, label=self.label, grids=grids, images=images, calls=tuple(map(len, calls)))

    @property
    def each_call(self) -> list[tuple[Grid, ...]]:
        """The grids of each call."""
        grids = iter(self.grids)
        return [tuple(islice(grids, many)) for many in self.calls] or [self.grids]


def counted_points(scenario: str, grids: Sequence[str]) -> list[Point]:
    """One call on `grids`, such as 1x36x36, or each point of `scenario`. Raises UsageError for what is none."""
    if grids:
        return [Point(scenario="grid", label="", grids=tuple(map(parse_grid, grids)))]
    found = load_scenario(scenario)
    return [Point(scenario=found.name, label=point.label, feed=point) for point in found.points("cuda")]


def parse_grid(text: str) -> Grid:
    """(frames, rows, columns) in patches. Raises UsageError."""
    parts = text.split("x")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() and int(part) for part in parts):
        raise UsageError(f"--grid: {text!r} must be FRAMESxROWSxCOLUMNS in patches, such as 1x36x36")
    t, h, w = map(int, parts)
    return t, h, w


def refuse_variants_of_none(towers: Sequence[str], variants: Sequence[str] | None) -> None:
    """Raises UsageError for variants of our models where no tower is one of them."""
    if variants and not any(text in MODELS for text in towers):
        raise UsageError("--with names variants of our models, and no --tower is one of them; leave --with out")


class CountJob(Message):
    """Towers x points, in one process."""

    towers: tuple[str, ...]
    """As `resolve_tower` reads them."""
    variants: tuple[str, ...] | None = None
    """Of each tower that is one of our models; None for its presets."""
    points: tuple[Point, ...]
    profile: str
    cudnn: str = ""
    """In place of the profile's own."""
    dtype: Dtype
    plan: bool = False
    """Are there rows, too, in which plans are handed in?"""
    further: bool = True
    """Are further calls of each counted, on small grids?"""
    at_scale: bool = False
    """Are only counters wanted, by layers where these are alike? Takes no `variants` and no `plan`, and keeps going."""
    boards: tuple[str, ...] = ()
    """GPUs that rows at scale are predicted for, by a process that can."""
    keep_going: bool = False
    """A tower that cannot be had is a row with its reason, and does not refuse the job. Takes no `variants`."""


class Planned(Message):
    """The names of the rows to come, in order."""

    event: Literal["planned"] = "planned"
    rows: tuple[str, ...]


class Counted(Message):
    """One row is done; `point` is the index of its point."""

    event: Literal["counted"] = "counted"
    point: int
    row: CountedTower
    fed: Point | None = None
    """The point with the grids that this tower was fed; None where it could not be had."""
    work: Work | None = None
    """Of a small call, which does not depend on the point; None where there is none that floats do not decide."""


class CountedAtScale(Message):
    """The same of a row that is counted at scale."""

    event: Literal["at scale"] = "at scale"
    point: int
    row: RowAtScale


class Finished(Message):
    """Everything was done."""

    event: Literal["finished"] = "finished"
    seconds: float
    peak_host_bytes: int


Event = Planned | Counted | CountedAtScale | Refused | Finished
EVENTS: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="event")])


def by_fed(point: Point, pairs: Iterable[tuple[Point, T]]) -> Iterator[tuple[dict[str, Any], tuple[T, ...]]]:
    """The rows of a point in a group for each kind of grids that they were fed: what tells it from others, its rows."""
    for fed, rows in gathered(pairs).items():
        told = {"scenario": point.scenario, "point": point.label, "grids": fed.grids, "images": fed.images}
        yield told | ({"calls": fed.calls} if fed.calls else {}), tuple(rows)
